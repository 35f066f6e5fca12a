import WhatsAppSessions

/// The events of whatsmeow (Go) that say something about a session, by the name of their Go type. Read in 2026-08.
enum WhatsmeowEvent: String {
    case qrChannelItem = "QRChannelItem"
    case pairSuccess = "PairSuccess"
    case connected = "Connected"
    case pushNameSetting = "PushNameSetting"
    case disconnected = "Disconnected"
    case streamError = "StreamError"
    case manualLoginReconnect = "ManualLoginReconnect"
    case loggedOut = "LoggedOut"
    case streamReplaced = "StreamReplaced"
    case temporaryBan = "TemporaryBan"
    case clientOutdated = "ClientOutdated"
    case connectFailure = "ConnectFailure"
    case scannedWithoutMultidevice = "QRScannedWithoutMultidevice"

    /// Finds the event for a type's name, also as Go's `%T` prints it: `*events.Connected`.
    init?(typeName: String) {
        self.init(rawValue: typeName.split(separator: ".").last.map(String.init) ?? "")
    }

    /// Reads the event as `encoding/json` writes it. It takes only the fields that it needs, so a worker may send more.
    func report<Keys>(_ container: KeyedDecodingContainer<Keys>, _ key: Keys) throws -> SessionReport? {
        let data = try container.decodeIfPresent(Fields.self, forKey: key) ?? Fields()

        return switch self {
        case .qrChannelItem: data.pairing
        case .pairSuccess: data.account(opens: true)
        case .connected: .online
        case .pushNameSetting: data.account(opens: false)
        case .disconnected: .closed(DisconnectReason(text: "connection lost"), reconnects: true)
        case .streamError:
            .closed(DisconnectReason(code: data.code?.number, text: "stream error"), reconnects: true)
        case .manualLoginReconnect: .opening
        case .loggedOut: .ended(.loggedOut, code: data.reason, final: false)
        case .streamReplaced: .ended(.replaced)
        case .temporaryBan: .ended(.temporarilyBanned, code: data.code?.number)
        case .clientOutdated: .ended(.workerOutdated)
        case .connectFailure:
            .closed(DisconnectReason(code: data.reason, workersText: data.message), reconnects: false)
        case .scannedWithoutMultidevice: .trouble(DisconnectReason(.phoneTooOld))
        }
    }
}

/// The fields of all these types.
private struct Fields: Decodable {
    struct Setting: Decodable { var name: String? }

    var event: String?, code: Code?, address: String?, businessName: String?
    var reason: Int?, message: String?, setting: Setting?

    // Their names in Go.
    private enum CodingKeys: String, CodingKey {
        case event = "Event"
        case code = "Code"
        case address = "ID"
        case businessName = "BusinessName"
        case reason = "Reason"
        case message = "Message"
        case setting = "Action"
    }

    /// A `QRChannelItem`.
    var pairing: SessionReport? {
        switch event {
        case "code": code?.text.map(SessionReport.qrCode)
        case "success": .opening
        case "timeout": .ended(.codesUsedUp)
        case "err-client-outdated": .ended(.workerOutdated)
        // The codes go on.
        case "err-scanned-without-multidevice": .trouble(DisconnectReason(.phoneTooOld))
        case let event? where event.hasPrefix("err-"):
            .closed(DisconnectReason(workersText: event), reconnects: false, final: true)
        case _?: .ended(.pairingFailed)
        case nil: nil
        }
    }

    func account(opens: Bool) -> SessionReport {
        let name = setting?.name ?? businessName ?? ""
        return .account(number: address.flatMap(phoneNumber), name: name.isEmpty ? nil : name, opens: opens)
    }

    /// A QR code or a stream error's code as text, or the number of a ban.
    enum Code: Decodable {
        case text(String)
        case number(Int)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let number = try? container.decode(Int.self) {
                self = .number(number)
            } else {
                self = .text(try container.decode(String.self))
            }
        }

        var text: String? { if case .text(let text) = self { text } else { nil } }

        var number: Int? {
            switch self {
            case .text(let text): Int(text)
            case .number(let number): number
            }
        }
    }
}
