import WhatsAppSessions

/// Does what operators ask for.
struct Operators: Sendable {
    let manager: SessionManager
    /// Shared with the workers' events, so that none comes between the look at a session and its update.
    let turns: Turns

    /// - Throws: `SessionNotFoundError`, or ``Problem`` when it makes no sense for the session as it is.
    func order(_ command: Command, for sessionID: String) async throws -> Session {
        try await turns.take(sessionID) {
            guard let session = try await manager.getSession(sessionID) else {
                throw SessionNotFoundError(sessionID: sessionID)
            }
            var updates = try command.updates(for: session)
            updates.forgetLoggedOutAccount(of: session)
            return try await manager.updateSession(sessionID, updates)
        }
    }
}
