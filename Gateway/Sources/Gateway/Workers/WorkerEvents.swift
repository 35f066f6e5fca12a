import WhatsAppSessions

/// Where workers' events become updates of sessions.
struct WorkerEvents: Sendable {
    let manager: SessionManager
    let leases: WorkerLeases
    let turns: Turns

    /// Does what an event asks for, after the events of the same session that came before.
    ///
    /// - Returns: The session, or `nil` when the event says nothing about it.
    /// - Throws: `SessionNotFoundError` when the session was deleted, `InvalidSessionUpdateError` for an event that comes too late,
    ///   ``Problem`` when an operator stopped the session, `LeaseLostError` or `SessionTakenError` when the worker doesn't serve the session. In each case the status is unchanged.
    func receive(_ event: WorkerEvent, for sessionID: String) async throws -> Session? {
        var lease: SessionLease?
        if let worker = event.worker { lease = try await leases.lease(of: worker) }
        return try await turns.take(sessionID) { [lease] in
            guard let session = try await manager.getSession(sessionID) else {
                throw SessionNotFoundError(sessionID: sessionID)
            }
            guard let report = event.report else { return nil }
            let updates = try await report.obedientUpdates(
                for: session,
                at: event.date,
                willReconnect: event.willReconnect,
                isBeforeWish: isBeforeWish(event, of: session)
            )
            let updated = try await update(session, updates, under: lease)
            return await obey(updated, wished: updates.wish.applied(to: session.wish))
        }
    }

    private func update(
        _ session: Session,
        _ updates: SessionUpdates,
        under lease: SessionLease?
    ) async throws -> Session {
        guard let lease else {
            // Without a lease there is no telling whether the event is late.
            if let holder = session.holder { throw SessionTakenError(sessionID: session.id, holder: holder) }
            return try await manager.updateSession(session.id, updates)
        }
        // A first report claims what nobody serves.
        if session.holder == nil { try await manager.claimSession(session.id, under: lease) }
        return try await manager.updateSession(session.id, updates, under: lease)
    }

    /// If another gateway took an operator's order meanwhile, applies it again: the order wins over the event.
    ///
    /// - Parameter wish: What was wished before.
    private func obey(_ session: Session, wished wish: Session.Wish?) async -> Session {
        // A wish to log out or to pair may have been fulfilled there; one to stop ends only by a start.
        guard session.wish != wish, let command = session.wish.map(Command.init) ?? (wish == .stop ? .start : nil)
        else { return session }
        do {
            return try await Operators(manager: manager, turns: turns).obey(command, of: session)
        } catch is Problem {
            // What was wished has happened, or makes no sense any more.
            return (try? await manager.updateSession(session.id, SessionUpdates(wish: .clear))) ?? session
        } catch {
            return session
        }
    }

    /// Whether the worker saw an end before the operator wished something: a worker that was away, or says it again.
    private func isBeforeWish(_ event: WorkerEvent, of session: Session) async throws -> Bool {
        guard session.wish != nil, event.report?.isEnd == true, let date = event.date else { return false }
        let changes = try await manager.getChanges(of: session.id, limit: 1000)
        return changes.first { $0.fields.contains(.wish) }.map { date < $0.date } ?? false
    }

    /// Claims a session for a worker, which then opens its socket.
    ///
    /// - Throws: `SessionTakenError` while another lease on it lives; ``Problem`` or `LeaseLostError` for a worker without a lease.
    func claim(_ sessionID: String, by worker: Worker) async throws -> Session {
        let lease = try await leases.lease(of: worker)
        // A worker that has just gone leaves no session live, whoever is next.
        _ = try? await manager.recoverLostSessions()
        return try await turns.take(sessionID) { try await manager.claimSession(sessionID, under: lease) }
    }

    /// Gives a session back. Its socket is closed, so a session that is live becomes disconnected.
    func release(_ sessionID: String, by worker: Worker) async throws {
        let lease = try await leases.lease(of: worker)
        try await turns.take(sessionID) {
            if let session = try await manager.getSession(sessionID), session.status != .disconnected {
                let updates = SessionUpdates(
                    status: .disconnected,
                    disconnectReason: .set(DisconnectReason(.released))
                )
                try await manager.updateSession(sessionID, updates, under: lease)
            }
            try await manager.releaseSession(sessionID, under: lease)
        }
    }
}

extension FieldUpdate {
    fileprivate func applied(to value: Value?) -> Value? {
        switch self {
        case .unchanged: value
        case .set(let value): value
        case .clear: nil
        }
    }
}
