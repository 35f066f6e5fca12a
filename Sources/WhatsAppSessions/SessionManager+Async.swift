// The methods for `async` code. In a file none blocks a thread of Swift's cooperative pool; in memory a list takes as long as it
// takes, and changes wait for it.

import Foundation

extension SessionManager {
    /// Creates a session without blocking; see the synchronous method.
    @discardableResult
    public func createSession(_ sessionID: String? = nil) async throws -> Session {
        let id = Self.id(sessionID)
        guard let session = try await write(.create(id: id, at: Date.millisecondsNow)).session else {
            throw SessionAlreadyExistsError(sessionID: id)
        }
        return session
    }

    /// Returns the session with this id, or `nil`, without blocking.
    public func getSession(_ sessionID: String) async throws -> Session? {
        try await store.session(sessionID)
    }

    /// Returns all sessions in order of creation, without blocking.
    public func getAllSessions() async throws -> [Session] {
        try await store.read(.list(nil)).sessions
    }

    /// Returns the sessions that have this status, without blocking.
    public func getSessions(status: Session.Status) async throws -> [Session] {
        try await store.read(.list(status)).sessions
    }

    /// Returns the next sessions of a list, in order of creation, without blocking; see the synchronous method.
    public func getSessions(status: Session.Status?, after place: Int64 = 0, limit: Int) async throws -> SessionPage {
        try await Self.page(store.read(.page(status, after: place, limit: Self.atLeastOne(limit))))
    }

    /// Returns how many sessions have each status, without blocking.
    public func countSessions() async throws -> [Session.Status: Int] {
        try await store.read(.counts).counts
    }

    /// Changes some fields of a session without blocking; see the synchronous method.
    @discardableResult
    public func updateSession(_ sessionID: String, _ updates: SessionUpdates) async throws -> Session {
        try await Self.found(write(Self.update(of: sessionID, updates)), sessionID)
    }

    /// Deletes a session without blocking; `false` when there was none.
    @discardableResult
    public func deleteSession(_ sessionID: String) async throws -> Bool {
        try await write(.delete(id: sessionID)).deleted > 0
    }

    /// Returns whether there is a session with this id, without blocking.
    public func sessionExists(_ sessionID: String) async throws -> Bool {
        try await store.exists(sessionID)
    }

    /// Marks the sessions that a dead process left behind, without blocking; see the synchronous method.
    @discardableResult
    public func recoverSessions() async throws -> [Session] {
        try await Self.recovered(write(.recover(onlyLeased: false, at: Date.millisecondsNow)))
    }

    /// Writes a consistent copy of the database to a new file without blocking; see the synchronous method.
    public func backUp(to path: String) async throws {
        try owner.requireThisProcess()
        // The synchronous method, which the type chooses.
        let backUp: @Sendable (String) throws -> Void = backUp
        try await copying.run { try backUp(path) }
    }

    /// Brings the sessions of a file into this database without blocking; see the synchronous method.
    public func restoreSessions(from path: String) async throws {
        try owner.requireThisProcess()
        let restore: @Sendable (String) throws -> Void = restoreSessions
        try await copying.run { try restore(path) }
    }

    /// Closes the manager without blocking; see the synchronous method.
    public func close() async throws {
        try owner.requireThisProcess()
        let close: @Sendable () throws -> Void = close
        try await closing.run { try close() }
    }
}
