import Foundation
import WhatsAppSessions

/// What a worker's event says about a session, whichever library the worker uses.
enum SessionReport: Equatable, Sendable {
    /// A socket is being opened, or was replaced after a pairing.
    case opening
    /// A QR code waits to be scanned.
    case qrCode(String)
    /// The account is online.
    case online
    /// The socket closed. A `final` end isn't undone by a worker that would like to reconnect.
    case closed(DisconnectReason?, reconnects: Bool, final: Bool = false)
    /// The account's number and name, as far as they are known; right after the scan when it `opens` a new socket.
    case account(number: String?, name: String?, opens: Bool = false)
    /// A reason, while the status stays.
    case trouble(DisconnectReason)

    /// A socket that closed for good, as far as the worker's library knows.
    static func ended(_ reason: KnownReason, code: Int? = nil, final: Bool = true) -> SessionReport {
        .closed(DisconnectReason(reason, code: code), reconnects: false, final: final)
    }

    /// The update that the report asks for.
    ///
    /// - Parameters:
    ///   - session: The session as it is.
    ///   - date: When the worker saw it.
    ///   - willReconnect: What the worker said about a socket that closed, if anything.
    func updates(for session: Session, at date: Date?, willReconnect: Bool?) -> SessionUpdates {
        switch self {
        case .opening:
            return SessionUpdates(status: .initializing)
        case .qrCode(let code):
            return SessionUpdates(status: .qrWaiting, qrCode: .set(code))
        case .online:
            // Said once more it doesn't move the start of the connection.
            let isNew = session.status != .connected
            return SessionUpdates(status: .connected, connectedAt: FieldUpdate(ifPresent: isNew ? date : nil))
        case .closed(let reason, let reconnects, let final):
            // Closes come twice, and the second is often a plain 428 that would hide why the account went offline.
            if session.status == .disconnected { return SessionUpdates() }
            let opensAgain = !final && (willReconnect ?? reconnects)
            return SessionUpdates(
                status: opensAgain ? .initializing : .disconnected,
                disconnectReason: FieldUpdate(ifPresent: reason)
            )
        case .account(let number, let name, let opens):
            return SessionUpdates(
                status: opens ? .initializing : nil,
                phoneNumber: FieldUpdate(ifPresent: number),
                name: FieldUpdate(ifPresent: name)
            )
        case .trouble(let reason):
            return SessionUpdates(disconnectReason: .set(reason))
        }
    }
}

extension DisconnectReason {
    /// A worker's words, cut to a length that the journal can keep with each change.
    init(code: Int? = nil, workersText text: String?) {
        let text = String(String.UnicodeScalarView((text ?? "").unicodeScalars.prefix(200)))
        self.init(code: code, text: text.isEmpty ? "connection closed" : text)
    }
}

/// The digits in front of an account's address, such as `447700900123:7@s.whatsapp.net`; `nil` when there are none.
func phoneNumber(of address: String) -> String? {
    let digits = address.prefix { $0.isASCII && $0.isNumber }
    return digits.isEmpty ? nil : String(digits)
}
