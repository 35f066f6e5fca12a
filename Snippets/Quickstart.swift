// Plays the recorded life of one WhatsApp account through a session manager in memory.
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
    struct Output: Decodable { var statusCode: Int }
    struct Payload: Decodable {
        var connection: String?, qr: String?, isNewLogin: Bool?, me: Account?, lastDisconnect: Disconnect?
    }
    var at: Date, session: String, event: String, data: Payload
}

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
            // 401: unlinked on the phone. Any other code: the host opens a new socket.
            let isLoggedOut = data.lastDisconnect?.error.output.statusCode == 401
            self.init(status: isLoggedOut ? .disconnected : .initializing)
        case _ where data.isNewLogin == true:
            // Paired: the QR code is dead from here on, but the account is not online yet.
            self.init(status: .initializing)
        default:
            if let code = data.qr {
                self.init(status: .qrWaiting, qrCode: .set(code))
            } else if let me = data.me {
                // "447700900123:7@s.whatsapp.net"; the name comes seconds after the connection.
                let number = String(me.id.prefix(while: \.isNumber))
                self.init(phoneNumber: .set(number), name: me.name.map { .set($0) } ?? .unchanged)
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
    let padded = zip(columns, [20, 10, 12, 0]).map { text, width in
        text + String(repeating: " ", count: max(0, width - text.count))
    }
    print(padded.joined(separator: "  "))
}

func time(_ date: Date) -> String { date.formatted(.iso8601.dateTimeSeparator(.space)) }

func details(_ session: Session) -> String {
    let code = session.qrCode.map { "a QR code of \($0.count) characters" }
    let known = [session.phoneNumber, session.name, code].compactMap(\.self)
    return known.isEmpty ? "-" : known.joined(separator: ", ")
}

show("time", "session", "status", "number, name, QR code")
var shown: Session?
var now = Date.distantPast
for line in try String(contentsOf: recording, encoding: .utf8).split(separator: "\n") {
    let event = try decoder.decode(Event.self, from: Data(line.utf8))
    now = event.at
    if event.event == "app.create" { try manager.createSession(event.session) }
    if let updates = SessionUpdates(event) { try manager.updateSession(event.session, updates) }
    if let session = try manager.getSession(event.session), session != shown {
        show(time(now), session.id, session.status.rawValue, details(session))
        shown = session
    }
}

// The code is scanned and the account is online, when the socket before speaks up once more.
try manager.updateSession("shop-eu-01", SessionUpdates(status: .connected, connectedAt: .set(now + 20)))
print("\nA late QR code from the socket before:")
do {
    try manager.updateSession("shop-eu-01", SessionUpdates(status: .qrWaiting, qrCode: .set("2@late")))
} catch {
    print(error)
}

try manager.createSession("support")
print("\nAll sessions:")
show("connected at", "session", "status", "number, name, QR code")
for session in try manager.getAllSessions() {
    show(session.connectedAt.map(time) ?? "never", session.id, session.status.rawValue, details(session))
}
