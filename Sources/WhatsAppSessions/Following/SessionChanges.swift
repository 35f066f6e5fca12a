/// The changes after a cursor, without an end.
///
/// Each comes once and in order. The journal is the buffer: a slow consumer misses nothing unless it falls more than 100,000
/// changes behind. The sequence ends when its task is cancelled.
///
/// It throws ``ChangeCursorExpiredError`` when changes after the cursor are no longer in the journal or the next one is damaged, and
/// ``DatabaseError`` when the manager is closed, its file was moved, or SQLite cannot read the journal.
public struct SessionChanges: AsyncSequence, Sendable {
    let feed: ChangeFeed
    let cursor: ChangeCursor
    /// Keeps the manager open.
    let manager: any AnyObject & Sendable

    public func makeAsyncIterator() -> Iterator { Iterator(changes: self) }

    /// Reads the changes page by page, and holds no read open between two.
    public struct Iterator: AsyncIteratorProtocol, Sendable {
        private let changes: SessionChanges
        private var cursor: ChangeCursor
        private var page: ArraySlice<SessionChange> = []

        fileprivate init(changes: SessionChanges) {
            self.changes = changes
            cursor = changes.cursor
        }

        /// Returns the next change, and waits until there is one; `nil` when the task is cancelled.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws -> SessionChange? {
            guard !Task.isCancelled else { return nil }
            if page.isEmpty { page = try await changes.feed.changes(after: cursor) }
            guard let change = page.popFirst() else { return nil }
            cursor = change.cursor
            return change
        }

        /// The same.
        public mutating func next() async throws -> SessionChange? { try await next(isolation: nil) }
    }
}
