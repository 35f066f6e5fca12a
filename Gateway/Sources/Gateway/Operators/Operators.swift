import WhatsAppSessions

/// Does what operators ask for.
struct Operators: Sendable {
    let manager: SessionManager
    /// Shared with the workers' events, so that none of this gateway's comes between the look at a session and its update.
    let turns: Turns

    /// - Throws: `SessionNotFoundError`, or ``Problem`` when it makes no sense for the session as it is.
    func order(_ command: Command, for sessionID: String) async throws -> Session {
        try await turns.take(sessionID) {
            guard let session = try await manager.getSession(sessionID) else {
                throw SessionNotFoundError(sessionID: sessionID)
            }
            return try await obey(command, of: session)
        }
    }

    /// Does what was ordered, for whoever has the session's turn.
    func obey(_ command: Command, of session: Session) async throws -> Session {
        var updates = try command.updates(for: session)
        updates.forgetLoggedOutAccount(of: session)
        let updated: Session
        do {
            updated = try await manager.updateSession(session.id, updates)
        } catch let error as InvalidSessionUpdateError {
            // What it would have broken may have changed too.
            guard let now = try await manager.getSession(session.id), now.status != session.status else { throw error }
            return try await obey(command, of: now)
        }
        // Another gateway had news of the session meanwhile: apply the order to the session as it is now.
        guard updated.status != updates.status ?? session.status || updated.holder != session.holder else {
            return updated
        }
        do {
            return try await obey(command, of: updated)
        } catch let problem as Problem {
            // By now it makes no sense: the account was logged out meanwhile, for instance.
            try await manager.updateSession(session.id, SessionUpdates(wish: .clear))
            throw problem
        }
    }
}
