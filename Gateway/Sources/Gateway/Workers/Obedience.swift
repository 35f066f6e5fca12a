import Foundation
import WhatsAppSessions

extension SessionReport {
    /// The update that the report asks for, of a session of which an operator may want something.
    ///
    /// - Throws: ``Problem`` when it would bring a stopped session online, or the account that another is to replace: its worker doesn't
    ///   know yet.
    func obedientUpdates(for session: Session, at date: Date?, willReconnect: Bool?) throws -> SessionUpdates {
        var updates = updates(for: session, at: date, willReconnect: willReconnect)
        let reason = if case .set(let reason) = updates.disconnectReason { reason } else { nil as DisconnectReason? }
        switch session.wish {
        case nil:
            // It was started again before the worker had closed its socket.
            if updates.status == .disconnected, reason == .stopped {
                (updates.status, updates.disconnectReason) = (.initializing, .unchanged)
            }
        case .stop:
            try stop(&updates, reason)
        case .logOut, .pair:
            if session.wish == .pair, updates.status == .connected { throw Problem.toBePaired }
            if updates.status == .qrWaiting {
                // With a code nobody is linked.
                (updates.phoneNumber, updates.name, updates.wish) = (.clear, .clear, .clear)
            } else if updates.status ?? session.status == .disconnected, reason?.isEnd == true {
                // There is nothing left to be done, and it would end so again and again.
                updates.wish = .clear
            } else if session.wish == .logOut, session.status == .disconnected, case .closed(let reason?, _, _) = self,
                KnownReason(text: reason.text) == .loggedOut
            {
                (updates.disconnectReason, updates.wish) = (.set(reason), .clear)
            }
        }
        return updates
    }

    private func stop(_ updates: inout SessionUpdates, _ reason: DisconnectReason?) throws {
        guard let status = updates.status else { return }
        switch self {
        case .closed:
            // That is what was asked for, whatever the worker would do next.
            updates.status = .disconnected
            if reason?.isEnd != true { updates.disconnectReason = .set(.stopped) }
        case .account:
            // An account that was linked a moment ago is known all the same.
            updates.disconnectReason = .unchanged
        case _ where status != .disconnected:
            throw Problem.stopped
        default:
            if reason == nil { updates.disconnectReason = .set(.stopped) }
        }
    }
}

extension DisconnectReason {
    static let stopped = DisconnectReason(KnownReason.stopped)

    /// Whether WhatsApp has ended the connection, so that a person must look at it first. A worker that closes it may open it again.
    var isEnd: Bool {
        guard let known = KnownReason(text: text), known != .closedByWorker, known != .stopped else { return false }
        return known.waitsForPerson
    }
}
