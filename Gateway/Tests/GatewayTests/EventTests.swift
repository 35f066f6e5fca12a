import Foundation
import Hummingbird
import HummingbirdTesting
import NIOCore
import Testing
import WhatsAppSessions

@testable import Gateway

/// What each event of a worker becomes.
///
/// The tables are in `Events/`, a line for each event and each status before it, so that the next version of Baileys or whatsmeow is
/// a difference of lines: read in Baileys 7.0.0-rc13 and whatsmeow of 2026-08-21.
@Suite struct EventTests {
    /// A line of a table. What is absent stays as it was, or is not there.
    private struct Line: Decodable {
        var event: String, before: Session.Status, after: Session.Status
        var answer: Int?
        var reason: DisconnectReason?
        var phoneNumber: String?, name: String?, qrCode: String?, restriction: String?
    }

    @Test(arguments: ["baileys", "whatsmeow", "session"])
    func `each event does what its line of the table says`(table: String) async throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Events/\(table).ndjson")
        let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n")
        #expect(lines.count >= 40)
        try await withGateway { gateway in
            for (number, json) in lines.enumerated() {
                let line = try JSONDecoder().decode(Line.self, from: Data(json.utf8))
                let id = "\(number)"
                try await gateway.manager.createSession(id)
                var updates = SessionUpdates(status: line.before)
                if line.before == .disconnected { updates.disconnectReason = .set(DisconnectReason(text: "before")) }
                try await gateway.manager.updateSession(id, updates)
                let answer = try await gateway.send(.post, "/sessions/\(id)/events", String(json))
                #expect(answer.status.code == line.answer ?? 200, "\(json)")
                let session = try #require(try await gateway.manager.getSession(id))
                #expect(session.status == line.after, "\(json)")
                #expect(session.disconnectReason == line.reason, "\(json)")
                #expect(session.phoneNumber == line.phoneNumber && session.name == line.name, "\(json)")
                #expect(session.qrCode == line.qrCode && session.restriction == line.restriction, "\(json)")
            }
        }
    }

    // MARK: Times

    private func decode(_ event: String, _ data: String, _ more: String = "") throws -> WorkerEvent {
        let json = #"{"event":"\#(event)","data":\#(data)\#(more)}"#
        return try JSONDecoder.gateway.decode(WorkerEvent.self, from: Data(json.utf8))
    }

    private func updates(_ event: WorkerEvent, in status: Session.Status) -> SessionUpdates? {
        let session = Session(id: "support", status: status, createdAt: Date(), connectedAt: Self.noon)
        return event.report?.updates(for: session, at: event.date, willReconnect: event.willReconnect)
    }

    static let noon = Date(timeIntervalSince1970: 1_772_442_111.941)

    @Test(arguments: [#""2026-03-02T09:01:51.941Z""#, "1772442111941", #""1772442111941""#])
    func `an account is connected since the worker saw it, once`(at: String) throws {
        for (event, data) in [
            ("connection.update", #"{"connection":"open"}"#), ("Connected", "{}"),
            ("session", #"{"status":"connected"}"#),
        ] {
            let event = try decode(event, data, #","at":\#(at)"#)
            #expect(updates(event, in: .initializing)?.connectedAt == .set(Self.noon))
            #expect(updates(event, in: .connected)?.connectedAt == .unchanged)
        }
        // The same connection goes on.
        let restored = try decode("KeepAliveRestored", "{}", #","at":1772442199000"#)
        #expect(updates(restored, in: .initializing)?.connectedAt == .set(Self.noon))
    }

    @Test(arguments: [
        "1772442064", "0", "-1", #""2008-12-31T23:59:59Z""#, "4102444800000", #""noon""#, #""""#, "{}", "1e300",
    ])
    func `a time in seconds, before WhatsApp or far ahead is refused, with its place`(at: String) async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            let answer = try await gateway.send(
                .post,
                "/sessions/support/events",
                #"{"event":"connection.update","data":{"connection":"open"},"at":\#(at)}"#
            )
            #expect(answer.status == .badRequest)
            #expect(try answer.problem.detail.contains(#""at""#))
            #expect(try await gateway.manager.getSession("support")?.status == .initializing)
        }
    }

    @Test func `a time that is a little ahead counts as now`() throws {
        let event = try decode(
            "connection.update",
            #"{"connection":"open"}"#,
            #","at":\#(Date().millisecondsSince1970 + 3_600_000)"#
        )
        let date = try #require(event.date)
        #expect(abs(date.timeIntervalSinceNow) < 60)
    }

    @Test func `a code that is 50 seconds old expires in ten`() async throws {
        try await withGateway { gateway in
            for (id, event, data) in [
                ("a", "connection.update", #"{"qr":"2@code"}"#),
                ("b", "QRChannelItem", #"{"Event":"code","Code":"2@code"}"#),
                ("c", "session", #"{"qrCode":"2@code"}"#),
            ] {
                try await gateway.manager.createSession(id)
                let at = Date().millisecondsSince1970 - 50_000
                let answer = try await gateway.send(
                    .post,
                    "/sessions/\(id)/events",
                    #"{"event":"\#(event)","data":\#(data),"at":\#(at)}"#
                )
                let left = try #require(try answer.session.qrCodeExpiresAt).timeIntervalSinceNow
                #expect(left <= 10 && left > -50, "\(event)")
            }
        }
    }

    @Test func `a pairing code is one to be typed, with its age and no picture`() async throws {
        try await withGateway { gateway in
            for (id, code) in [("a", "ABCD1234"), ("b", "ABCD-1234")] {
                try await gateway.manager.createSession(id)
                let answer = try await gateway.post("session", #"{"pairingCode":"\#(code)"}"#, to: id)
                #expect(answer.text.contains(#""pairing":"code""#) && answer.text.contains(code))
                #expect(try answer.session.qrCodeReceivedAt != nil && answer.session.qrCodeExpiresAt == nil)
                let list = try await gateway.get("/sessions").text
                #expect(list.contains(#""pairing":"code""#) && !list.contains(code))
                #expect(try await gateway.get("/sessions/\(id)/qr").text == code)
                #expect(try await gateway.get("/sessions/\(id)/qr.svg").problem.code == "qr_code_not_drawable")
            }
            for code in ["2@one", "ABCD123", "ABCD12345", "abcd1234", "ABCD 1234"] {
                try await gateway.post("session", #"{"qrCode":"\#(code)"}"#, to: "a")
                let session = try await gateway.get("/sessions/a")
                #expect(
                    session.text.contains(#""pairing":"qr""#) && session.text.contains("qrCodeExpiresAt"),
                    "\(code)"
                )
            }
        }
    }

    @Test func `one restriction that is over leaves another alone`() async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            try await gateway.post("message-capping.update", #"{"capping_status":"CAPPED"}"#)
            try await gateway.post("NotifyAccountReachoutTimelock", "{}")
            #expect(try await gateway.manager.getSession("support")?.restriction == "new chats")
            try await gateway.post("message-capping.update", #"{"capping_status":"NONE"}"#)
            #expect(try await gateway.manager.getSession("support")?.restriction == nil)
            let patched = try await gateway.send(.patch, "/sessions/support", #"{"restriction":"no new groups"}"#)
            #expect(try patched.session.restriction == "no new groups")
        }
    }

    // MARK: What can be read

    @Test(arguments: [
        ("connection.update", #"{"connection":{"state":"close"}}"#, "data.connection"),
        ("connection.update", #"{"qr":["2@code"]}"#, "data.qr"),
        ("connection.update", "[]", "data"), ("creds.update", #"{"me":["1@s.whatsapp.net"]}"#, "data.me"),
        ("QR", #"{"Codes":"2@code"}"#, "data.Codes"), ("LoggedOut", #"{"Reason":1e99}"#, "data.Reason"),
        ("LoggedOut", #"{"Reason":true}"#, "data.Reason"), ("creds.update", #"{"me":{"id":{}}}"#, "data.me.id"),
        ("session", #"{"status":"online"}"#, "data.status"),
        ("session", #"{"phoneNumber":"+44 7700 900123"}"#, "data.phoneNumber"),
    ])
    func `what cannot be read is refused with its place, and without its value`(
        event: String,
        data: String,
        place: String
    ) async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            let answer = try await gateway.post(event, data)
            #expect(answer.status == .badRequest)
            #expect(try answer.problem.detail.contains(#""\#(place)""#))
            #expect(!answer.text.contains("2@code") && !answer.text.contains("7700"))
        }
    }

    @Test func `half a character in a name is replaced, and costs nothing else`() async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            for (text, name) in [
                (#"Ana \ud83d"#, "Ana \u{fffd}"), (#"\ude00 Ana"#, "\u{fffd} Ana"), (#"Ana \ud83d\ude00"#, "Ana 😀"),
                (#"\ud83d\u0041"#, "\u{fffd}A"), (#"\ud83d\ud83d\ude00"#, "\u{fffd}😀"), (#"\\ud83d"#, #"\ud83d"#),
                (#"\\\ud83d\n"#, "\\\u{fffd}\n"), (#"caf\u00e9 \"x\""#, #"café "x""#),
            ] {
                let answer = try await gateway.post("PushNameSetting", #"{"Action":{"name":"\#(text)"}}"#)
                #expect(try answer.session.name == name, "\(text)")
            }
            for text in [#"\u12"#, #"\ud83"#, "\\"] {
                let refused = try await gateway.post("PushNameSetting", #"{"Action":{"name":"\#(text)"}}"#)
                #expect(refused.status == .badRequest, "\(text)")
            }
        }
    }

    @Test func `a body that is not UTF-8 is refused, and not read as something else`() async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            let json = #"{"event":"session","data":{"name":"Ana"}}"#
            for body in [json.data(using: .utf16)!, json.data(using: .utf16LittleEndian)!, Data(json.utf8) + [0xff]] {
                let answer = try await gateway.client.execute(
                    uri: "/sessions/support/events",
                    method: .post,
                    headers: [.contentType: "application/json"],
                    body: ByteBuffer(data: body)
                )
                #expect(try answer.problem.code == "invalid_body")
            }
            #expect(try await gateway.manager.getSession("support")?.name == nil)
        }
    }

    @Test func `a long message is cut, and so is the reason of a patch`() async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            let (long, cut) = (String(repeating: "é", count: 300), String(repeating: "é", count: 200))
            try await gateway.post(
                "connection.update",
                #"{"connection":"close","lastDisconnect":{"error":{"message":"\#(long)"}}}"#
            )
            #expect(try await gateway.manager.getSession("support")?.disconnectReason == DisconnectReason(text: cut))
            let patched = try await gateway.send(
                .patch,
                "/sessions/support",
                #"{"disconnectReason":{"code":7,"text":"\#(long)"}}"#
            )
            #expect(try patched.session.disconnectReason == DisconnectReason(code: 7, text: cut))
        }
    }

    @Test func `a patch takes a number in digits only, and empties what is empty`() async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            try await gateway.send(.patch, "/sessions/support", #"{"phoneNumber":"447700900123","name":"Ana"}"#)
            for number in ["+44 7700 900123", "+447700900123", "447700900123@c.us", "٤٤٧٧", "1234567890123456", " "] {
                let refused = try await gateway.send(
                    .patch,
                    "/sessions/support",
                    #"{"phoneNumber":"\#(number)","name":"Zoë"}"#
                )
                #expect(
                    try refused.problem.code == "invalid_phone_number",
                    "\(number)"
                )
            }
            #expect(try await gateway.manager.getSession("support")?.phoneNumber == "447700900123")
            #expect(try await gateway.manager.getSession("support")?.name == "Ana")
            let emptied = try await gateway.send(.patch, "/sessions/support", #"{"phoneNumber":"","name":""}"#)
            #expect(try emptied.session.phoneNumber == nil)
            #expect(try emptied.session.name == nil)
        }
    }

    @Test func `a name that the gateway doesn't know is said once, and none that may be a code`() {
        #expect(UnknownNames.note("chats.something-new", as: "event"))
        #expect(!UnknownNames.note("chats.something-new", as: "event"))
        #expect(UnknownNames.note("chats.something-new", as: "QRChannelItem"))
        for name in ["447700900123", "ABCD-1234", "2@one", "", "two words", "é", String(repeating: "x", count: 61)] {
            #expect(!UnknownNames.note(name, as: "event"), "\(name)")
        }
    }

    @Test func `what Baileys and whatsmeow say of messages, groups and calls is not called unknown`() {
        for name in ["messages.upsert", "call", "*events.Message", "events.Receipt", "OfflineSyncCompleted"] {
            #expect(!UnknownNames.note(name, as: "event"), "\(name)")
        }
    }

    // MARK: The Quickstart

    @Test func `the Quickstart ends on the same codes with the same words`() throws {
        let source = try String(
            contentsOf: URL(filePath: #filePath).appending(path: "../../../../Snippets/Quickstart.swift").standardized,
            encoding: .utf8
        )
        let table = try #require(source.firstMatch(of: /let ended = \[([^\]]*)\]/)).output.1
        let entries = table.matches(of: /([0-9]+): "([^"]*)"/)
        #expect(entries.count == 8)
        for code in 400...599 where code != 408 {
            let words = entries.first { $0.output.1 == "\(code)" }.map { String($0.output.2) }
            let error = #"{"message":"x","output":{"statusCode":\#(code)}}"#
            let close = try decode("connection.update", #"{"connection":"close","lastDisconnect":{"error":\#(error)}}"#)
            let expected = SessionUpdates(
                status: words == nil ? .initializing : .disconnected,
                disconnectReason: .set(DisconnectReason(code: code, text: words ?? "x"))
            )
            #expect(updates(close, in: .connected) == expected, "\(code)")
        }
        for rule in [
            #"message == "QR refs attempts ended" ? "QR codes used up""#,
            #"message?.hasPrefix("WebSocket Error") != true"#,
        ] {
            #expect(source.contains(rule))
        }
    }

    // MARK: Words

    @Test func `the page has words for each reason that the gateway gives, and for the library's`() async throws {
        let manager = try SessionManager()
        try await manager.createSession("support")
        try await manager.recoverSessions()
        let recovered = try #require(try await manager.getSession("support")?.disconnectReason)
        #expect(recovered == DisconnectReason(.gatewayStopped))
        try await withGateway { gateway in
            let page = try await gateway.get("/").text
            for reason in KnownReason.allCases {
                #expect(page.contains(#""\#(reason.rawValue)":{"advice":""#), "\(reason)")
            }
        }
    }

    @Test(arguments: [
        (DisconnectReason(.loggedOut), false), (DisconnectReason(.replaced, code: 440), false), (nil, false),
        (DisconnectReason(.workerGone), true), (DisconnectReason(.gatewayStopped), true),
        (DisconnectReason(code: 408, text: "Connection was lost"), true),
    ])
    func `who asks is told whether a disconnected session gets a socket again`(
        reason: DisconnectReason?,
        needsSocket: Bool
    ) async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            let live = try await gateway.get("/sessions/support").text
            #expect(live.contains(#""needsSocket":true"#))
            let updates = SessionUpdates(status: .disconnected, disconnectReason: FieldUpdate(ifPresent: reason))
            try await gateway.manager.updateSession("support", updates)
            for path in ["/sessions/support", "/sessions"] {
                let text = try await gateway.get(path).text
                #expect(text.contains("\"needsSocket\":\(needsSocket)"))
            }
        }
    }
}
