/// A change in the queue, and its outcome.
protocol WaitingChange: AnyObject, Sendable {
    /// When its caller stops waiting for locks.
    var deadline: ContinuousClock.Instant { get }
    var isDone: Bool { get }
    /// Why it failed, or was refused.
    var error: (any Error)? { get }

    /// Runs it in a transaction. It counts only once it is finished.
    func run(on connection: Connection)
    /// Its transaction was committed.
    ///
    /// - Returns: Whether it dropped something that must not be kept in the log.
    func finish() -> Bool
    func fail(_ error: any Error)
}

final class QueuedChange<Value: Sendable>: WaitingChange {
    private struct State {
        var result: Result<Changed<Value>, any Error> = .failure(DatabaseError.closed)
        var isDone = false
    }

    let deadline: ContinuousClock.Instant
    private let body: @Sendable (Connection) throws -> Changed<Value>
    private let state = Lock(State())
    /// An `async` caller.
    private let continuation: CheckedContinuation<Value, any Error>?

    init(
        deadline: ContinuousClock.Instant,
        body: @escaping @Sendable (Connection) throws -> Changed<Value>,
        _ continuation: CheckedContinuation<Value, any Error>? = nil
    ) {
        self.deadline = deadline
        self.body = body
        self.continuation = continuation
    }

    var isDone: Bool { state.withLock(\.isDone) }

    var outcome: Result<Value, any Error> { state.withLock(\.result).map(\.value) }

    var error: (any Error)? {
        if case .failure(let error) = outcome { error } else { nil }
    }

    func run(on connection: Connection) {
        let result = Result { try body(connection) }
        state.withLock { $0.result = result }
    }

    func finish() -> Bool {
        let result = state.withLock { state in
            state.isDone = true
            return state.result
        }
        continuation?.resume(with: result.map(\.value))
        return (try? result.get().erases) ?? false
    }

    func fail(_ error: any Error) {
        state.withLock { $0.result = .failure(error) }
        _ = finish()
    }
}
