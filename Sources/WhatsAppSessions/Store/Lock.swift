import WhatsAppSessionsSystem

/// A value that one thread at a time may use, and that threads may wait for.
///
/// POSIX rather than `Synchronization.Mutex`, which on Linux is a futex: the thread sanitizer cannot see it and reports correct
/// code; and rather than `NSCondition`, whose waits last an hour longer when the clock is set back by one. `@unchecked` because the
/// compiler cannot know that the rest is only reached under `lock`.
final class Lock<Value>: @unchecked Sendable {
    private let lock = whatsapp_sessions_lock_create()
    // Pointers, because Swift checks exclusive access to a stored property at run time, and the lock already excludes.
    private let value: UnsafeMutablePointer<Value>
    /// How many threads wait for another value.
    private let waiting: UnsafeMutablePointer<Int>

    init(_ value: consuming sending Value) {
        self.value = .allocate(capacity: 1)
        self.value.initialize(to: value)
        waiting = .allocate(capacity: 1)
        waiting.initialize(to: 0)
    }

    deinit {
        value.deinitialize(count: 1)
        value.deallocate()
        waiting.deallocate()
        whatsapp_sessions_lock_destroy(lock)
    }

    func withLock<Result: Sendable>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        whatsapp_sessions_lock_take(lock)
        defer { unlock() }
        return try body(&value.pointee)
    }

    /// The same once `isReady`, which is asked again whenever another thread has used the value.
    func withLock<Result: Sendable>(
        when isReady: (Value) -> Bool,
        _ body: (inout Value) throws -> Result
    ) rethrows -> Result {
        whatsapp_sessions_lock_take(lock)
        defer { unlock() }
        while !isReady(value.pointee) { waitForOthers { whatsapp_sessions_lock_wait(lock) } }
        return try body(&value.pointee)
    }

    /// The same, for so many seconds at most; then `body` runs although it isn't ready.
    func withLock<Result: Sendable>(
        when isReady: (Value) -> Bool,
        orAfter seconds: Double,
        _ body: (inout Value) throws -> Result
    ) rethrows -> Result {
        let end = ContinuousClock.now + .seconds(seconds)
        whatsapp_sessions_lock_take(lock)
        defer { unlock() }
        while !isReady(value.pointee), case let rest = end - .now, rest > .zero {
            waitForOthers { whatsapp_sessions_lock_wait_for(lock, rest / .seconds(1)) }
        }
        return try body(&value.pointee)
    }

    private func waitForOthers(_ wait: () -> Void) {
        waiting.pointee += 1
        wait()
        waiting.pointee -= 1
    }

    private func unlock() {
        if waiting.pointee > 0 { whatsapp_sessions_lock_wake(lock) }
        whatsapp_sessions_lock_release(lock)
    }
}
