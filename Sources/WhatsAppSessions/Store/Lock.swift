import Foundation
import WhatsAppSessionsSystem

/// A value that one thread at a time may use, and that threads may wait for.
///
/// POSIX rather than `Synchronization.Mutex`, which on Linux is a futex: the thread sanitizer cannot see it and reports correct
/// code; and rather than `NSCondition`, whose waits last an hour longer when the clock is set back by one. `@unchecked` because the
/// compiler cannot know that the rest is only reached under `mutex`.
final class Lock<Value>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    // Pointers, because Swift checks exclusive access to a stored property at run time, and the lock already excludes.
    private let value: UnsafeMutablePointer<Value>
    /// How many threads wait for another value.
    private let waiting: UnsafeMutablePointer<Int>

    init(_ value: consuming sending Value) {
        self.value = .allocate(capacity: 1)
        self.value.initialize(to: value)
        waiting = .allocate(capacity: 1)
        waiting.initialize(to: 0)
        pthread_mutex_init(mutex, nil)
        whatsapp_sessions_condition_init(condition)
    }

    deinit {
        value.deinitialize(count: 1)
        value.deallocate()
        waiting.deallocate()
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    func withLock<Result: Sendable>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer { unlock() }
        return try body(&value.pointee)
    }

    /// The same once `isReady`, which is asked again whenever another thread has used the value.
    func withLock<Result: Sendable>(
        when isReady: (Value) -> Bool,
        _ body: (inout Value) throws -> Result
    ) rethrows -> Result {
        pthread_mutex_lock(mutex)
        defer { unlock() }
        while !isReady(value.pointee) { waitForOthers { pthread_cond_wait(condition, mutex) } }
        return try body(&value.pointee)
    }

    /// The same, for so many seconds at most; then `body` runs although it isn't ready.
    func withLock<Result: Sendable>(
        when isReady: (Value) -> Bool,
        orAfter seconds: Double,
        _ body: (inout Value) throws -> Result
    ) rethrows -> Result {
        let end = ContinuousClock.now + .seconds(seconds)
        pthread_mutex_lock(mutex)
        defer { unlock() }
        while !isReady(value.pointee), case let rest = end - .now, rest > .zero {
            waitForOthers { whatsapp_sessions_condition_wait(condition, mutex, rest / .seconds(1)) }
        }
        return try body(&value.pointee)
    }

    private func waitForOthers(_ wait: () -> Int32) {
        waiting.pointee += 1
        _ = wait()
        waiting.pointee -= 1
    }

    private func unlock() {
        if waiting.pointee > 0 { pthread_cond_broadcast(condition) }
        pthread_mutex_unlock(mutex)
    }
}
