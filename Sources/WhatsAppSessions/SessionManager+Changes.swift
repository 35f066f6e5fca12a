// What changes, and how to follow it: <doc:FollowingChanges>.
extension SessionManager {
    /// Returns all sessions and a cursor, from one read: what is not in the sessions yet follows after the cursor. Damaged
    /// sessions are left out, and named in ``SessionSnapshot/damages``.
    public func snapshot() throws -> SessionSnapshot {
        try Self.snapshot(store.read(.snapshot))
    }

    /// Returns the place in the journal as it is now: what comes later follows after it.
    public func newestCursor() throws -> ChangeCursor {
        // The journal has a newest place, also an empty one.
        try store.read(.newestPlace).place!
    }

    /// Returns the next changes after a cursor, the oldest first; none when nothing has changed since.
    ///
    /// - Parameters:
    ///   - cursor: Where to begin.
    ///   - limit: The greatest number of changes to return.
    /// - Throws: ``ChangeCursorExpiredError`` when changes after the cursor are no longer in the journal, the first one is
    ///   damaged, or the cursor is from another database or from a later state of this one. ``DatabaseError`` with the code
    ///   ``DatabaseError/ResultCode/misuse`` for a limit below 1.
    public func getChanges(after cursor: ChangeCursor, limit: Int = 100) throws -> [SessionChange] {
        try store.read(Self.changes(after: cursor, limit: limit)).changes
    }

    /// Returns the last changes of one session, the newest first, as far as they are still in the journal. A deleted session has them
    /// too. Damaged changes are left out.
    ///
    /// The journal is read from its end, which takes milliseconds if the session has fewer than `limit` changes in it.
    ///
    /// - Parameters:
    ///   - sessionID: The session.
    ///   - limit: The greatest number of changes to return.
    /// - Throws: ``DatabaseError`` with the code ``DatabaseError/ResultCode/misuse`` for a limit below 1.
    public func getChanges(of sessionID: String, limit: Int = 100) throws -> [SessionChange] {
        try store.read(.history(id: sessionID, limit: Self.atLeastOne(limit))).changes
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
        SessionChanges(feed: feed, cursor: cursor, manager: self)
    }

    /// Waits until a session has one of these statuses; returns at once if it has one already.
    ///
    /// It reads the journal, so it doesn't miss a status that lasts for a millisecond only, unless more than 100,000 changes
    /// come at once.
    ///
    /// - Returns: The session once the wait has ended. By then its status may be another one.
    /// - Throws: ``SessionNotFoundError`` when there is no such session, or it is deleted meanwhile.
    ///   ``SessionWaitTimeoutError`` when the timeout has passed. `CancellationError` when the task is cancelled.
    ///   ``DatabaseError`` with the code ``DatabaseError/ResultCode/misuse`` when there is no status to wait for.
    @discardableResult
    public func waitForSession(
        _ sessionID: String,
        toBecome statuses: Set<Session.Status>,
        timeout: Duration? = nil
    ) async throws -> Session {
        guard !statuses.isEmpty else {
            throw DatabaseError(resultCode: .misuse, message: "there is no status to wait for: name at least one")
        }
        let (session, cursor) = try await sessionAndCursor(sessionID)
        if statuses.contains(session.status) { return session }
        guard let timeout else { return try await wait(for: sessionID, toBecome: statuses, after: cursor) }
        return try await withThrowingTaskGroup(of: Session.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await self.wait(for: sessionID, toBecome: statuses, after: cursor) }
            group.addTask {
                // Past 64 bits of nanoseconds, either way, a sleep is lost or ends the process: this is 136 years.
                try await Task.sleep(for: min(max(timeout, .zero), .seconds(1 << 32)))
                throw SessionWaitTimeoutError(sessionID: sessionID, statuses: statuses)
            }
            // There are two.
            return try await group.next()!
        }
    }

    private func wait(
        for sessionID: String,
        toBecome statuses: Set<Session.Status>,
        after cursor: ChangeCursor
    ) async throws -> Session {
        do {
            for try await change in changes(after: cursor) where change.sessionID.utf8.elementsEqual(sessionID.utf8) {
                guard let status = change.status else { throw SessionNotFoundError(sessionID: sessionID) }
                if statuses.contains(status) { return try await sessionAndCursor(sessionID).session }
            }
            // The changes end when the task is cancelled.
            throw CancellationError()
        } catch is ChangeCursorExpiredError {
            let (session, newest) = try await sessionAndCursor(sessionID)
            if statuses.contains(session.status) { return session }
            return try await wait(for: sessionID, toBecome: statuses, after: newest)
        }
    }

    private func sessionAndCursor(_ id: String) async throws -> (session: Session, cursor: ChangeCursor) {
        let found = try await store.read(.sessionAndPlace(id: id))
        guard let session = found.session else { throw SessionNotFoundError(sessionID: id) }
        return (session, found.place!)
    }
}

/// The same methods for `async` code.
extension SessionManager {
    /// Returns all sessions and a cursor without blocking; see the synchronous method.
    public func snapshot() async throws -> SessionSnapshot {
        try await Self.snapshot(store.read(.snapshot))
    }

    /// Returns the next changes after a cursor without blocking; see the synchronous method.
    public func getChanges(after cursor: ChangeCursor, limit: Int = 100) async throws -> [SessionChange] {
        try await store.read(Self.changes(after: cursor, limit: limit)).changes
    }

    /// Returns the last changes of one session, the newest first, without blocking; see the synchronous method.
    public func getChanges(of sessionID: String, limit: Int = 100) async throws -> [SessionChange] {
        try await store.read(.history(id: sessionID, limit: Self.atLeastOne(limit))).changes
    }

    /// Returns the place in the journal as it is now, without blocking.
    public func newestCursor() async throws -> ChangeCursor {
        try await store.read(.newestPlace).place!
    }
}

// What both kinds of a method share.
extension SessionManager {
    private static func snapshot(_ found: Found) -> SessionSnapshot {
        // A snapshot has a place.
        SessionSnapshot(sessions: found.sessions, cursor: found.place!, damages: found.damages)
    }

    private static func changes(after cursor: ChangeCursor, limit: Int) throws -> SessionRead {
        .changes(after: cursor, limit: try atLeastOne(limit))
    }
}
