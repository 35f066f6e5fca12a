import Synchronization

/// Hands new changes to those who wait for them. It reads a change once, however many wait.
final class ChangeFeed: Sendable {
    private struct Waiter {
        let cursor: ChangeCursor
        let continuation: CheckedContinuation<[SessionChange], any Error>
    }

    private struct State {
        var waiters: [Int: Waiter] = [:]
        var nextWaiter = 0
        /// Counts the changes that were noted.
        var version = 0
        /// Counts the pages that were read.
        var reads = 0
        var isLooking = false
        var isPolling = false
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
    var reads: Int { state.withLock(\.reads) }
    var isPolling: Bool { state.withLock(\.isPolling) }

    /// Returns some changes after a cursor, and waits until there are any; none when the task is cancelled.
    func changes(after cursor: ChangeCursor) async throws -> [SessionChange] {
        // Before the read, so that no change comes unnoted between the read and the wait.
        followers.add(1, ordering: .sequentiallyConsistent)
        defer { followers.subtract(1, ordering: .sequentiallyConsistent) }
        while !Task.isCancelled {
            let version = state.withLock(\.version)
            let changes = try await read(after: cursor)
            if !changes.isEmpty { return changes }
            let news = try await wait(after: cursor, since: version)
            if !news.isEmpty { return news }
        }
        return []
    }

    /// Wakes those who wait. Comes after each change by this manager.
    func noteChange() {
        guard followers.load(ordering: .sequentiallyConsistent) > 0 else { return }
        let mustLook = state.withLock { state in
            state.version += 1
            defer { if !state.waiters.isEmpty { state.isLooking = true } }
            return !state.isLooking && !state.waiters.isEmpty
        }
        if mustLook { Task { await look() } }
    }

    private func read(after cursor: ChangeCursor) async throws -> [SessionChange] {
        state.withLock { $0.reads += 1 }
        return try await database.read { try ChangeTable($0).changes(after: cursor, limit: Self.pageSize) }
    }

    /// Waits for changes after the newest place.
    ///
    /// - Returns: What came, or nothing where a read must tell.
    private func wait(after cursor: ChangeCursor, since version: Int) async throws -> [SessionChange] {
        let number = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let (isOver, mustPoll) = state.withLock { state in
                    if Task.isCancelled || state.version != version { return (true, false) }
                    state.waiters[number] = Waiter(cursor: cursor, continuation: continuation)
                    defer { state.isPolling = true }
                    return (false, !state.isPolling)
                }
                if isOver { continuation.resume(returning: []) }
                if mustPoll { Task { await poll() } }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: number) }?.continuation.resume(returning: [])
        }
    }

    /// Reads what is new, for all who wait, until nothing is.
    private func look() async {
        var looked: Int?
        while let (oldest, version) = nextLook(after: looked) {
            looked = version
            let page = try? await read(after: oldest)
            let served = state.withLock { state in
                let served = state.waiters.filter { _, waiter in
                    // Whoever waits for an error reads it.
                    page.map { ($0.last?.cursor.number ?? 0) > waiter.cursor.number } ?? true
                }
                for number in served.keys { state.waiters[number] = nil }
                return Array(served.values)
            }
            for waiter in served {
                let news = page?.drop { $0.cursor.number <= waiter.cursor.number } ?? []
                waiter.continuation.resume(returning: Array(news))
            }
        }
    }

    /// The oldest place at which somebody waits; `nil` when there is nothing to look for.
    private func nextLook(after looked: Int?) -> (oldest: ChangeCursor, version: Int)? {
        state.withLock { state in
            let oldest = state.waiters.values.lazy.map(\.cursor).min { $0.number < $1.number }
            guard let oldest, state.version != looked else {
                state.isLooking = false
                return nil
            }
            return (oldest, state.version)
        }
    }

    /// Looks for changes by other processes as long as somebody waits.
    private func poll() async {
        var seen: Int64?
        while state.withLock({ state in
            state.isPolling = !state.waiters.isEmpty
            return state.isPolling
        }) {
            do {
                let version = try await database.version()
                // Once at first too: something may have come before.
                if version != seen { noteChange() }
                seen = version
            } catch {
                fail(error)
            }
            try? await Task.sleep(for: Self.pollInterval)
        }
    }

    private func fail(_ error: any Error) {
        let waiters = state.withLock { state in
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.continuation.resume(throwing: error) }
    }
}
