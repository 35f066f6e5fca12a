import Foundation
import Testing
import WhatsAppSessions

@testable import Gateway

/// The recorded life of one account, posted as its worker would.
@Suite struct RecordingTests {
    private struct Line: Decodable {
        struct Expectation: Decodable {
            var status: Session.Status, qrCode: String?, phoneNumber: String?, name: String?, connectedAt: Date?
        }
        var seq: Int, session: String, event: String, expect: Expectation
    }

    static let recording = URL(filePath: #filePath)
        .appending(path: "../../../../Tests/WhatsAppSessionsTests/Fixtures/pairing-lifecycle.ndjson").standardized

    @Test func `after every event of a real worker the session is what the recording expects`() async throws {
        let lines = try String(contentsOf: Self.recording, encoding: .utf8).split(separator: "\n").map(String.init)
        #expect(lines.count == 33)
        try await withGateway { gateway in
            for json in lines {
                let line = try JSONDecoder.gateway.decode(Line.self, from: Data(json.utf8))
                let path = "/sessions/\(line.session)"
                switch line.event {
                case "app.create": try await gateway.send(.post, "/sessions", #"{"id":"\#(line.session)"}"#)
                // The operator's button, or the worker's host.
                case "app.make-socket": try await gateway.send(.patch, path, #"{"status":"initializing"}"#)
                // The line is an event as it stands: what the gateway doesn't know it doesn't read.
                default: try await gateway.send(.post, "\(path)/events", json)
                }
                let session = try await gateway.get(path).session
                #expect(session.status == line.expect.status, "event \(line.seq)")
                #expect(session.qrCode == line.expect.qrCode, "event \(line.seq)")
                #expect(session.phoneNumber == line.expect.phoneNumber, "event \(line.seq)")
                #expect(session.name == line.expect.name, "event \(line.seq)")
                #expect(session.connectedAt == line.expect.connectedAt, "event \(line.seq)")
                let code = try await gateway.get("\(path)/qr")
                #expect(code.status == (line.expect.qrCode == nil ? .conflict : .ok), "event \(line.seq)")
                if let expected = line.expect.qrCode { #expect(code.text == expected, "event \(line.seq)") }
            }
        }
    }
}
