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

    @Test func `printing an update tells that it sets a QR code, not which`() {
        let printed = everyPrint(of: SessionUpdates(status: .qrWaiting, name: .set("Ana"), qrCode: .set(code)))
        #expect(!printed.contains("SECRET"))
        #expect(printed.contains("(hidden)"))
        #expect(printed.contains("Ana"))
        #expect(SessionUpdates(qrCode: .clear).description.hasSuffix("qrCode: clear)"))
        #expect(SessionUpdates().description.hasSuffix("qrCode: unchanged)"))
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
        #expect(error.sql?.hasPrefix("UPDATE sessions SET") == true)
        #expect(error.description == "SQLite error 1: integer overflow - while executing `\(error.sql ?? "")`")
        #expect(error.localizedDescription == error.description)
        #expect(!everyPrint(of: error).contains("SECRET"))
        #expect(!everyPrint(of: error).contains(id))
    }

    @Test func `a patch with a bad QR code does not print it`() throws {
        let patch = #"{"status": "qr_waiting", "qrCode": ["2@SECRET"]}"#
        let error = try #require(throws: DecodingError.self) {
            try JSONDecoder().decode(SessionUpdates.self, from: Data(patch.utf8))
        }
        #expect(!everyPrint(of: error).contains("SECRET"))
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
