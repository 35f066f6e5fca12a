import Foundation
import Testing
import WhatsAppSessions

/// The JSON that a web page and a TypeScript gateway exchange with a host.
@Suite struct JSONTests {
    let full = Session(
        id: "support",
        status: .qrWaiting,
        phoneNumber: "447700900123",
        name: "Ana ☕",
        createdAt: Date(timeIntervalSince1970: 1.5),
        connectedAt: Date(timeIntervalSince1970: 2.5),
        qrCode: "2@code",
        statusChangedAt: Date(timeIntervalSince1970: 3.5),
        qrCodeReceivedAt: Date(timeIntervalSince1970: 4.5),
        disconnectReason: DisconnectReason(code: 401, text: "logged out"),
        restriction: "new chats",
        holder: "eu-1",
        wish: .logOut
    )

    @Test func `a session encodes with the names of the TypeScript fields`() throws {
        #expect(
            try json(full) == """
                {"connectedAt":2500,"createdAt":1500,"disconnectReason":{"code":401,"text":"logged out"},"holder":"eu-1",\
                "id":"support","name":"Ana ☕","phoneNumber":"447700900123","qrCode":"2@code","qrCodeReceivedAt":4500,"restriction":"new chats",\
                "status":"qr_waiting","statusChangedAt":3500,"wish":"logout"}
                """
        )
    }

    @Test func `what a session does not have is absent from its JSON`() throws {
        let session = Session(id: "support", status: .initializing, createdAt: Date(timeIntervalSince1970: 1.5))
        #expect(
            try json(session) == #"{"createdAt":1500,"id":"support","status":"initializing","statusChangedAt":1500}"#
        )
    }

    @Test func `a session decodes to what was encoded`() throws {
        let session = Session(id: "a", status: .connected, createdAt: Date(timeIntervalSince1970: 1.5))
        for session in [full, session] {
            #expect(try decoder.decode(Session.self, from: Data(json(session).utf8)) == session)
        }
    }

    @Test func `the statuses have their names in JSON`() {
        #expect(Session.Status.allCases.map(\.rawValue) == ["initializing", "qr_waiting", "connected", "disconnected"])
    }

    @Test func `in a merge patch an absent field is unchanged`() throws {
        #expect(try updates("{}") == SessionUpdates())
        #expect(try updates(#"{"id": "other", "createdAt": 7, "unknown": true}"#) == SessionUpdates())
    }

    @Test func `in a merge patch null clears a field`() throws {
        let patch =
            #"{"phoneNumber": null, "name": null, "connectedAt": null, "qrCode": null, "disconnectReason": null}"#
        #expect(
            try updates(patch)
                == SessionUpdates(
                    phoneNumber: .clear,
                    name: .clear,
                    connectedAt: .clear,
                    qrCode: .clear,
                    disconnectReason: .clear
                )
        )
    }

    @Test func `in a merge patch a value is set`() throws {
        let patch = #"""
            {"status":"connected","phoneNumber":"1","name":"","connectedAt":1500,"qrCode":"2@code",\#
            "disconnectReason":{"code":null,"text":"banned"}}
            """#
        #expect(
            try updates(patch)
                == SessionUpdates(
                    status: .connected,
                    phoneNumber: .set("1"),
                    name: .set(""),
                    connectedAt: .set(Date(timeIntervalSince1970: 1.5)),
                    qrCode: .set("2@code"),
                    disconnectReason: .set(DisconnectReason(text: "banned"))
                )
        )
    }

    @Test(arguments: [
        #"{"status": null}"#, #"{"status": "online"}"#, #"{"status": "qrWaiting"}"#, #"{"status": 1}"#,
        #"{"name": 1}"#, #"{"phoneNumber": 447700900123}"#, #"{"connectedAt": "yesterday"}"#,
        #"{"qrCode": ["2@code"]}"#, #"{"qrCodeReceivedAt": "now"}"#, #"{"disconnectReason": {"code": 401}}"#,
        #"{"disconnectReason": "401"}"#,
        "[]", "null",
    ])
    func `a patch that makes no sense is a decoding error`(patch: String) {
        #expect(throws: DecodingError.self) { try updates(patch) }
    }

    @Test func `an update encodes to the merge patch that decodes to it`() throws {
        let updates = [
            SessionUpdates(),
            SessionUpdates(status: .qrWaiting, phoneNumber: .clear, name: .set("Ana"), qrCode: .set("2@code")),
            SessionUpdates(phoneNumber: .set(""), name: .clear, connectedAt: .set(Date(timeIntervalSince1970: 1.5))),
            SessionUpdates(connectedAt: .clear, qrCode: .clear),
            SessionUpdates(disconnectReason: .set(DisconnectReason(code: 401, text: "logged out"))),
            SessionUpdates(qrCode: .set("2@code"), qrCodeReceivedAt: Date(timeIntervalSince1970: 1.5)),
            SessionUpdates(restriction: .set("new chats")), SessionUpdates(restriction: .clear),
            SessionUpdates(wish: .set(.stop)), SessionUpdates(wish: .clear),
        ]
        let patches = [
            "{}", #"{"name":"Ana","phoneNumber":null,"qrCode":"2@code","status":"qr_waiting"}"#,
            #"{"connectedAt":1500,"name":null,"phoneNumber":""}"#, #"{"connectedAt":null,"qrCode":null}"#,
            #"{"disconnectReason":{"code":401,"text":"logged out"}}"#,
            #"{"qrCode":"2@code","qrCodeReceivedAt":1500}"#, #"{"restriction":"new chats"}"#, #"{"restriction":null}"#,
            #"{"wish":"stop"}"#, #"{"wish":null}"#,
        ]
        for (updates, patch) in zip(updates, patches) {
            #expect(try json(updates) == patch)
            #expect(try self.updates(patch) == updates)
        }
    }

    @Test func `a field update is made from a value that may be absent`() {
        #expect(FieldUpdate(ifPresent: "Ana") == .set("Ana"))
        #expect(FieldUpdate<String>(ifPresent: nil) == .unchanged)
    }

    private func json(_ session: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.dateEncodingStrategy = .millisecondsSince1970
        encoder.outputFormatting = .sortedKeys
        return String(decoding: try encoder.encode(session), as: UTF8.self)
    }

    private var decoder: JSONDecoder {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .millisecondsSince1970
        return decoder
    }

    private func updates(_ json: String) throws -> SessionUpdates {
        try decoder.decode(SessionUpdates.self, from: Data(json.utf8))
    }
}
