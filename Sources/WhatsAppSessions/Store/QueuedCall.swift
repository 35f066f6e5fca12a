/// A call that waits to be made, and its caller.
final class QueuedCall<Call: Sendable, Answer: Sendable>: Sendable {
    /// Who waits for the outcome.
    private enum Caller: Sendable {
        case thread(WaitingThread<Answer>)
        case task(CheckedContinuation<Answer, any Error>)
    }

    let call: Call
    /// When its caller stops waiting for locks.
    let deadline: ContinuousClock.Instant
    private let caller: Caller

    init(_ call: Call, until deadline: ContinuousClock.Instant, for thread: WaitingThread<Answer>) {
        (self.call, self.deadline, caller) = (call, deadline, .thread(thread))
    }

    init(_ call: Call, until deadline: ContinuousClock.Instant, for task: CheckedContinuation<Answer, any Error>) {
        (self.call, self.deadline, caller) = (call, deadline, .task(task))
    }

    /// The thread that waits for it; `nil` if a task does.
    var thread: WaitingThread<Answer>? {
        if case .thread(let thread) = caller { thread } else { nil }
    }

    func finish(_ outcome: Result<Answer, any Error>) {
        switch caller {
        case .thread(let thread): thread.wake(.outcome(outcome))
        case .task(let task): task.resume(with: outcome)
        }
    }
}

/// A thread that waits until it is told what to do next.
final class WaitingThread<Answer: Sendable>: Sendable {
    enum Signal: Sendable {
        case outcome(Result<Answer, any Error>)
        /// It may use the database now, and passes it on afterwards.
        case turn
    }

    private struct State {
        var signal: Signal?
        var isSignalled: Bool { signal != nil }
    }

    private let state = Lock(State())

    func wake(_ signal: Signal) { state.withLock { $0.signal = signal } }

    /// Waits for a signal, and leaves it.
    func isSignalled(within seconds: Double) -> Bool {
        state.withLock(when: \.isSignalled, orAfter: seconds) { $0.isSignalled }
    }

    /// Waits for the next signal, and takes it.
    func wait() -> Signal { state.withLock(when: \.isSignalled) { $0.signal.take()! } }
}
