import WhatsAppSessions

/// Where workers' events become updates of sessions.
struct WorkerEvents: Sendable {
    let manager: SessionManager
    let turns: Turns
    let leases: WorkerLeases

    /// Does what an event asks for, after the events of the same session that came before.
    ///
    /// - Returns: The session, or `nil` when the event says nothing about it.
    /// - Throws: `SessionNotFoundError` when the session was deleted, and `InvalidSessionUpdateError` for an event that
    ///   comes too late. Either way nothing has changed.
    func receive(_ event: WorkerEvent, for sessionID: String) async throws -> Session? {
        try await turns.take(sessionID) {
            guard var session = try await manager.getSession(sessionID) else {
                throw SessionNotFoundError(sessionID: sessionID)
            }
            if let report = event.report {
                let updates = report.updates(for: session, at: event.date, willReconnect: event.willReconnect)
                session = try await manager.updateSession(sessionID, updates)
            }
            // A refused event doesn't count: it may come from a worker that was replaced.
            await leases.note(event.worker, spokeOf: sessionID)
            return event.report == nil ? nil : session
        }
    }
}
