import Foundation
import Testing

@testable import WhatsAppSessions

/// Cursors and changes as texts and JSON.
@Suite struct ChangeCursorTests {
    @Test(arguments: [ChangeCursor(history: 0, number: 0), ChangeCursor(history: .max, number: .max)])
    func `a cursor's text reads back as the cursor`(cursor: ChangeCursor) throws {
        #expect(cursor.description == "\(cursor.history)-\(cursor.number)")
        #expect(ChangeCursor(cursor.description) == cursor)
        let json = try JSONEncoder().encode([cursor])
        #expect(String(decoding: json, as: UTF8.self) == "[\"\(cursor)\"]")
        #expect(try JSONDecoder().decode([ChangeCursor].self, from: json) == [cursor])
    }

    @Test(arguments: [
        "", "-", "1", "1-", "-1", "1-2-3", "1--2", "--", "a-1", "1-b", " 1-2", "1-2 ", "+1-2", "01-2", "1-02", "1_2",
        "9223372036854775808-1", "1-9223372036854775808", "1-2\0", "١-٢", "0x1-2",
    ])
    func `a text that makes no sense is no cursor`(text: String) throws {
        #expect(ChangeCursor(text) == nil)
        let json = try JSONEncoder().encode([text])
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([ChangeCursor].self, from: json) }
    }

    @Test func `a change encodes with its fields by name, and decodes to what was encoded`() throws {
        let encoder = JSONEncoder()
        encoder.dateEncodingStrategy = .millisecondsSince1970
        encoder.outputFormatting = .sortedKeys
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .millisecondsSince1970
        let change = SessionChange(
            cursor: ChangeCursor(history: 7, number: 8),
            sessionID: "support",
            kind: .updated,
            date: Date(timeIntervalSince1970: 1.5),
            fields: [.qrCode, .status, .disconnectReason, .name, .phoneNumber, .connectedAt],
            previousStatus: .qrWaiting,
            status: .disconnected,
            disconnectReason: DisconnectReason(code: 408, text: "lost")
        )
        let json = try encoder.encode(change)
        #expect(
            String(decoding: json, as: UTF8.self) == """
                {"cursor":"7-8","date":1500,"disconnectReason":{"code":408,"text":"lost"},\
                "fields":["status","phoneNumber","name","connectedAt","qrCode","disconnectReason"],\
                "kind":"updated","previousStatus":"qr_waiting","sessionID":"support","status":"disconnected"}
                """
        )
        #expect(try decoder.decode(SessionChange.self, from: json) == change)
        let later = #"{"cursor":"7-8","date":1500,"fields":["name","color"],"kind":"updated","sessionID":"a"}"#
        #expect(try decoder.decode(SessionChange.self, from: Data(later.utf8)).fields == [.name])
    }

    @Test func `what a person reads says what happened`() {
        #expect("\(SessionChange.Fields([.name, .status]))" == "[status, name]")
        #expect("\(DisconnectReason(code: 401, text: "logged out"))" == "401, logged out")
        #expect("\(DisconnectReason(text: "lost"))" == "lost")
    }
}
