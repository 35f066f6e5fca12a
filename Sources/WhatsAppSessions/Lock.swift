import Foundation

/// A value that one thread at a time may use.
///
/// `NSLock` rather than `Synchronization.Mutex`: on Linux the latter is a futex that the thread sanitizer cannot see, so
/// correct code is flagged, and a lock that can be checked is worth more than the nanoseconds between them.
/// `@unchecked` because the compiler cannot know that `value` is only reached while `lock` is held; it is, here.
final class Lock<Value: ~Copyable>: @unchecked Sendable {
    private let lock = NSLock()
    // A pointer, since access to a stored property is checked at run time for what the lock excludes already.
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
