/// What calls are made on: a connection that one thread at a time uses.
protocol CallTarget: AnyObject, SendableMetatype {
    associatedtype Call: Sendable
    associatedtype Answer: Sendable

    /// Whether a call can be made together with the first of those that wait.
    static func canMake(_ call: Call, with first: Call) -> Bool

    /// Makes the calls together: writes in one commit, reads in one round trip.
    ///
    /// - Returns: The outcome of each, in their order. One that is refused leaves the others alone.
    /// - Throws: When this failed, and none of them was made; or, if the error says so, when the outcome is unknown.
    func make(_ calls: [Call], until deadline: ContinuousClock.Instant) throws -> [Result<Answer, any Error>]
}

extension CallTarget {
    static func canMake(_ call: Call, with first: Call) -> Bool { true }
}

/// Has calls that wait at the same time be made together: writes share one commit, and so one wait for the disk.
///
/// A caller that finds the target free uses it on its own thread. Later callers wait; then one of the waiting threads makes the calls of
/// all of them, or a thread of this type if only tasks wait. So a synchronous caller never needs a thread from a pool.
final class SharedCalls<Target: CallTarget>: Sendable {
    typealias Call = Target.Call
    typealias Answer = Target.Answer
    private typealias Queued = QueuedCall<Call, Answer>
    private typealias Waiter = WaitingThread<Answer>

    private enum Waiting {
        case call(Queued)
        /// A thread that waits for the target alone.
        case turn(Waiter)

        var call: Queued? {
            if case .call(let call) = self { call } else { nil }
        }

        var turn: Waiter? {
            if case .turn(let thread) = self { thread } else { nil }
        }
    }

    private struct State {
        /// In the order in which they came.
        var queue: [Waiting] = []
        /// Whether the target is in use.
        var isBusy = false

        /// Which calls are made next: the first, and those behind it that can be made with it.
        private var next: [Int] {
            guard let first = queue.first?.call else { return [] }
            var places: [Int] = []
            for place in queue.indices {
                guard let call = queue[place].call, places.count < SharedCalls.batch else { break }
                if places.isEmpty || Target.canMake(call.call, with: first.call) { places.append(place) }
            }
            return places
        }

        /// A thread that waits for one of the calls that are made next.
        var nextThread: Waiter? {
            for place in next { if let thread = queue[place].call?.thread { return thread } }
            return nil
        }

        mutating func takeNext() -> [Queued] {
            let places = next
            let calls = places.compactMap { queue[$0].call }
            if places.last == places.count - 1 {
                queue.removeFirst(places.count)
            } else {
                for place in places.reversed() { queue.remove(at: place) }
            }
            return calls
        }
    }

    /// How many calls may be made together. Writes should not make a log long by themselves.
    private static var batch: Int { 256 }

    /// `nil` once it was taken away.
    private let target: Lock<Target?>
    /// How long a call waits for the locks of others.
    private let patience: Duration
    /// For calls of tasks.
    private let threads: Threads
    private let state = Lock(State())

    init(on target: sending Target, patience: Duration, threads: Threads = Threads(limit: 1)) {
        self.target = Lock(target)
        self.patience = patience
        self.threads = threads
    }

    /// How many threads wait for the target alone.
    var waitingTurns: Int { state.withLock { $0.queue.count { $0.call == nil } } }

    /// How many calls wait or are being made, where those that are made together count as one.
    var load: Int { state.withLock { $0.queue.count + ($0.isBusy ? 1 : 0) } }

    /// How many calls wait.
    var waiting: Int { state.withLock { $0.queue.count { $0.call != nil } } }

    func make(_ call: Call) throws -> Answer {
        let deadline = ContinuousClock.now + patience
        // `nil` when the target is free.
        let waiting: Waiter? = state.withLock { state in
            guard state.isBusy else {
                state.isBusy = true
                return nil
            }
            let thread = Waiter()
            state.queue.append(.call(Queued(call, until: deadline, for: thread)))
            return thread
        }
        guard let waiting else {
            defer { passOn() }
            return try make([call], until: deadline)[0].get()
        }
        while true {
            switch waiting.wait() {
            case .outcome(let outcome): return try outcome.get()
            case .turn: makeWaiting()
            }
        }
    }

    func make(_ call: Call) async throws -> Answer {
        try await withCheckedThrowingContinuation { task in
            let queued = Queued(call, until: .now + patience, for: task)
            let isFree = state.withLock { state in
                state.queue.append(.call(queued))
                defer { state.isBusy = true }
                return !state.isBusy
            }
            if isFree { passOn() }
        }
    }

    /// Runs `body` while no call is made, after the calls that wait already. Calls that come meanwhile wait.
    ///
    /// - Parameter seconds: How long to wait for that, if not for ever; then `body` doesn't run, and the result is `nil`.
    func alone<Value: Sendable>(
        within seconds: Double? = nil,
        _ body: (inout Target?) throws -> Value
    ) rethrows -> Value? {
        let waiting: Waiter? = state.withLock { state in
            guard state.isBusy else {
                state.isBusy = true
                return nil
            }
            let thread = Waiter()
            state.queue.append(.turn(thread))
            return thread
        }
        if let waiting, let seconds, !waiting.isSignalled(within: seconds), takesBack(waiting) { return nil }
        _ = waiting?.wait()
        defer { passOn() }
        return try target.withLock(body)
    }

    /// Takes a turn out of the queue; `false` if it came in this moment.
    private func takesBack(_ turn: Waiter) -> Bool {
        state.withLock { state in
            let place = state.queue.firstIndex { $0.turn === turn }
            if let place { state.queue.remove(at: place) }
            return place != nil
        }
    }

    private func make(_ calls: [Call], until deadline: ContinuousClock.Instant) throws -> [Result<Answer, any Error>] {
        try target.withLock { target in
            guard let target else { throw DatabaseError.closed }
            return try target.make(calls, until: deadline)
        }
    }

    // MARK: Taking turns

    /// Makes the calls that wait, and passes the target on.
    private func makeWaiting() {
        let calls = state.withLock { $0.takeNext() }
        if !calls.isEmpty { make(calls) }
        passOn()
    }

    private func make(_ calls: [Queued]) {
        do {
            let outcomes = try make(calls.map(\.call), until: calls[0].deadline)
            for (call, outcome) in zip(calls, outcomes) { call.finish(outcome) }
        } catch let error as DatabaseError where .busy ~= error.resultCode && calls.count > 1 {
            // The time of the first is over; the others wait on.
            calls[0].finish(.failure(error))
            make(Array(calls.dropFirst()))
        } catch let error as DatabaseError where error.isOutcomeUnknown || calls.count == 1 {
            for call in calls { call.finish(.failure(error)) }
        } catch {
            // Something took all of them back, so each is made alone, and hears its own outcome.
            for call in calls {
                call.finish(Result { try make([call.call], until: call.deadline)[0].get() })
            }
        }
    }

    /// Gives the target to the next one that waits.
    private func passOn() {
        let next: NextTurn<Answer> = state.withLock { state in
            if let thread = state.queue.first?.turn {
                state.queue.removeFirst()
                return .thread(thread)
            }
            // Its call stays in the queue, and is among those that it makes.
            if let thread = state.nextThread { return .thread(thread) }
            if !state.queue.isEmpty { return .tasks }
            state.isBusy = false
            return .nobody
        }
        switch next {
        case .nobody: break
        case .thread(let thread): thread.wake(.turn)
        case .tasks:
            do {
                try threads.run { self.makeWaiting() }
            } catch {
                for call in state.withLock({ $0.takeNext() }) { call.finish(.failure(error)) }
                passOn()
            }
        }
    }
}

/// Who uses the target of shared calls next.
private enum NextTurn<Answer: Sendable> {
    case nobody
    case thread(WaitingThread<Answer>)
    /// Only tasks wait, which have no thread to use it on.
    case tasks
}
