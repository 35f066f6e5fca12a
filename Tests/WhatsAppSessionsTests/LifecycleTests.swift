import Foundation
import Testing
import WhatsAppSessions

/// A recorded life of one account, event by event: first pairing, refreshed codes, restart, loss, logout, relink.
@Suite struct LifecycleTests {
    @Test func `after every event of a real worker the session is what the recording expects`() throws {
        let manager = try SessionManager()
        let lines = try recording()
        #expect(lines.count == 33)
        for line in lines {
            if line.event == "app.create" {
                try manager.createSession(line.session)
            } else if let updates = updates(for: line) {
                try manager.updateSession(line.session, updates)
            }
            let session = try #require(try manager.getSession(line.session))
            let expected = Session(
                id: line.session,
                status: line.expect.status,
                phoneNumber: line.expect.phoneNumber,
                name: line.expect.name,
                createdAt: session.createdAt,
                connectedAt: line.expect.connectedAt,
                qrCode: line.expect.qrCode,
                disconnectReason: reason(at: line.seq)
            )
            #expect(session.unstamped == expected, "event \(line.seq)")
        }
    }

    /// Why the account last went offline, after this event of the recording: the connection is restarted after the pairing and lost
    /// twice, and at last the account is logged out on the phone.
    private func reason(at seq: Int) -> DisconnectReason? {
        switch seq {
        case 10...14: DisconnectReason(code: 515, text: "Stream Errored (restart required)")
        case 20...22: DisconnectReason(code: 408, text: "Connection was lost")
        case 23...26: DisconnectReason(code: 408, text: "WebSocket Error (getaddrinfo ENOTFOUND web.whatsapp.com)")
        case 30...: DisconnectReason(code: 401, text: "logged out")
        default: nil
        }
    }

    /// What a host makes of an event; `nil` when it says nothing about the session.
    private func updates(for line: Line) -> SessionUpdates? {
        let data = line.data
        if line.event == "app.make-socket" || data.connection == "connecting" || data.isNewLogin == true {
            return SessionUpdates(status: .initializing)
        }
        if let code = data.qr { return SessionUpdates(status: .qrWaiting, qrCode: .set(code)) }
        if data.connection == "open" { return SessionUpdates(status: .connected, connectedAt: .set(line.at)) }
        if data.connection == "close" {
            let output = data.lastDisconnect?.error.output
            let code = output?.statusCode
            return SessionUpdates(
                status: code == 401 ? .disconnected : .initializing,
                disconnectReason: .set(
                    DisconnectReason(code: code, text: code == 401 ? "logged out" : output?.payload.message ?? "")
                )
            )
        }
        return data.me.map { me in
            let number = String(me.id.prefix { $0.isNumber })
            return SessionUpdates(phoneNumber: .set(number), name: me.name.map { .set($0) } ?? .unchanged)
        }
    }

    private struct Line: Decodable {
        struct Payload: Decodable {
            struct Account: Decodable { var id: String, name: String? }
            struct Disconnect: Decodable { var error: Failure }
            struct Failure: Decodable { var output: Output }
            struct Output: Decodable { var statusCode: Int, payload: Boom }
            struct Boom: Decodable { var message: String }
            var connection: String?, qr: String?, isNewLogin: Bool?, me: Account?, lastDisconnect: Disconnect?
        }
        struct Expectation: Decodable {
            var status: Session.Status, qrCode: String?, phoneNumber: String?, name: String?, connectedAt: Date?
        }
        var seq: Int, at: Date, session: String, event: String, data: Payload, expect: Expectation
    }

    private func recording() throws -> [Line] {
        let file = try #require(
            Bundle.module.url(forResource: "Fixtures/pairing-lifecycle", withExtension: "ndjson")
        )
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .custom { decoder in
            let text = try decoder.singleValueContainer().decode(String.self)
            let date = try Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: true))
            // The nearest date to these milliseconds; the parser's is a few nanoseconds off.
            return Date(timeIntervalSince1970: (date.timeIntervalSince1970 * 1000).rounded() / 1000)
        }
        return try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
            .map { try decoder.decode(Line.self, from: Data($0.utf8)) }
    }
}
