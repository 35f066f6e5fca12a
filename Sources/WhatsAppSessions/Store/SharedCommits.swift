/// What writes are committed on: a connection that one thread at a time uses.
protocol CommitTarget: AnyObject, SendableMetatype {
    /// Makes the writes in one commit.
    ///
    /// - Returns: The outcome of each, in their order. One that is refused leaves the others alone.
    /// - Throws: When the commit failed, and none of them was made; or, if the error says so, when nobody can tell.
    func commit(_ writes: [SessionWrite], until deadline: ContinuousClock.Instant) throws -> [Result<
        Written, any Error
    >]
}

/// Has writes that wait for the disk at the same time share one commit.
///
/// Whoever comes while nothing is under way commits on its own thread. Whoever comes meanwhile waits; then one of the waiting
/// threads commits for all, or a thread of this type's own if only tasks wait. So a synchronous caller never depends on a
/// thread that somebody else would have to provide.
final class SharedCommits<Target: CommitTarget>: Sendable {
    private struct State {
        /// In the order in which they came.
        var writes: [QueuedWrite] = []
        /// Threads that wait for the target alone. They come before the writes.
        var turns: [WaitingThread] = []
        /// Whether somebody uses the target.
        var isBusy = false
    }

    /// `nil` once it was taken away.
    private let target: Lock<Target?>
    /// How long a write waits for the locks of others.
    private let patience: Duration
    private let thread: Threads
    private let state = Lock(State())

    init(on target: sending Target, patience: Duration, thread: Threads = Threads(limit: 1)) {
        self.target = Lock(target)
        self.patience = patience
        self.thread = thread
    }

    /// How many writes wait.
    var waiting: Int { state.withLock(\.writes.count) }

    func write(_ write: SessionWrite) throws -> Written {
        let deadline = ContinuousClock.now + patience
        // `nil` when the target is free.
        let waiting: WaitingThread? = state.withLock { state in
            guard state.isBusy else {
                state.isBusy = true
                return nil
            }
            let thread = WaitingThread()
            state.writes.append(QueuedWrite(write, until: deadline, for: thread))
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
                state.writes.append(queued)
                defer { state.isBusy = true }
                return !state.isBusy
            }
            if isFree { passOn() }
        }
    }

    /// Runs `body` while nothing is committed. Writes that come meanwhile wait.
    func alone<Value: Sendable>(_ body: (inout Target?) throws -> Value) rethrows -> Value {
        let waiting: WaitingThread? = state.withLock { state in
            guard state.isBusy else {
                state.isBusy = true
                return nil
            }
            let thread = WaitingThread()
            state.turns.append(thread)
            return thread
        }
        _ = waiting?.wait()
        defer { passOn() }
        return try target.withLock(body)
    }

    private func commit(
        _ writes: [SessionWrite],
        until deadline: ContinuousClock.Instant
    ) throws -> [Result<Written, any Error>] {
        try target.withLock { target in
            guard let target else { throw DatabaseError.closed }
            return try target.commit(writes, until: deadline)
        }
    }

    // MARK: Taking turns

    /// Commits all that wait, and passes the target on.
    private func commitWaiting() {
        let writes = state.withLock { state in
            defer { state.writes = [] }
            return state.writes
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
            if !state.turns.isEmpty { return .thread(state.turns.removeFirst()) }
            // Its write stays in the queue, and is among those that it commits.
            if let thread = state.writes.lazy.compactMap(\.thread).first { return .thread(thread) }
            if !state.writes.isEmpty { return .tasks }
            state.isBusy = false
            return .nobody
        }
        switch next {
        case .nobody: break
        case .thread(let thread): thread.wake(.turn)
        case .tasks:
            do {
                try thread.run { self.commitWaiting() }
            } catch {
                let writes = state.withLock { state in
                    defer { state.writes.removeAll { $0.thread == nil } }
                    return state.writes.filter { $0.thread == nil }
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
