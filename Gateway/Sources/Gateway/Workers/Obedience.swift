import Foundation
import WhatsAppSessions

extension SessionReport {
    /// The update that the report asks for, of a session of which an operator may want something.
    ///
    /// - Throws: ``Problem`` when it would bring a stopped session online: its worker doesn't know yet that it must not.
    func obedientUpdates(for session: Session, at date: Date?, willReconnect: Bool?) throws -> SessionUpdates {
        var updates = updates(for: session, at: date, willReconnect: willReconnect)
        let reason = if case .set(let reason) = updates.disconnectReason { reason } else { nil as DisconnectReason? }
        let known = reason.flatMap { KnownReason(text: $0.text) }
        switch (session.wish, updates.status) {
        case (.stop, let status?):
            switch self {
            case .closed:
                // That is what was asked for, whatever the worker would do next.
                updates.status = .disconnected
                if status != .disconnected || known == .closedByWorker { updates.disconnectReason = .set(.stopped) }
            case .account:
                // The account that was linked a moment ago is known all the same.
                (updates.status, updates.disconnectReason) = (nil, .unchanged)
            case _ where status != .disconnected:
                throw Problem.stopped
            default:
                if reason == nil { updates.disconnectReason = .set(.stopped) }
            }
        case (.logOut, nil):
            // Of one that is offline already a close says nothing else.
            if case .closed(let reason?, _, _) = self, KnownReason(text: reason.text) == .loggedOut {
                (updates.disconnectReason, updates.wish) = (.set(reason), .clear)
            }
        case (.logOut, let status?), (.pair, let status?):
            // With a code nobody is linked. An end that a person must look at leaves nothing to be done, and would come again and again.
            let isEnd = status == .disconnected && known?.waitsForPerson == true
            if isEnd || status == .qrWaiting { updates.wish = .clear }
        case (nil, .disconnected?) where known == .stopped:
            // It was started again before the worker had closed its socket.
            (updates.status, updates.disconnectReason) = (.initializing, .unchanged)
        default:
            break
        }
        return updates
    }
}

extension DisconnectReason {
    static let stopped = DisconnectReason(KnownReason.stopped)
}
