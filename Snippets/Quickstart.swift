// Plays the recorded life of one WhatsApp account through a session manager in memory, and follows what changes.
import Foundation
import WhatsAppSessions

let manager = try SessionManager()
let recording = URL(filePath: #filePath)
    .appending(path: "../../Tests/WhatsAppSessionsTests/Fixtures/pairing-lifecycle.ndjson").standardized

// What a Baileys worker emits, as far as a session cares.
struct Event: Decodable {
    struct Account: Decodable { var id: String, name: String? }
    struct Disconnect: Decodable { var error: Failure }
    struct Failure: Decodable { var output: Output }
    struct Output: Decodable { var statusCode: Int, payload: Boom }
    struct Boom: Decodable { var message: String }
    struct Payload: Decodable {
        var connection: String?, qr: String?, isNewLogin: Bool?, me: Account?, lastDisconnect: Disconnect?
    }
    var at: Date, session: String, event: String, data: Payload
}

// The codes with which WhatsApp closes a socket for good. After any other the host opens a new one.
let ended = [
    401: "logged out", 402: "temporarily banned", 403: "account locked", 405: "worker outdated", 406: "banned",
    409: "worker outdated", 411: "multi-device mismatch", 440: "replaced by another process",
]

// The mapping that a host writes: what an event says about the session; nil for nothing.
extension SessionUpdates {
    init?(_ event: Event) {
        let data = event.data
        switch (event.event, data.connection) {
        case ("app.make-socket", _), (_, "connecting"):
            self.init(status: .initializing)
        case (_, "open"):
            self.init(status: .connected, connectedAt: .set(event.at))
        case (_, "close"):
            let (code, message) = (
                data.lastDisconnect?.error.output.statusCode, data.lastDisconnect?.error.output.payload.message
            )
            // With "WebSocket Error" a proxy or the network has answered, not WhatsApp.
            if let code, message?.hasPrefix("WebSocket Error") != true,
                let text = message == "QR refs attempts ended" ? "QR codes used up" : ended[code]
            {
                self.init(status: .disconnected, disconnectReason: .set(DisconnectReason(code: code, text: text)))
            } else {
                // Lost, or restarted after the pairing: the host opens a new socket.
                let reason = DisconnectReason(code: code, text: message ?? "connection closed")
                self.init(status: .initializing, disconnectReason: .set(reason))
            }
        case _ where data.isNewLogin == true:
            // Paired: the QR code is dead from here on, but the account is not online yet.
            self.init(status: .initializing)
        default:
            if let code = data.qr {
                self.init(status: .qrWaiting, qrCode: .set(code))
            } else if let me = data.me {
                // "447700900123:7@s.whatsapp.net"; the name comes seconds after the connection.
                let number = me.id.hasSuffix("@s.whatsapp.net") ? String(me.id.prefix(while: \.isNumber)) : nil
                self.init(phoneNumber: FieldUpdate(ifPresent: number), name: FieldUpdate(ifPresent: me.name))
            } else {
                return nil
            }
        }
    }
}

let decoder = JSONDecoder()
decoder.dateDecodingStrategy = .custom { decoder in
    let text = try decoder.singleValueContainer().decode(String.self)
    return try Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true))
}

func show(_ columns: String...) {
    let padded = zip(columns.dropLast(), [10, 12, 20]).map { text, width in
        text.padding(toLength: width, withPad: " ", startingAt: 0)
    }
    print((padded + columns.suffix(1)).joined(separator: "  "))
}

// Prints each change once, in order, while the recording plays; until the last account is created.
let start = try manager.snapshot().cursor
let timeline = Task {
    show("session", "status", "what changed, or why")
    for try await change in manager.changes(after: start) {
        let what = change.kind == .updated ? "\(change.fields)" : "\(change.kind)"
        let why = change.fields.contains(.disconnectReason) ? change.disconnectReason.map { "\($0)" } : nil
        show(change.sessionID, change.status?.rawValue ?? "-", why ?? what)
        if change.sessionID == "support" { break }
    }
}

var now = Date.distantPast
for line in try String(contentsOf: recording, encoding: .utf8).split(separator: "\n") {
    let event = try decoder.decode(Event.self, from: Data(line.utf8))
    now = event.at
    if event.event == "app.create" { try manager.createSession(event.session) }
    if let updates = SessionUpdates(event) { try manager.updateSession(event.session, updates) }
}
// The code is scanned and the account is online.
try manager.updateSession("shop-eu-01", SessionUpdates(status: .connected, connectedAt: .set(now + 20)))
try manager.createSession("support")
try await timeline.value

print("\nA late QR code from the socket before:")
do {
    try manager.updateSession("shop-eu-01", SessionUpdates(status: .qrWaiting, qrCode: .set("2@late")))
} catch {
    print(error)
}

print("\nAll sessions:")
show("session", "status", "connected at", "number, name")
for session in try manager.getAllSessions() {
    show(
        session.id,
        session.status.rawValue,
        session.connectedAt?.formatted(.iso8601.dateTimeSeparator(.space)) ?? "never",
        session.phoneNumber.map { "\($0), \(session.name ?? "-")" } ?? "-"
    )
}
