import Foundation
import Testing

@testable import WhatsAppSessions

/// A QR code links a device to the account for whoever reads it, so nothing that may be logged shows it.
@Suite struct SecretTests {
    let code = "2@SECRET"

    @Test func `printing a session tells that there is a QR code, not which`() {
        let session = Session(
            id: "support",
            status: .qrWaiting,
            phoneNumber: "447700900123",
            createdAt: .distantPast,
            qrCode: code
        )
        let printed = everyPrint(of: session)
        #expect(!printed.contains("SECRET"))
        #expect(printed.contains("(hidden)"))
        #expect(
            session.description.hasPrefix(
                #"Session(id: support, status: qrWaiting, phoneNumber: Optional("447700900123")"#
            )
        )
        #expect(!everyPrint(of: Session(id: "a", status: .connected, createdAt: .distantPast)).contains("(hidden)"))
    }

    @Test func `printing an update tells which fields it sets, and no value`() {
        let updates = SessionUpdates(status: .qrWaiting, name: .set("Ana"), qrCode: .set(code))
        for printed in [everyPrint(of: updates), everyPrint(of: updates.qrCode), everyPrint(of: FieldUpdate.set(code))]
        {
            #expect(!printed.contains("SECRET"))
            #expect(!printed.contains("Ana"))
            #expect(printed.contains("set"))
        }
        #expect(
            "\(updates)".hasSuffix(
                "name: set, connectedAt: unchanged, qrCode: set, qrCodeReceivedAt: nil, disconnectReason: unchanged, restriction: unchanged, wish: unchanged)"
            )
        )
        #expect(
            "\(SessionUpdates(qrCode: .clear))".hasSuffix(
                "qrCode: clear, qrCodeReceivedAt: nil, disconnectReason: unchanged, restriction: unchanged, wish: unchanged)"
            )
        )
    }

    @Test func `a refused update does not print the QR code it brought`() throws {
        let manager = try SessionManager()
        let id = try manager.createSession().id
        for updates in [
            SessionUpdates(qrCode: .set(code)),
            SessionUpdates(status: .connected, connectedAt: .clear, qrCode: .set(code)),
            SessionUpdates(
                status: .qrWaiting,
                connectedAt: .set(Date(timeIntervalSince1970: .nan)),
                qrCode: .set(code)
            ),
        ] {
            let error = try #require(throws: (any Error).self) { try manager.updateSession(id, updates) }
            #expect(!everyPrint(of: error).contains("SECRET"))
        }
        try manager.updateSession(id, SessionUpdates(status: .connected))
        let late = try #require(throws: (any Error).self) {
            try manager.updateSession(id, SessionUpdates(status: .qrWaiting, qrCode: .set(code)))
        }
        #expect(!everyPrint(of: late).contains("SECRET"))
        let missing = try #require(throws: (any Error).self) {
            try manager.updateSession("missing", SessionUpdates(status: .qrWaiting, qrCode: .set(code)))
        }
        #expect(!everyPrint(of: missing).contains("SECRET"))
    }

    @Test func `an error of PostgreSQL prints its SQLSTATE, and a storage where it is`() {
        let error = DatabaseError(resultCode: .busy, message: "starting up", isOutcomeUnknown: true, sqlState: "57P03")
        #expect("\(error)" == "PostgreSQL error 57P03: starting up - the change may have been made")
        #expect("\(SessionManager.Storage.file(path: "a.sqlite"))".contains("a.sqlite"))
        #expect("\(SessionManager.Storage.memory)".contains("memory"))
    }

    @Test func `an SQLite error prints the statement without its values`() throws {
        let manager = try SessionManager()
        let id = try manager.createSession().id
        try manager.execute("DROP TRIGGER sessions_connected_is_never_qr_waiting")
        try manager.execute(
            "CREATE TRIGGER broken BEFORE UPDATE ON sessions BEGIN SELECT abs(-9223372036854775807 - 1); END"
        )
        let error = try #require(throws: DatabaseError.self) {
            try manager.updateSession(id, SessionUpdates(status: .qrWaiting, name: .set(code), qrCode: .set(code)))
        }
        #expect(error.sql?.hasPrefix("UPDATE sessions") == true)
        // In one line, for a log.
        #expect(error.description.hasPrefix("SQLite error 1: integer overflow - while executing `UPDATE sessions SET "))
        #expect(error.description.hasSuffix("…`") && !error.description.contains("\n"))
        #expect(error.description.utf8.count < 400)
        #expect(error.localizedDescription == error.description)
        #expect(!everyPrint(of: error).contains("SECRET"))
        #expect(!everyPrint(of: error).contains(id))
    }

    @Test(arguments: [
        #"{"status": "qr_waiting", "qrCode": ["2@SECRET"]}"#, #"{"status": "2@SECRET"}"#, #"{"status": ["2@SECRET"]}"#,
        #"{"connectedAt": "2@SECRET"}"#, #"{"disconnectReason": {"code": "2@SECRET"}}"#,
        #"{"qrCode": {"2@SECRET": "2@SECRET"}}"#, #"{"name": ["2@SECRET"]}"#,
    ])
    func `a patch with a QR code where it makes no sense does not print it`(patch: String) throws {
        let decoder = JSONDecoder()
        // A strategy of a host's own, whose error shows what it met.
        decoder.dateDecodingStrategy = .custom { decoder in
            let text = try decoder.singleValueContainer().decode(String.self)
            throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: text))
        }
        let error = try #require(throws: DecodingError.self) {
            try decoder.decode(SessionUpdates.self, from: Data(patch.utf8))
        }
        #expect(!everyPrint(of: error).contains("SECRET"))
        let session = #"{"id": "a", "createdAt": 0, "status": "2@SECRET"}"#
        let another = try #require(throws: DecodingError.self) {
            try JSONDecoder().decode(Session.self, from: Data(session.utf8))
        }
        #expect(!everyPrint(of: another).contains("SECRET"))
    }

    /// All that a logger, a debugger or a failed test may make of a value.
    private func everyPrint(of value: Any) -> String {
        var dumped = ""
        dump(value, to: &dumped)
        dump([value], to: &dumped)
        let children = Mirror(reflecting: value).children.map { "\($0)" }
        let error = (value as? any Error)?.localizedDescription ?? ""
        return
            "\(value) \([value]) \(Optional(value) as Any) \(String(reflecting: value)) \(children) \(error) \(dumped)"
    }
}
