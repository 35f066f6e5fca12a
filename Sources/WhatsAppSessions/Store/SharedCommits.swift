/// What writes are committed on: a connection that one thread at a time uses.
protocol CommitTarget: AnyObject, SendableMetatype {
    /// Makes the writes in one commit.
    ///
    /// - Returns: The outcome of each, in their order. One that is refused leaves the others alone.
    /// - Throws: When the commit failed, and none of them was made; or, if the error says so, when the outcome is unknown.
    func commit(_ writes: [SessionWrite], until deadline: ContinuousClock.Instant) throws -> [Outcome]
}

/// Has writes that wait for the disk at the same time share one commit.
///
/// A caller that finds the target free commits on its own thread. Later callers wait; then one of the waiting threads commits for
/// all of them, or a thread of this type if only tasks wait. So a synchronous caller never needs a thread from a pool.
final class SharedCommits<Target: CommitTarget>: Sendable {
    private enum Waiting {
        case write(QueuedWrite)
        /// A thread that waits for the target alone.
        case turn(WaitingThread)

        var write: QueuedWrite? {
            if case .write(let write) = self { write } else { nil }
        }

        var turn: WaitingThread? {
            if case .turn(let thread) = self { thread } else { nil }
        }
    }

    private struct State {
        /// In the order in which they came.
        var queue: [Waiting] = []
        /// Whether the target is in use.
        var isBusy = false

        /// The writes at the head of the queue, which share the next commit.
        var nextWrites: [QueuedWrite] {
            var writes: [QueuedWrite] = []
            for waiting in queue.prefix(SharedCommits.batch) {
                guard let write = waiting.write else { break }
                writes.append(write)
            }
            return writes
        }
    }

    /// How many writes may share a commit. They should not make a log long by themselves.
    private static var batch: Int { 256 }

    /// `nil` once it was taken away.
    private let target: Lock<Target?>
    /// How long a write waits for the locks of others.
    private let patience: Duration
    /// For writes of tasks.
    private let threads: Threads
    private let state = Lock(State())

    init(on target: sending Target, patience: Duration, threads: Threads = Threads(limit: 1)) {
        self.target = Lock(target)
        self.patience = patience
        self.threads = threads
    }

    /// How many threads wait for the target alone.
    var waitingTurns: Int { state.withLock { $0.queue.count { $0.write == nil } } }

    /// How many writes wait.
    var waiting: Int { state.withLock { $0.queue.count { $0.write != nil } } }

    func write(_ write: SessionWrite) throws -> Written {
        let deadline = ContinuousClock.now + patience
        // `nil` when the target is free.
        let waiting: WaitingThread? = state.withLock { state in
            guard state.isBusy else {
                state.isBusy = true
                return nil
            }
            let thread = WaitingThread()
            state.queue.append(.write(QueuedWrite(write, until: deadline, for: thread)))
            return thread
        }
        guard let waiting else {
            defer { passOn() }
            return try commit([write], until: deadline)[0].get()
        }
        while true {
            switch waiting.wait() {
            case .outcome(let outcome): return try outcome.get()
            case .turn: commitWaiting()
            }
        }
    }

    func write(_ write: SessionWrite) async throws -> Written {
        try await withCheckedThrowingContinuation { task in
            let queued = QueuedWrite(write, until: .now + patience, for: task)
            let isFree = state.withLock { state in
                state.queue.append(.write(queued))
                defer { state.isBusy = true }
                return !state.isBusy
            }
            if isFree { passOn() }
        }
    }

    /// Runs `body` while nothing is committed, after the writes that wait already. Writes that come meanwhile wait.
    ///
    /// - Parameter seconds: How long to wait for that, if not for ever; then `body` doesn't run, and the result is `nil`.
    func alone<Value: Sendable>(
        within seconds: Double? = nil,
        _ body: (inout Target?) throws -> Value
    ) rethrows -> Value? {
        let waiting: WaitingThread? = state.withLock { state in
            guard state.isBusy else {
                state.isBusy = true
                return nil
            }
            let thread = WaitingThread()
            state.queue.append(.turn(thread))
            return thread
        }
        if let waiting, let seconds, !waiting.isSignalled(within: seconds), takesBack(waiting) { return nil }
        _ = waiting?.wait()
        defer { passOn() }
        return try target.withLock(body)
    }

    /// Takes a turn out of the queue; `false` if it came in this moment.
    private func takesBack(_ turn: WaitingThread) -> Bool {
        state.withLock { state in
            let place = state.queue.firstIndex { $0.turn === turn }
            if let place { state.queue.remove(at: place) }
            return place != nil
        }
    }

    private func commit(
        _ writes: [SessionWrite],
        until deadline: ContinuousClock.Instant
    ) throws -> [Outcome] {
        try target.withLock { target in
            guard let target else { throw DatabaseError.closed }
            return try target.commit(writes, until: deadline)
        }
    }

    // MARK: Taking turns

    /// Commits the writes that wait, and passes the target on.
    private func commitWaiting() {
        let writes = state.withLock { state in
            let writes = state.nextWrites
            state.queue.removeFirst(writes.count)
            return writes
        }
        if !writes.isEmpty { commit(writes) }
        passOn()
    }

    private func commit(_ writes: [QueuedWrite]) {
        do {
            let outcomes = try commit(writes.map(\.write), until: writes[0].deadline)
            for (write, outcome) in zip(writes, outcomes) { write.finish(outcome) }
        } catch let error as DatabaseError where error.isOutcomeUnknown || writes.count == 1 {
            for write in writes { write.finish(.failure(error)) }
        } catch let error as DatabaseError where .busy ~= error.resultCode {
            // The time of the first is over; the others wait on.
            writes[0].finish(.failure(error))
            commit(Array(writes.dropFirst()))
        } catch {
            // Something took all of them back, so each is made alone, and hears its own outcome.
            for write in writes {
                write.finish(Result { try commit([write.write], until: write.deadline)[0].get() })
            }
        }
    }

    /// Gives the target to the next one that waits.
    private func passOn() {
        let next: NextTurn = state.withLock { state in
            if let thread = state.queue.first?.turn {
                state.queue.removeFirst()
                return .thread(thread)
            }
            let writes = state.nextWrites
            // Its write stays in the queue, and is among those that it commits.
            if let thread = writes.lazy.compactMap(\.thread).first { return .thread(thread) }
            if !writes.isEmpty { return .tasks }
            state.isBusy = false
            return .nobody
        }
        switch next {
        case .nobody: break
        case .thread(let thread): thread.wake(.turn)
        case .tasks:
            do {
                try threads.run { self.commitWaiting() }
            } catch {
                let writes = state.withLock { state in
                    let writes = state.nextWrites
                    state.queue.removeFirst(writes.count)
                    return writes
                }
                for write in writes { write.finish(.failure(error)) }
                passOn()
            }
        }
    }
}

/// Who uses the target of shared commits next.
private enum NextTurn {
    case nobody
    case thread(WaitingThread)
    /// Only tasks wait, which have no thread to commit on.
    case tasks
}
