import Foundation
import WhatsAppSessions

/// What a worker's event says about a session, whichever library the worker uses.
enum SessionReport: Equatable, Sendable {
    /// A socket is being opened, or was replaced after a pairing.
    case opening
    /// A QR code waits to be scanned.
    case qrCode(String)
    /// The code was scanned, and the socket is about to be replaced.
    case paired
    /// The pairing waits for something on the phone.
    case pairingStep(KnownReason)
    /// The pairing has ended without an account. What is said of a pairing never ends a connection: it comes on a way of its own, and
    /// may be late.
    case pairingEnded(DisconnectReason)
    /// The account is online.
    case online
    /// It is online again, on the same connection.
    case restored
    /// The socket closed. A `final` end isn't undone by a worker that would like to reconnect.
    case closed(DisconnectReason?, reconnects: Bool, final: Bool = false)
    /// The account's number and name, as far as they are known; right after the scan when it `opens` a new socket.
    case account(number: PhoneNumber?, name: String?, opens: Bool = false)
    /// A reason, while the status stays.
    case trouble(DisconnectReason)
    /// Something that WhatsApp doesn't let the account do, in words; without them it is over.
    case restriction(Restriction, String?)
    /// What a worker says in the gateway's own words.
    case state(SessionUpdates)

    /// A socket that closed for good, as far as the worker's library knows.
    static func ended(
        _ reason: KnownReason,
        code: Int? = nil,
        until date: Date? = nil,
        final: Bool = true
    ) -> SessionReport {
        .closed(DisconnectReason(reason, code: code, until: date), reconnects: false, final: final)
    }

    /// The update that the report asks for.
    ///
    /// - Parameters:
    ///   - session: The session as it is.
    ///   - date: When the worker saw it.
    ///   - willReconnect: What the worker said about a socket that closed, if anything.
    func updates(for session: Session, at date: Date?, willReconnect: Bool?) -> SessionUpdates {
        let isConnected = session.status == .connected
        switch self {
        case .opening:
            return SessionUpdates(status: .initializing)
        case .qrCode(let code):
            return SessionUpdates(status: .qrWaiting, qrCode: .set(code), qrCodeReceivedAt: date)
        case .paired:
            return isConnected ? SessionUpdates() : SessionUpdates(status: .initializing, disconnectReason: .clear)
        case .pairingStep(let step):
            return isConnected ? SessionUpdates() : SessionUpdates(disconnectReason: .set(DisconnectReason(step)))
        case .pairingEnded(let reason):
            if isConnected || session.status == .disconnected { return SessionUpdates() }
            return SessionUpdates(status: .disconnected, disconnectReason: .set(reason))
        case .online:
            // Said once more it doesn't move the start of the connection.
            return SessionUpdates(status: .connected, connectedAt: FieldUpdate(ifPresent: isConnected ? nil : date))
        case .restored:
            // Late, unless it is only the worker's lease that was over.
            let isOver = session.status == .disconnected
            if isOver, session.disconnectReason.flatMap({ KnownReason(text: $0.text) }) != .workerGone {
                return SessionUpdates()
            }
            return SessionUpdates(status: .connected, connectedAt: FieldUpdate(ifPresent: session.connectedAt ?? date))
        case .closed(let reason, let reconnects, let final):
            if session.status == .disconnected {
                // Closes come twice, and the second is often a plain 428 that would hide why the account went offline. But an end
                // that a person must look at says more than that its worker was gone, or that it was stopped.
                let isNews = session.isOfflineByItself && reason.map(\.isEnd) == true
                return SessionUpdates(disconnectReason: isNews ? FieldUpdate(ifPresent: reason) : .unchanged)
            }
            let opensAgain = !final && (willReconnect ?? reconnects)
            return SessionUpdates(
                status: opensAgain ? .initializing : .disconnected,
                disconnectReason: FieldUpdate(ifPresent: reason)
            )
        case .account(let number, let name, let opens):
            return SessionUpdates(
                status: opens ? .initializing : nil,
                phoneNumber: FieldUpdate(ifPresent: number?.digits),
                name: FieldUpdate(ifPresent: name),
                // Of the account that was linked before.
                disconnectReason: opens ? .clear : .unchanged
            )
        case .trouble(let reason):
            return SessionUpdates(disconnectReason: .set(reason))
        case .restriction(let restriction, let text):
            return restriction.updates(text, for: session)
        case .state(var updates):
            if case .set = updates.qrCode { updates.qrCodeReceivedAt = date }
            if updates.status == .connected, !isConnected { updates.connectedAt = FieldUpdate(ifPresent: date) }
            return updates
        }
    }
}

extension SessionReport {
    /// Reads `{"status": …, "qrCode": …, "pairingCode": …, "phoneNumber": …, "name": …, "reason": …, "code": …, "restriction": …}`, of
    /// which each may be absent: what a worker of anything but Baileys and whatsmeow says.
    ///
    /// - Throws: ``Problem`` for a status or a number that is none.
    init?(neutral data: WorkerData) throws {
        var updates = SessionUpdates()
        if let text = try data["status"].text() {
            guard let status = Session.Status(rawValue: text) else {
                let names = Session.Status.allCases.map(\.rawValue).joined(separator: ", ")
                throw try data["status"].unreadable("is none of \(names)")
            }
            updates.status = status
        }
        let codes = [try data["qrCode"].code(), try data["pairingCode"].code()]
        if let code = codes.lazy.compactMap(\.self).first(where: { !$0.isEmpty }) {
            updates.status = updates.status ?? .qrWaiting
            updates.qrCode = .set(code)
        }
        if let text = try data["phoneNumber"].text() {
            let number = PhoneNumber(digits: text) ?? PhoneNumber(address: text)
            guard text.isEmpty || number != nil else {
                throw try data["phoneNumber"].unreadable("is no phone number: send digits with the country code")
            }
            updates.phoneNumber = number.map { .set($0.digits) } ?? .clear
        }
        if let name = try data["name"].text() { updates.name = name.isEmpty ? .clear : .set(name) }
        if let reason = try data["reason"].text() {
            let code = try data["code"].number()
            updates.disconnectReason = reason.isEmpty ? .clear : .set(DisconnectReason(code: code, workersText: reason))
        }
        if let text = try data["restriction"].text() {
            updates.restriction = text.isEmpty ? .clear : .set(DisconnectReason.cut(text))
        }
        guard updates != SessionUpdates() else { return nil }
        self = .state(updates)
    }
}

extension DisconnectReason {
    /// The most characters that the journal keeps with each change.
    static let longestText = 200

    static func cut(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.prefix(longestText)))
    }

    /// A worker's words, cut.
    init(code: Int? = nil, workersText text: String) {
        let text = Self.cut(text)
        self.init(code: code, text: text.isEmpty ? KnownReason.connectionClosed.rawValue : text)
    }
}
