// What changes, and how to follow it: <doc:FollowingChanges>.
extension SessionManager {
    /// Returns all sessions and a cursor, from one read: what is not in the sessions yet follows after the cursor.
    public func snapshot() throws -> SessionSnapshot {
        try database.read { try SessionTable($0).snapshot() }
    }

    /// Returns the next changes after a cursor, the oldest first; none when nothing has changed since.
    ///
    /// - Parameters:
    ///   - cursor: Where to begin.
    ///   - limit: The greatest number of changes to return.
    /// - Throws: ``ChangeCursorExpiredError`` when changes after the cursor are no longer in the journal, or the cursor is
    ///   another database's. ``DatabaseError`` with the code ``DatabaseError/ResultCode/misuse`` for a limit below 1, and
    ///   with ``DatabaseError/ResultCode/corrupt`` for a damaged change, which it names.
    public func getChanges(after cursor: ChangeCursor, limit: Int = 100) throws -> [SessionChange] {
        try database.read(Self.changes(after: cursor, limit: limit))
    }

    /// Follows the changes after a cursor, as they are made by this manager, another process or someone using the shell.
    ///
    /// For example:
    /// ```swift
    /// for try await change in manager.changes(after: try await manager.snapshot().cursor) {
    ///     print(change.sessionID, change.status?.rawValue ?? "deleted")
    /// }
    /// ```
    ///
    /// A change by this manager comes at once; one by another process within a fifth of a second.
    public func changes(after cursor: ChangeCursor) -> SessionChanges {
        SessionChanges(manager: self, cursor: cursor)
    }

    /// Waits until a session has one of these statuses; returns at once if it has one already.
    ///
    /// It reads the journal, so it doesn't miss a status that lasts for a millisecond only.
    ///
    /// - Returns: The session once the wait has ended. By then its status may be another one.
    /// - Throws: ``SessionNotFoundError`` when there is no such session, or it is deleted meanwhile.
    ///   ``SessionWaitTimeoutError`` when the timeout has passed. `CancellationError` when the task is cancelled.
    @discardableResult
    public func waitForSession(
        _ sessionID: String,
        toBecome statuses: Set<Session.Status>,
        timeout: Duration? = nil
    ) async throws -> Session {
        guard let timeout else { return try await wait(for: sessionID, toBecome: statuses) }
        return try await withThrowingTaskGroup(of: Session.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await self.wait(for: sessionID, toBecome: statuses) }
            group.addTask {
                try await Task.sleep(for: timeout)
                throw SessionWaitTimeoutError(sessionID: sessionID, statuses: statuses)
            }
            // There are two.
            return try await group.next()!
        }
    }

    private func wait(for sessionID: String, toBecome statuses: Set<Session.Status>) async throws -> Session {
        let (session, cursor) = try await database.read { try SessionTable($0).session(sessionID) }
        guard let session else { throw SessionNotFoundError(sessionID: sessionID) }
        if statuses.contains(session.status) { return session }
        for try await change in changes(after: cursor) where change.sessionID.utf8.elementsEqual(sessionID.utf8) {
            guard let status = change.status else { throw SessionNotFoundError(sessionID: sessionID) }
            guard statuses.contains(status) else { continue }
            guard let session = try await getSession(sessionID) else { break }
            return session
        }
        try Task.checkCancellation()
        throw SessionNotFoundError(sessionID: sessionID)
    }
}

/// The same methods for `async` code.
extension SessionManager {
    /// Returns all sessions and a cursor without blocking; see the synchronous method.
    public func snapshot() async throws -> SessionSnapshot {
        try await database.read { try SessionTable($0).snapshot() }
    }

    /// Returns the next changes after a cursor without blocking; see the synchronous method.
    public func getChanges(after cursor: ChangeCursor, limit: Int = 100) async throws -> [SessionChange] {
        try await database.read(Self.changes(after: cursor, limit: limit))
    }
}

// What both kinds of a method share.
extension SessionManager {
    private static func changes(
        after cursor: ChangeCursor,
        limit: Int
    ) throws -> @Sendable (Connection) throws -> [SessionChange] {
        guard limit > 0 else {
            throw DatabaseError(resultCode: .misuse, message: "the limit is \(limit): ask for at least one change")
        }
        return { try ChangeTable($0).changes(after: cursor, limit: limit) }
    }
}
