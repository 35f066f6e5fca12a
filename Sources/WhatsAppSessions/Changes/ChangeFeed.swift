import Synchronization

/// Hands new changes to those who wait for them. It reads a change once, however many wait.
final class ChangeFeed: Sendable {
    private struct Waiter {
        let cursor: ChangeCursor
        let continuation: CheckedContinuation<ArraySlice<SessionChange>, any Error>
    }

    private struct State {
        var waiters: [Int: Waiter] = [:]
        var nextWaiter = 0
        /// Counts the changes that were noted.
        var version = 0
        var isServing = false
        var isPolling = false
        /// Counts the pages that were read, for the tests.
        var reads = 0
    }

    /// How long another process's change may go unnoticed.
    static let pollInterval = Duration.milliseconds(100)
    private static let pageSize = 256

    private let database: Database
    /// Those who follow right now. Without any, noting a change costs one look at this.
    private let followers = Atomic(0)
    private let state = Lock(State())

    init(_ database: Database) {
        self.database = database
    }

    var waiting: Int { state.withLock(\.waiters.count) }
    var isPolling: Bool { state.withLock(\.isPolling) }
    var version: Int { state.withLock(\.version) }
    var reads: Int { state.withLock(\.reads) }

    /// Returns some changes after a cursor, and waits until there are any; none when the task is cancelled.
    func changes(after cursor: ChangeCursor) async throws -> ArraySlice<SessionChange> {
        // Before the read, so that no change comes unnoted between the read and the wait.
        followers.add(1, ordering: .sequentiallyConsistent)
        defer { followers.subtract(1, ordering: .sequentiallyConsistent) }
        while !Task.isCancelled {
            let version = self.version
            let changes = try await read(after: cursor)
            if !changes.isEmpty { return ArraySlice(changes) }
            let news = try await wait(after: cursor, since: version)
            if !news.isEmpty { return news }
        }
        return []
    }

    /// Wakes those who wait. Comes after each change by this manager.
    func noteChange() {
        guard followers.load(ordering: .sequentiallyConsistent) > 0 else { return }
        let mustServe = state.withLock { state in
            state.version += 1
            guard !state.waiters.isEmpty, !state.isServing else { return false }
            state.isServing = true
            return true
        }
        // Detached, so that nobody's task-local values live as long as the followers.
        if mustServe { Task.detached { await self.serveWaiters() } }
    }

    private func read(after cursor: ChangeCursor) async throws -> [SessionChange] {
        state.withLock { $0.reads += 1 }
        return try await database.read { try ChangeTable($0).changes(after: cursor, limit: Self.pageSize) }
    }

    // MARK: Waiting

    /// Waits for changes after the newest place.
    ///
    /// - Returns: The new changes, or none if the caller must read again.
    private func wait(after cursor: ChangeCursor, since version: Int) async throws -> ArraySlice<SessionChange> {
        let number = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let isWaiting = state.withLock { state in
                    guard !Task.isCancelled, state.version == version else { return false }
                    state.waiters[number] = Waiter(cursor: cursor, continuation: continuation)
                    return true
                }
                guard isWaiting else { return continuation.resume(returning: []) }
                startPolling()
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: number) }?.continuation.resume(returning: [])
        }
    }

    /// Reads what is new, for all who wait, until nothing is.
    private func serveWaiters() async {
        var seen: Int?
        while let (cursor, version) = oldestWaiter(since: seen) {
            // After an error each waiter reads for itself, and throws its own.
            let page = (try? await read(after: cursor)).map { ChangePage(start: cursor, changes: $0) }
            let served = state.withLock { state in
                var served: [(waiter: Waiter, news: ArraySlice<SessionChange>)] = []
                for (number, waiter) in state.waiters {
                    let news = page?.changes(after: waiter.cursor)
                    if news?.isEmpty == true { continue }
                    state.waiters[number] = nil
                    served.append((waiter, news ?? []))
                }
                return served
            }
            for (waiter, news) in served { waiter.continuation.resume(returning: news) }
            // The page may have ended before the place at which someone else waits.
            seen = served.isEmpty ? version : nil
        }
    }

    /// The oldest place at which somebody waits; `nil`, and nobody is served any more, when nothing was noted since.
    private func oldestWaiter(since seen: Int?) -> (cursor: ChangeCursor, version: Int)? {
        state.withLock { state in
            let oldest = state.waiters.values.lazy.map(\.cursor).min { $0.number < $1.number }
            guard let oldest, state.version != seen else {
                state.isServing = false
                return nil
            }
            return (oldest, state.version)
        }
    }

    // MARK: Other processes

    /// Looks for changes by other processes from now on, as long as somebody waits. Nobody else changes a database in memory.
    private func startPolling() {
        guard case .file(let file) = database else { return }
        let isFirst = state.withLock { state in
            let wasPolling = state.isPolling
            state.isPolling = true
            return !wasPolling
        }
        if isFirst { Task.detached { await self.poll(file) } }
    }

    private func poll(_ file: FileDatabase) async {
        var seen: Int64?
        while keepsPolling() {
            do {
                let version = try await file.version()
                // Once at first too: something may have come before.
                if version != seen { noteChange() }
                seen = version
            } catch {
                fail(error)
            }
            try? await Task.sleep(for: Self.pollInterval)
        }
    }

    private func keepsPolling() -> Bool {
        state.withLock { state in
            state.isPolling = !state.waiters.isEmpty
            return state.isPolling
        }
    }

    private func fail(_ error: any Error) {
        let waiters = state.withLock { state in
            let waiters = state.waiters.values
            state.waiters = [:]
            return Array(waiters)
        }
        for waiter in waiters { waiter.continuation.resume(throwing: error) }
    }
}
