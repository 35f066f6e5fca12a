import Foundation
import WhatsAppSessions

/// The events of Baileys (Node) that say something about a session. Read in Baileys 7.0.0-rc13.
enum BaileysEvent: String {
    case connectionUpdate = "connection.update"
    case credentialsUpdate = "creds.update"
    case cappingUpdate = "message-capping.update"

    /// Reads the event's data. It takes only the fields that it needs, so a worker may send more.
    func report(_ data: WorkerData, _ date: Date) throws -> SessionReport? {
        switch self {
        case .connectionUpdate: try Self.connection(data, date)
        case .credentialsUpdate: try Self.account(data["me"])
        case .cappingUpdate: try Self.capping(data)
        }
    }

    /// `Partial<ConnectionState>`
    private static func connection(_ data: WorkerData, _ date: Date) throws -> SessionReport? {
        switch try data["connection"].text() {
        case "close": return try closed(data["lastDisconnect"]["error"], date)
        case "open": return .online
        case "connecting": return .opening
        case let state?: UnknownNames.note(state, as: "state of a connection")
        case nil: break
        }
        if let code = try data["qr"].code(), !code.isEmpty { return .qrCode(code) }
        if case let lock = try data["reachoutTimeLock"], lock.isPresent {
            let date = try lock["timeEnforcementEnds"].text().flatMap(Date.init(iso8601:))
            return .restriction(
                .newContacts,
                try lock["isActive"].isTrue ? Restriction.newContacts.text(until: date) : nil
            )
        }
        return try data["isNewLogin"].isTrue ? .account(number: nil, name: nil, opens: true) : nil
    }

    /// - Parameter error: A `Boom` as JSON, `{}`, which is all that JSON leaves of a plain `Error`, or its text.
    private static func closed(_ error: WorkerData, _ date: Date) throws -> SessionReport {
        guard error.isPresent else { return .ended(.closedByWorker, final: false) }
        if let text = error.ownText {
            let words = text.hasPrefix("Error: ") ? String(text.dropFirst(7)) : text
            return .closed(DisconnectReason(workersText: words), reconnects: true)
        }
        // What cannot be read of it costs no more than itself: the socket has closed.
        let message = message(of: error)
        let code =
            error.optional("output")?.optional("statusCode")?.lenientNumber
            ?? error.optional("statusCode")?.lenientNumber
        let asSaid = SessionReport.closed(DisconnectReason(code: code, workersText: message), reconnects: true)
        // A proxy or the network answered the upgrade, so the number is not WhatsApp's word.
        guard let code, !message.hasPrefix("WebSocket Error") else { return asSaid }
        // 402, 405, 406 and 409 come from WhatsApp and are not in Baileys' enum `DisconnectReason`.
        return switch code {
        case 401: .ended(.loggedOut, code: code, final: false)
        case 402:
            .ended(
                .temporarilyBanned,
                code: code,
                until: error.optional("data")?.optional("expire")?.lenientNumber.map { date + Double($0) }
            )
        case 403: .ended(.accountLocked, code: code, final: false)
        case 405, 409: .ended(.workerOutdated, code: code)
        case 406: .ended(.banned, code: code)
        case 408 where message == "QR refs attempts ended": .ended(.codesUsedUp, code: code)
        case 411: .ended(.multideviceMismatch, code: code, final: false)
        case 440: .ended(.replaced, code: code)
        default: asSaid
        }
    }

    /// The error's own words: the payload of a server's error says "An internal server error occurred" whatever happened.
    private static func message(of error: WorkerData) -> String {
        let payload = error.optional("output")?.optional("payload")
        let texts = [error.optional("message")?.ownText, payload?.optional("message")?.ownText]
        return texts.lazy.compactMap(\.self).first { !$0.isEmpty } ?? ""
    }

    /// `NewChatMessageCapInfo`
    private static func capping(_ data: WorkerData) throws -> SessionReport? {
        guard let status = try data["capping_status"].text() else { return nil }
        if status == "NONE" { return .restriction(.newChats, nil) }
        let counts = (data.optional("used_quota")?.lenientNumber, data.optional("total_quota")?.lenientNumber)
        let detail = if let used = counts.0, let total = counts.1 { "\(used) of \(total) used" } else { nil as String? }
        let end = data.optional("cycle_end_timestamp")?.lenientNumber.map { Date(timeIntervalSince1970: Double($0)) }
        return .restriction(.newChats, Restriction.newChats.text(detail, until: end))
    }

    /// `me` of `Partial<AuthenticationCreds>`. A worker posts nothing else of that.
    private static func account(_ me: WorkerData) throws -> SessionReport? {
        // A pairing code was asked for: until it is entered on the phone, the number is a claim.
        guard me.isPresent, try me["name"].text() != "~" else { return nil }
        let name = try me["name"].text().flatMap { $0.isEmpty ? nil : $0 }
        return .account(number: try me["id"].text().flatMap(PhoneNumber.init(address:)), name: name)
    }
}
