/// Hands new changes to the followers of a manager. It reads a change once, however many they are.
///
/// A follower that is behind reads for itself. Followers that are up to date wait here, and one task reads for all of them.
final class ChangeFeed: Sendable {
    /// How long another process's change may go unnoticed.
    static let pollInterval = Duration.milliseconds(100)
    private static let pageSize = 256

    private let store: any SessionStore
    private let state = Lock(FeedState())
    private let isPolling = Lock(false)

    init(_ store: any SessionStore) {
        self.store = store
    }

    /// How many followers are up to date, and wait.
    var waiting: Int { state.withLock(\.waiterCount) }

    /// Returns some changes after a cursor, and waits until there are any; none when the task is cancelled.
    func changes(after cursor: ChangeCursor) async throws -> ArraySlice<SessionChange> {
        while !Task.isCancelled {
            let news: ArraySlice<SessionChange>
            switch state.withLock({ $0.known(after: cursor) }) {
            case .changes(let changes): return changes
            case .newest(let version): news = try await wait(after: cursor, since: version)
            case .unknown(let version):
                let changes = try await read(after: cursor).changes
                news = changes.isEmpty ? try await wait(after: cursor, since: version) : ArraySlice(changes)
            }
            if !news.isEmpty { return news }
        }
        return []
    }

    /// Wakes the followers that wait. Comes after each write of this manager.
    func noteChange() {
        if state.withLock({ $0.note() }) { startReading() }
    }

    private func read(after cursor: ChangeCursor) async throws -> ChangePage {
        let found = try await store.read(.changes(after: cursor, limit: Self.pageSize))
        return ChangePage(
            start: cursor,
            changes: found.changes,
            // By number: a cursor that is good may name an earlier history, and nothing may have changed since.
            hasMore: (found.changes.last?.cursor ?? cursor).number != found.place?.number
        )
    }

    /// Waits for changes after a place that was the newest one at a version.
    ///
    /// - Returns: The new changes, or none if the caller must look again.
    private func wait(after cursor: ChangeCursor, since version: Int) async throws -> ArraySlice<SessionChange> {
        let number = state.withLock { $0.makeNumber() }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let startsReading: Bool? = state.withLock { state in
                    guard !Task.isCancelled else { return nil }
                    return state.add(.init(cursor: cursor, continuation: continuation), number: number, since: version)
                }
                guard let startsReading else { return continuation.resume(returning: []) }
                if startsReading { startReading() }
                startPolling()
            }
        } onCancel: {
            state.withLock { $0.remove(number) }?.continuation.resume(returning: [])
        }
    }

    // MARK: Reading for the followers that wait

    // Detached, so that no task's local values live as long as the followers.
    private func startReading() { Task.detached { await self.readForWaiters() } }

    private func readForWaiters() async {
        while let (cursor, version) = state.withLock({ $0.nextRead() }) {
            // After an error each follower looks for itself, and throws its own.
            let page = try? await read(after: cursor)
            let served = state.withLock { $0.take(page, version: version) }
            for (waiter, news) in served { waiter.continuation.resume(returning: news) }
        }
    }

    // MARK: Other processes

    /// Looks for changes by other processes from now on, as long as a follower waits.
    private func startPolling() {
        guard store.isShared else { return }
        let isFirst = isPolling.withLock { isPolling in
            defer { isPolling = true }
            return !isPolling
        }
        if isFirst { Task.detached { await self.poll() } }
    }

    private func poll() async {
        while keepsPolling() {
            do {
                let newest = try await store.read(.newestPlace).place
                if newest != state.withLock({ $0.newestPlace }) { noteChange() }
            } catch {
                for waiter in state.withLock({ $0.removeAll() }) { waiter.continuation.resume(throwing: error) }
            }
            try? await Task.sleep(for: Self.pollInterval)
        }
    }

    private func keepsPolling() -> Bool {
        isPolling.withLock { isPolling in
            isPolling = waiting > 0
            return isPolling
        }
    }
}
