import Foundation
import Testing
import WhatsAppSessions

@testable import Gateway

/// What each event of a worker becomes: the rows of the two tables in README.md.
@Suite struct EventTests {
    private func updates(
        _ event: String,
        _ data: String,
        in status: Session.Status = .initializing,
        _ more: String = ""
    ) throws -> SessionUpdates? {
        let json = #"{"event":"\#(event)","data":\#(data)\#(more)}"#
        let decoded = try JSONDecoder.gateway.decode(WorkerEvent.self, from: Data(json.utf8))
        let session = Session(id: "support", status: status, createdAt: Date())
        return decoded.report?.updates(for: session, at: decoded.date, willReconnect: decoded.willReconnect)
    }

    private func ended(_ code: Int?, _ text: String) -> SessionUpdates {
        SessionUpdates(status: .disconnected, disconnectReason: .set(DisconnectReason(code: code, text: text)))
    }

    private func lost(_ code: Int?, _ text: String) -> SessionUpdates {
        SessionUpdates(status: .initializing, disconnectReason: .set(DisconnectReason(code: code, text: text)))
    }

    static let noon = Date(timeIntervalSince1970: 1_772_442_111.941)

    // MARK: Baileys

    private func close(_ code: Int, _ message: String) -> String {
        """
        {"connection":"close","lastDisconnect":{"error":{"isBoom":true,"output":\
        {"statusCode":\(code),"payload":{"message":"\(message)"}}},"date":"2026-03-02T09:01:51.941Z"}}
        """
    }

    @Test func `a Baileys socket that opens is initializing, and so is a new login`() throws {
        for data in [#"{"connection":"connecting"}"#, #"{"isNewLogin":true}"#] {
            #expect(try updates("connection.update", data) == SessionUpdates(status: .initializing))
        }
    }

    @Test func `a Baileys QR code waits to be scanned`() throws {
        let expected = SessionUpdates(status: .qrWaiting, qrCode: .set("2@one"))
        #expect(try updates("connection.update", #"{"qr":"2@one"}"#) == expected)
    }

    @Test(arguments: [#""2026-03-02T09:01:51.941Z""#, "1772442111941"])
    func `an open Baileys connection is connected since the worker saw it, once`(at: String) throws {
        let open = #"{"connection":"open"}"#
        let expected = SessionUpdates(status: .connected, connectedAt: .set(Self.noon))
        #expect(try updates("connection.update", open, in: .initializing, ",\"at\":\(at)") == expected)
        let again = try updates("connection.update", open, in: .connected, ",\"at\":\(at)")
        #expect(again == SessionUpdates(status: .connected))
    }

    @Test(arguments: [
        (401, "logged out", true), (402, "temporarily banned", false), (403, "account locked", true),
        (405, "worker outdated", false), (409, "worker outdated", false), (406, "banned", false),
        (411, "multi-device mismatch", true), (440, "replaced by another process", false),
    ])
    func `a Baileys close that says why is the end, and some ends cannot be undone`(
        code: Int,
        text: String,
        mayReconnect: Bool
    ) throws {
        let data = close(code, "Stream Errored (conflict)")
        #expect(try updates("connection.update", data, in: .connected) == ended(code, text))
        let willReconnect = try updates("connection.update", data, in: .connected, #","willReconnect":true"#)
        #expect(willReconnect == (mayReconnect ? lost(code, text) : ended(code, text)))
    }

    @Test func `used-up codes are the end whatever the worker would like`() throws {
        for more in ["", #","willReconnect":true"#] {
            let updates = try updates("connection.update", close(408, "QR refs attempts ended"), in: .qrWaiting, more)
            #expect(updates == ended(408, "QR codes used up"))
        }
    }

    @Test(arguments: [408, 428, 500, 503, 515, 599])
    func `a Baileys close of any other kind comes back, unless the worker says otherwise`(code: Int) throws {
        let data = close(code, "Connection was lost")
        #expect(try updates("connection.update", data, in: .connected) == lost(code, "Connection was lost"))
        let willStop = try updates("connection.update", data, in: .connected, #","willReconnect":false"#)
        #expect(willStop == ended(code, "Connection was lost"))
    }

    @Test func `a close without an error is the worker's own, and one with an empty error is not`() throws {
        let own = #"{"connection":"close","lastDisconnect":{"date":"2026-03-02T09:01:51.941Z"}}"#
        #expect(try updates("connection.update", own, in: .connected) == ended(nil, "closed by the worker"))
        #expect(try updates("connection.update", #"{"connection":"close"}"#) == ended(nil, "closed by the worker"))
        let plain = #"{"connection":"close","lastDisconnect":{"error":{}}}"#
        #expect(try updates("connection.update", plain, in: .connected) == lost(nil, "connection closed"))
    }

    @Test func `a long message is cut, and an empty one replaced`() throws {
        let long = String(repeating: "é", count: 300)
        let cut = String(repeating: "é", count: 200)
        #expect(try updates("connection.update", close(428, long), in: .connected) == lost(428, cut))
        #expect(try updates("connection.update", close(428, "")) == lost(428, "connection closed"))
    }

    @Test func `a close leaves a session that is disconnected as it is`() throws {
        for data in [close(428, "Connection Closed"), close(440, "Stream Errored"), #"{"connection":"close"}"#] {
            #expect(try updates("connection.update", data, in: .disconnected) == SessionUpdates())
        }
        #expect(try updates("Disconnected", "{}", in: .disconnected) == SessionUpdates())
    }

    @Test func `the account's number and name come with its credentials`() throws {
        let me =
            #"{"me":{"id":"447700900123:7@s.whatsapp.net","lid":"1@lid","name":"Ana Souza ☕"},"noiseKey":{"private":"x"}}"#
        let expected = SessionUpdates(phoneNumber: .set("447700900123"), name: .set("Ana Souza ☕"))
        #expect(try updates("creds.update", me) == expected)
        let unnamed = #"{"me":{"id":"447700900123@s.whatsapp.net"}}"#
        #expect(try updates("creds.update", unnamed) == SessionUpdates(phoneNumber: .set("447700900123")))
    }

    @Test func `a pairing code that was asked for is only a claim`() throws {
        #expect(try updates("creds.update", #"{"me":{"id":"447700900123@s.whatsapp.net","name":"~"}}"#) == nil)
    }

    @Test(arguments: [
        ("connection.update", #"{"receivedPendingNotifications":true}"#), ("connection.update", #"{"isOnline":true}"#),
        ("connection.update", #"{"isNewLogin":false}"#), ("creds.update", #"{"nextPreKeyId":813}"#),
        ("messages.upsert", #"{"messages":[1,"two"]}"#), ("KeepAliveTimeout", "{}"), ("*events.Receipt", "[]"),
        ("connection.update", "null"), ("QRChannelItem", "{}"), ("", "{}"),
    ])
    func `an event that says nothing about a session asks for nothing`(event: String, data: String) throws {
        #expect(try updates(event, data) == nil)
    }

    // MARK: whatsmeow

    @Test func `a whatsmeow pairing shows codes until one is scanned or they are used up`() throws {
        let code = #"{"Event":"code","Code":"2@one","Timeout":60000000000,"Error":null}"#
        #expect(try updates("QRChannelItem", code) == SessionUpdates(status: .qrWaiting, qrCode: .set("2@one")))
        let item = { (event: String) in #"{"Event":"\#(event)","Code":"","Timeout":0,"Error":null}"# }
        #expect(try updates("QRChannelItem", item("success")) == SessionUpdates(status: .initializing))
        #expect(try updates("QRChannelItem", item("timeout"), in: .qrWaiting) == ended(nil, "QR codes used up"))
        #expect(try updates("QRChannelItem", item("err-client-outdated")) == ended(nil, "worker outdated"))
        let tooOld = DisconnectReason(text: "scanned by a phone without multi-device")
        #expect(
            try updates("QRChannelItem", item("err-scanned-without-multidevice"))
                == SessionUpdates(disconnectReason: .set(tooOld))
        )
        // Not what a worker may have put there by mistake.
        #expect(try updates("QRChannelItem", item("2@secret")) == ended(nil, "pairing failed"))
        #expect(try updates("QRChannelItem", item("err-unexpected-state")) == ended(nil, "err-unexpected-state"))
    }

    @Test func `a whatsmeow account is paired, then connected, then named`() throws {
        let paired =
            #"{"ID":"447700900123:7@s.whatsapp.net","LID":"1:7@lid","BusinessName":"Ana","Platform":"android"}"#
        #expect(
            try updates("*events.PairSuccess", paired)
                == SessionUpdates(status: .initializing, phoneNumber: .set("447700900123"), name: .set("Ana"))
        )
        let connected = SessionUpdates(status: .connected, connectedAt: .set(Self.noon))
        #expect(try updates("Connected", "{}", in: .initializing, #","at":1772442111941"#) == connected)
        let named = #"{"Timestamp":"2026-03-02T09:01:51Z","Action":{"name":"Ana Souza ☕"},"FromFullSync":false}"#
        #expect(try updates("PushNameSetting", named) == SessionUpdates(name: .set("Ana Souza ☕")))
    }

    @Test func `a whatsmeow connection that is lost comes back by itself`() throws {
        #expect(try updates("Disconnected", "{}", in: .connected) == lost(nil, "connection lost"))
        #expect(try updates("StreamError", #"{"Code":"515","Raw":null}"#, in: .connected) == lost(515, "stream error"))
        #expect(try updates("ManualLoginReconnect", "{}") == SessionUpdates(status: .initializing))
        let stopped = try updates("Disconnected", "{}", in: .connected, #","willReconnect":false"#)
        #expect(stopped == ended(nil, "connection lost"))
    }

    @Test func `a whatsmeow connection that is refused is the end`() throws {
        #expect(try updates("LoggedOut", #"{"OnConnect":true,"Reason":401}"#) == ended(401, "logged out"))
        #expect(try updates("StreamReplaced", "{}") == ended(nil, "replaced by another process"))
        #expect(
            try updates("TemporaryBan", #"{"Code":101,"Expire":3600000000000}"#) == ended(101, "temporarily banned")
        )
        #expect(try updates("ClientOutdated", "{}") == ended(nil, "worker outdated"))
        let failure = #"{"Reason":500,"Message":"internal server error","Raw":null}"#
        #expect(try updates("ConnectFailure", failure) == ended(500, "internal server error"))
        for event in ["StreamReplaced", "TemporaryBan", "ClientOutdated"] {
            let updates = try updates(event, "{}", in: .connected, #","willReconnect":true"#)
            #expect(updates?.status == .disconnected, "\(event)")
        }
    }

    @Test func `a phone that is too old gives a reason and no status`() throws {
        let reason = DisconnectReason(text: "scanned by a phone without multi-device")
        #expect(try updates("QRScannedWithoutMultidevice", "{}") == SessionUpdates(disconnectReason: .set(reason)))
    }

    @Test func `the Quickstart ends on the same codes with the same words`() throws {
        let source = try String(
            contentsOf: URL(filePath: #filePath).appending(path: "../../../../Snippets/Quickstart.swift").standardized,
            encoding: .utf8
        )
        let table = try #require(source.firstMatch(of: /let ended = \[([^\]]*)\]/)).output.1
        let entries = table.matches(of: /([0-9]+): "([^"]*)"/)
        #expect(entries.count == 8)
        for entry in entries {
            let (code, text) = (Int(entry.output.1)!, String(entry.output.2))
            #expect(try updates("connection.update", close(code, "x"), in: .connected) == ended(code, text), "\(code)")
        }
        #expect(source.contains(#"message == "QR refs attempts ended" ? "QR codes used up""#))
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
