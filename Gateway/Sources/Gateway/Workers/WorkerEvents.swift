import WhatsAppSessions

/// Where workers' events become updates of sessions.
struct WorkerEvents: Sendable {
    let manager: SessionManager
    let leases: WorkerLeases
    private let turns = Turns()

    /// Does what an event asks for, after the events of the same session that came before.
    ///
    /// - Returns: The session, or `nil` when the event says nothing about it.
    /// - Throws: `SessionNotFoundError` when the session was deleted, `InvalidSessionUpdateError` for an event that comes too late,
    ///   `LeaseLostError` from a worker that doesn't serve the session. In each case nothing has changed.
    func receive(_ event: WorkerEvent, for sessionID: String) async throws -> Session? {
        let lease = try await leases.lease(of: event.worker)
        return try await turns.take(sessionID) {
            guard let session = try await manager.getSession(sessionID) else {
                throw SessionNotFoundError(sessionID: sessionID)
            }
            guard let report = event.report else { return nil }
            let updates = report.updates(for: session, at: event.date, willReconnect: event.willReconnect)
            guard let lease else {
                // Of a worker that holds no lease nobody knows whether it is late.
                if let holder = session.holder { throw Problem.notTheHolder(holder) }
                return try await manager.updateSession(sessionID, updates)
            }
            // A first report claims what nobody serves.
            if session.holder == nil { try await claim(sessionID, under: lease) }
            return try await manager.updateSession(sessionID, updates, under: lease)
        }
    }

    private func claim(_ sessionID: String, under lease: SessionLease) async throws {
        do {
            try await manager.claimSession(sessionID, under: lease)
        } catch let error as SessionTakenError {
            throw Problem.notTheHolder(error.holder)
        }
    }

    /// Claims a session for a worker, which then opens its socket.
    ///
    /// - Throws: `SessionTakenError` while another lease on it lives.
    func claim(_ sessionID: String, by worker: Worker) async throws -> Session {
        let lease = try await requireLease(of: worker)
        return try await turns.take(sessionID) { try await manager.claimSession(sessionID, under: lease) }
    }

    /// Gives a session back. One that is live has no socket any more, so it is disconnected.
    func release(_ sessionID: String, by worker: Worker) async throws {
        let lease = try await requireLease(of: worker)
        try await turns.take(sessionID) {
            if let session = try await manager.getSession(sessionID), session.status != .disconnected {
                let updates = SessionUpdates(
                    status: .disconnected,
                    disconnectReason: .set(DisconnectReason(.workerGone))
                )
                try await manager.updateSession(sessionID, updates, under: lease)
            }
            try await manager.releaseSession(sessionID, under: lease)
        }
    }

    private func requireLease(of worker: Worker) async throws -> SessionLease {
        guard let lease = try await leases.lease(of: worker) else { throw Problem.noLease }
        return lease
    }
}
