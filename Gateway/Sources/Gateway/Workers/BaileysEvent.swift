import WhatsAppSessions

/// The events of Baileys (Node) that say something about a session. Read in Baileys 7.0.0-rc13.
enum BaileysEvent: String {
    case connectionUpdate = "connection.update"
    case credentialsUpdate = "creds.update"

    /// Reads the event's data. It takes only the fields that it needs, so a worker may send more.
    func report<Keys>(_ container: KeyedDecodingContainer<Keys>, _ key: Keys) throws -> SessionReport? {
        switch self {
        case .connectionUpdate: try container.decodeIfPresent(Connection.self, forKey: key)?.report
        case .credentialsUpdate: try container.decodeIfPresent(Credentials.self, forKey: key)?.report
        }
    }
}

/// `Partial<ConnectionState>`
private struct Connection: Decodable {
    struct Disconnect: Decodable { var error: Failure? }
    /// A `Boom` as JSON, or `{}`, which is all that JSON leaves of a plain `Error`.
    struct Failure: Decodable { var output: Output?, message: String? }
    struct Output: Decodable { var statusCode: Int?, payload: Payload? }
    struct Payload: Decodable { var message: String? }

    var connection: String?, qr: String?, isNewLogin: Bool?, lastDisconnect: Disconnect?

    var report: SessionReport? {
        switch connection {
        case "close": closed
        case "open": .online
        case "connecting": .opening
        default: qr.map(SessionReport.qrCode) ?? (isNewLogin == true ? .opening : nil)
        }
    }

    private var closed: SessionReport {
        guard let error = lastDisconnect?.error else {
            return .ended(.closedByWorker, final: false)
        }
        let message = error.output?.payload?.message ?? error.message
        guard let code = error.output?.statusCode else {
            return .closed(DisconnectReason(workersText: message), reconnects: true)
        }
        // 402, 405, 406 and 409 come from WhatsApp and are not in Baileys' enum `DisconnectReason`.
        return switch code {
        case 401: .ended(.loggedOut, code: code, final: false)
        case 402: .ended(.temporarilyBanned, code: code)
        case 403: .ended(.accountLocked, code: code, final: false)
        case 405, 409: .ended(.workerOutdated, code: code)
        case 406: .ended(.banned, code: code)
        case 408 where message == "QR refs attempts ended": .ended(.codesUsedUp, code: code)
        case 411: .ended(.multideviceMismatch, code: code, final: false)
        case 440: .ended(.replaced, code: code)
        default: .closed(DisconnectReason(code: code, workersText: message), reconnects: true)
        }
    }
}

/// `Partial<AuthenticationCreds>`, of which a worker posts `me` only.
private struct Credentials: Decodable {
    struct Account: Decodable { var id: String?, name: String? }

    var me: Account?

    var report: SessionReport? {
        // A pairing code was asked for: until it is entered on the phone, the number is a claim.
        guard let me, me.name != "~" else { return nil }
        return .account(number: me.id.flatMap(phoneNumber), name: me.name)
    }
}
