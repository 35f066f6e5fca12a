import Foundation

/// A value that one thread at a time may use.
///
/// `NSLock` rather than `Synchronization.Mutex`, which on Linux is a futex: the thread sanitizer cannot see it and
/// reports correct code. `@unchecked` because the compiler cannot know that `value` is only reached under `lock`.
final class Lock<Value: ~Copyable>: @unchecked Sendable {
    private let lock = NSLock()
    // A pointer, because Swift checks exclusive access to a stored property at run time, and the lock already excludes.
    private let value: UnsafeMutablePointer<Value>

    init(_ value: consuming sending Value) {
        self.value = .allocate(capacity: 1)
        self.value.initialize(to: value)
    }

    deinit {
        value.deinitialize(count: 1)
        value.deallocate()
    }

    func withLock<Result: Sendable>(_ body: (inout Value) throws -> Result) rethrows -> Result {
        lock.lock()
        defer { lock.unlock() }
        return try body(&value.pointee)
    }
}
