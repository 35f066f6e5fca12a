import Foundation
import WhatsAppSessions

extension SessionReport {
    /// The update that the report asks for, of a session of which an operator may want something.
    ///
    /// - Parameter isBeforeWish: Whether the worker saw it before the operator wished something.
    /// - Throws: ``Problem`` when it would bring a stopped session online, or the account that another is to replace: its worker doesn't
    ///   know yet.
    func obedientUpdates(
        for session: Session,
        at date: Date?,
        willReconnect: Bool?,
        isBeforeWish: Bool
    ) throws -> SessionUpdates {
        var updates = updates(for: session, at: date, willReconnect: willReconnect)
        switch session.wish {
        case nil:
            // It was started again before the worker had closed its socket.
            if updates.status == .disconnected, updates.newReason == .stopped {
                (updates.status, updates.disconnectReason) = (.initializing, .unchanged)
            }
        case .stop: try stop(&updates, session)
        case .logOut, .pair:
            if isBeforeWish, session.wish == .pair {
                (updates.status, updates.disconnectReason) = (nil, .unchanged)
            }
            try fulfil(&updates, session, isBeforeWish: isBeforeWish)
        }
        updates.forgetLoggedOutAccount(of: session)
        return updates
    }

    private func stop(_ updates: inout SessionUpdates, _ session: Session) throws {
        let isOver = session.status == .disconnected
        let isEnd = updates.newReason?.isEnd == true
        // Why WhatsApp ended it says more than that it was stopped.
        let hasEnded = isOver && session.disconnectReason?.isEnd == true
        let stopped = hasEnded ? FieldUpdate<DisconnectReason>.unchanged : .set(.stopped)
        switch self {
        case .closed:
            // That is what was asked for, whatever the worker would do next.
            updates.status = .disconnected
            if !isEnd { updates.disconnectReason = stopped }
        case .account:
            // An account that was linked a moment ago is known all the same.
            updates.disconnectReason = .unchanged
            if isOver { updates.status = nil }
        case .pairingStep, .pairingEnded, .trouble, .restriction:
            if isOver { updates.disconnectReason = .unchanged }
        case .opening, .qrCode, .paired, .online, .restored, .state:
            guard let status = updates.status else { break }
            guard status == .disconnected else { throw Problem.stopped }
            if hasEnded && !isEnd || updates.newReason == nil { updates.disconnectReason = stopped }
        }
    }

    private func fulfil(_ updates: inout SessionUpdates, _ session: Session, isBeforeWish: Bool) throws {
        if session.wish == .pair, updates.status == .connected { throw Problem.toBePaired }
        if updates.status == .qrWaiting {
            // With a code nobody is linked.
            (updates.phoneNumber, updates.name, updates.wish) = (.clear, .clear, .clear)
        } else if updates.status ?? session.status == .disconnected, let end = updates.newReason, end.isEnd,
            !isBeforeWish || end.isLogout
        {
            // There is nothing left to be done, and it would end so again and again.
            updates.wish = .clear
        } else if session.wish == .logOut, session.status == .disconnected, case .closed(let reason?, _, _) = self,
            reason.isLogout
        {
            (updates.disconnectReason, updates.wish) = (.set(reason), .clear)
        }
    }

    /// Whether it says that WhatsApp has ended the connection.
    var isEnd: Bool {
        if case .closed(let reason?, _, _) = self { reason.isEnd } else { false }
    }
}

extension SessionUpdates {
    fileprivate var newReason: DisconnectReason? {
        if case .set(let reason) = disconnectReason { reason } else { nil }
    }

    /// Once another reason hides that the account was logged out, only its number would tell that nobody is linked.
    mutating func forgetLoggedOutAccount(of session: Session) {
        guard session.isLoggedOut, let newReason, !newReason.isLogout else { return }
        if phoneNumber == .unchanged { phoneNumber = .clear }
        if name == .unchanged { name = .clear }
    }
}

extension DisconnectReason {
    static let stopped = DisconnectReason(KnownReason.stopped)

    var isLogout: Bool { KnownReason(text: text) == .loggedOut }

    /// Whether WhatsApp has ended the connection, so that a person must look at it first. A worker that closes it may open it again.
    var isEnd: Bool {
        guard let known = KnownReason(text: text), known != .closedByWorker, known != .stopped else { return false }
        return known.waitsForPerson
    }
}
