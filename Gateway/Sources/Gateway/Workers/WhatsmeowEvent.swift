import Foundation
import WhatsAppSessions

/// The events of whatsmeow (Go) that say something about a session, by the name of their Go type. Read in 2026-08.
enum WhatsmeowEvent: String {
    case qrChannelItem = "QRChannelItem"
    case qrCodes = "QR"
    case pairSuccess = "PairSuccess"
    case pairError = "PairError"
    case pairPasskeyRequest = "PairPasskeyRequest"
    case pairPasskeyConfirmation = "PairPasskeyConfirmation"
    case pairPasskeyError = "PairPasskeyError"
    case connected = "Connected"
    case pushNameSetting = "PushNameSetting"
    case disconnected = "Disconnected"
    case keepAliveTimeout = "KeepAliveTimeout"
    case keepAliveRestored = "KeepAliveRestored"
    case streamError = "StreamError"
    case manualLoginReconnect = "ManualLoginReconnect"
    case loggedOut = "LoggedOut"
    case streamReplaced = "StreamReplaced"
    case temporaryBan = "TemporaryBan"
    case clientOutdated = "ClientOutdated"
    case tokenRefreshError = "CATRefreshError"
    case connectFailure = "ConnectFailure"
    case scannedWithoutMultidevice = "QRScannedWithoutMultidevice"
    case reachoutTimelock = "NotifyAccountReachoutTimelock"

    /// Finds the event for a type's name, also as Go's `%T` prints it: `*events.Connected`.
    init?(typeName: String) {
        self.init(rawValue: typeName.split(separator: ".").last.map(String.init) ?? "")
    }

    /// Reads the event as `encoding/json` writes it. It takes only the fields that it needs, so a worker may send more.
    func report(_ data: WorkerData, _ date: Date) throws -> SessionReport? {
        switch self {
        case .qrChannelItem: try Self.pairing(data)
        case .qrCodes: try data["Codes"].first.code().flatMap { $0.isEmpty ? nil : .qrCode($0) }
        case .pairSuccess:
            .account(
                number: try data["ID"].text().flatMap(PhoneNumber.init(address:)),
                name: try Self.name(data["BusinessName"]),
                opens: true
            )
        case .pairError, .pairPasskeyError: .pairingEnded(DisconnectReason(.pairingFailed))
        case .pairPasskeyRequest: .pairingStep(.passkeyRequested)
        case .pairPasskeyConfirmation: .pairingStep(.passkeyToConfirm)
        case .connected: .online
        case .pushNameSetting: .account(number: nil, name: try Self.name(data["Action"]["name"]))
        case .disconnected: .closed(DisconnectReason(.connectionLost), reconnects: true)
        // After three minutes whatsmeow reconnects without any other event.
        case .keepAliveTimeout: .closed(DisconnectReason(.noAnswer), reconnects: true)
        case .keepAliveRestored: .restored
        case .streamError:
            .closed(DisconnectReason(code: try data["Code"].number(), text: "stream error"), reconnects: true)
        case .manualLoginReconnect: .opening
        case .loggedOut: Self.refused(try data["Reason"].number()) ?? .ended(.loggedOut, final: false)
        case .streamReplaced: .ended(.replaced)
        case .temporaryBan:
            .ended(
                .temporarilyBanned,
                code: data.optional("Code")?.lenientNumber,
                // Nanoseconds.
                until: data.optional("Expire")?.lenientNumber.flatMap { $0 > 0 ? date + Double($0) / 1e9 : nil }
            )
        case .clientOutdated: .ended(.workerOutdated)
        case .tokenRefreshError: .ended(.tokenNotRefreshed, final: false)
        case .connectFailure: try Self.connectFailure(data)
        case .scannedWithoutMultidevice: .trouble(DisconnectReason(.phoneTooOld))
        case .reachoutTimelock: try Self.timelock(data)
        }
    }

    private static func timelock(_ data: WorkerData) throws -> SessionReport {
        // A Unix time as text, absent when it is 0.
        let end = try data["time_enforcement_ends"].number().map { Date(timeIntervalSince1970: Double($0)) }
        let isActive = try data["is_active"].isTrue
        return .restriction(.newContacts, isActive ? Restriction.newContacts.text(until: end) : nil)
    }

    /// A `QRChannelItem`. One that isn't listed here is logged, and changes nothing.
    private static func pairing(_ data: WorkerData) throws -> SessionReport? {
        let code = try data["Code"].code()
        return switch try data["Event"].text() {
        case "code": code.flatMap { $0.isEmpty ? nil : .qrCode($0) }
        case "success": .paired
        case "timeout": .pairingEnded(DisconnectReason(.codesUsedUp))
        case "error": .pairingEnded(DisconnectReason(.pairingFailed))
        case "err-client-outdated": .pairingEnded(DisconnectReason(.workerOutdated))
        // The codes go on.
        case "err-scanned-without-multidevice": .trouble(DisconnectReason(.phoneTooOld))
        case "passkey-request": .pairingStep(.passkeyRequested)
        case "passkey-confirmation": .pairingStep(.passkeyToConfirm)
        case let event? where event.hasPrefix("err-"): .pairingEnded(DisconnectReason(code: nil, workersText: event))
        case let event?: unknownItem(event)
        case nil: nil
        }
    }

    private static func unknownItem(_ event: String) -> SessionReport? {
        UnknownNames.note(event, as: "QRChannelItem")
        return nil
    }

    private static func connectFailure(_ data: WorkerData) throws -> SessionReport {
        let code = try data["Reason"].number()
        let message = try data["Message"].text() ?? ""
        if let refused = refused(code) { return refused }
        let text = message.isEmpty ? code.flatMap { failures[$0] } ?? "" : message
        return .closed(DisconnectReason(code: code, workersText: text), reconnects: false)
    }

    /// What the numbers mean that Baileys has too; `nil` for any other.
    private static func refused(_ code: Int?) -> SessionReport? {
        switch code {
        case 401: .ended(.loggedOut, code: code, final: false)
        case 402: .ended(.temporarilyBanned, code: code)
        case 403: .ended(.accountLocked, code: code, final: false)
        case 405, 409: .ended(.workerOutdated, code: code)
        case 406: .ended(.banned, code: code)
        default: nil
        }
    }

    /// `ConnectFailureReason`, where WhatsApp sends no message.
    private static let failures = [
        400: "bad request", 413: "the auth token has expired", 414: "the auth token is invalid", 415: "not found",
        418: "client unknown", 500: "internal server error", 501: "experimental", 503: "service unavailable",
    ]

    private static func name(_ data: WorkerData) throws -> String? {
        try data.text().flatMap { $0.isEmpty ? nil : $0 }
    }
}
