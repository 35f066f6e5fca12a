import Foundation
import WhatsAppSessions

extension SessionReport {
    /// The update that the report asks for, of a session of which an operator may want something.
    ///
    /// - Throws: ``Problem`` when it would bring a stopped session online: its worker doesn't know yet that it must not.
    func obedientUpdates(for session: Session, at date: Date?, willReconnect: Bool?) throws -> SessionUpdates {
        var updates = updates(for: session, at: date, willReconnect: willReconnect)
        guard let wish = session.wish, let status = updates.status else { return updates }
        let reason = if case .set(let reason) = updates.disconnectReason { reason } else { nil as DisconnectReason? }
        let known = reason.flatMap { KnownReason(text: $0.text) }
        switch wish {
        case .stop:
            if case .closed = self {
                // That is what was asked for, whatever the worker would do next.
                updates.status = .disconnected
                if status != .disconnected || known == .closedByWorker { updates.disconnectReason = .set(.stopped) }
            } else if status != .disconnected {
                throw Problem.stopped
            } else if reason == nil {
                updates.disconnectReason = .set(.stopped)
            }
        case .logOut, .pair:
            // A code is a pairing. An end that a person must look at leaves nothing to be done, and would come again and again.
            let isEnd = status == .disconnected && known?.waitsForPerson == true
            if isEnd || wish == .pair && status == .qrWaiting { updates.wish = .clear }
        }
        return updates
    }
}

extension DisconnectReason {
    static let stopped = DisconnectReason(KnownReason.stopped)
}
