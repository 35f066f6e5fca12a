import WhatsAppSessions

/// What an operator asks of a session, beside deleting it.
enum Command: String, CaseIterable {
    /// Go offline, and stay so; the account stays linked.
    case stop
    /// Go online again.
    case start
    /// Link an account anew: the worker forgets the one before, and shows a code.
    case pair
    /// Unlink the account on the phone.
    case logOut = "logout"

    /// The update that it makes. What the worker must do first stays a wish until the worker has reported it.
    ///
    /// - Throws: ``Problem`` when it makes no sense for the session as it is.
    func updates(for session: Session) throws -> SessionUpdates {
        let isOffline = session.status == .disconnected
        switch self {
        case .stop:
            // Nobody else would report it.
            let isOver = !isOffline && session.holder == nil
            // Why it went offline before says more than that it was stopped.
            let says = isOver || isOffline && session.waitsForPerson != true
            return SessionUpdates(
                status: isOver ? .disconnected : nil,
                disconnectReason: says ? .set(.stopped) : .unchanged,
                wish: .set(.stop)
            )
        case .start:
            guard isOffline else { return SessionUpdates(wish: .clear) }
            // Of one that was logged out, whoever scans the next code is linked.
            let account = session.isLinked || session.wish == .pair ? FieldUpdate<String>.unchanged : .clear
            return SessionUpdates(status: .initializing, phoneNumber: account, name: account, wish: .clear)
        case .pair:
            // It shows its codes already.
            if session.status == .qrWaiting { return SessionUpdates(wish: .clear) }
            guard isOffline || !session.isLinked else {
                throw Problem(
                    status: .conflict,
                    code: "still_linked",
                    detail: "The account is linked and not offline: stop it or log it out first, and then pair another."
                )
            }
            return SessionUpdates(status: .initializing, wish: .set(.pair))
        case .logOut:
            guard session.isLinked else {
                throw Problem(status: .conflict, code: "not_linked", detail: "No account is linked to this session.")
            }
            return SessionUpdates(wish: .set(.logOut))
        }
    }
}

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
            return try await manager.updateSession(sessionID, command.updates(for: session))
        }
    }
}

extension Session {
    /// Whether it is offline for a reason that a person must look at; `nil` when it is not offline, or nobody said why.
    var waitsForPerson: Bool? {
        guard status == .disconnected, let disconnectReason else { return nil }
        return KnownReason(text: disconnectReason.text)?.waitsForPerson == true
    }

    /// Whether a worker that has no socket for it opens one. A session that was disconnected while the gateway or its worker was
    /// away, perhaps in the middle of a reconnection, gets one again; what a person must look at first does not, and neither does
    /// one that was disconnected without a reason, by hand.
    var needsSocket: Bool {
        switch wish {
        case .stop: false
        case .pair: true
        // Only over a connection is it unlinked.
        case .logOut where isLinked: true
        case .logOut, nil: status != .disconnected || waitsForPerson == false
        }
    }

    /// Whether it is offline for a reason of the gateway's own, which says nothing about the account.
    var isOfflineByItself: Bool {
        guard status == .disconnected, let disconnectReason else { return false }
        return switch KnownReason(text: disconnectReason.text) {
        case .workerGone, .released, .gatewayStopped: true
        default: false
        }
    }

    /// Whether a worker has credentials for it: only that one, or one that shares its store, can bring it online without a pairing.
    var isLinked: Bool {
        switch status {
        case .connected: true
        // With a code nobody is linked.
        case .qrWaiting: false
        case .initializing, .disconnected:
            phoneNumber != nil && wish != .pair
                && disconnectReason.flatMap { KnownReason(text: $0.text) } != .loggedOut
        }
    }
}
