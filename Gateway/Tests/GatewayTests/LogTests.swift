import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import Testing
import WhatsAppSessions

@testable import Gateway

@Suite struct LogTests {
    private func requests(_ log: RecordedLog) -> [String] {
        log.lines.filter { $0.level == .info && $0.text.hasPrefix("request ") }.map(\.text)
    }

    @Test func `at info each request is one line, without an id or a code`() async throws {
        let log = RecordedLog()
        try await withGateway(logger: log.logger(.info)) { gateway in
            try await gateway.send(.post, "/sessions", #"{"id":"S3CRET"}"#)
            try await gateway.post("connection.update", #"{"qr":"2@S3CRET"}"#, to: "S3CRET")
            _ = try await gateway.get("/sessions/S3CRET/qr")
            _ = try await gateway.get("/nowhere/S3CRET")
            _ = try await gateway.get("/sessions/gone")
        }
        let lines = requests(log)
        let ends = lines.map { line in
            line.split(separator: " ").filter { !$0.hasPrefix("ms=") && !$0.hasPrefix("request=") }
        }
        #expect(
            ends.map { $0.dropFirst().joined(separator: " ") } == [
                "method=POST route=/sessions status=201", "method=POST route=/sessions/{id}/events status=200",
                "method=GET route=/sessions/{id}/qr status=200", "method=GET route=NotFound status=404",
                "method=GET route=/sessions/{id} status=404",
            ]
        )
        #expect(!lines.contains { $0.contains("S3CRET") })
        #expect(lines.allSatisfy { $0.contains(#/ms=\d+\.\d /#) })
    }

    @Test func `a line names the worker, and nothing is logged at notice`() async throws {
        let (log, quiet) = (RecordedLog(), RecordedLog())
        for (log, level) in [(log, Logger.Level.info), (quiet, .notice)] {
            try await withGateway(logger: log.logger(level)) { gateway in
                _ = try await gateway.manager.openLease(holder: "eu 1\n", lasting: .seconds(60))
                try await gateway.manager.createSession("support")
                try await gateway.post("connection.update", #"{"qr":"2@one"}"#, worker: #"eu 1\n"#)
            }
        }
        #expect(requests(log).count == 1)
        #expect(requests(log)[0].contains(#"worker="eu 1\n""#))
        #expect(quiet.lines.isEmpty)
    }

    @Test func `a request has an id, in the log and as a header: the client's, if it is plain`() async throws {
        let log = RecordedLog()
        try await withGateway(logger: log.logger(.info)) { gateway in
            let own = try await gateway.get("/sessions").headers[.xRequestID]
            #expect(own?.isEmpty == false)
            #expect(requests(log)[0].contains("request=\(own ?? "?") "))
            #expect(
                try await gateway.get("/sessions", [.xRequestID: "abc-1.2:3_4"]).headers[.xRequestID] == "abc-1.2:3_4"
            )
            for id in ["", "two words", String(repeating: "x", count: 65), "a\"b"] {
                let given = try await gateway.get("/sessions", [.xRequestID: id]).headers[.xRequestID]
                #expect(given != id && given?.isEmpty == false, "\(id)")
            }
            // Also of an answer that is an error.
            #expect(try await gateway.get("/sessions/none", [.xRequestID: "mine"]).headers[.xRequestID] == "mine")
        }
    }

    @Test func `wrong tokens are said with their address, at most once in ten seconds`() async throws {
        let log = RecordedLog()
        try await withGateway(Configuration(token: Token("correct-horse-battery")), logger: log.logger(.notice)) {
            gateway in
            // Without any it is a page that was just opened.
            _ = try await gateway.get("/sessions")
            #expect(log.lines.isEmpty)
            for _ in 0..<5 { _ = try await gateway.get("/sessions", [.authorization: "Bearer S3CRET"]) }
        }
        #expect(log.lines.count == 1)
        #expect(log.lines[0].text.contains("a wrong token was sent") && log.lines[0].text.contains("times=1"))
        #expect(!log.lines[0].text.contains("S3CRET"))
        let (tokens, start) = (WrongTokens(), ContinuousClock.now)
        for second in 0..<25 { tokens.note(from: "::1", log.logger(.notice), at: start + .seconds(second)) }
        #expect(
            log.lines.dropFirst().map { $0.text.suffix(8) }
                == ["times=1", "times=10", "times=10"].map { " \($0)".suffix(8) }
        )
    }

    @Test func `a line of JSON has the message and the metadata, whatever they hold`() throws {
        let line = JSONLogHandler.line(
            .notice,
            "two \"lines\"\nof text",
            [
                "session": .text("a \"b\""), "error": "\(1)", "status": .stringConvertible(200),
                "ms": .stringConvertible(0.5),
            ],
            at: Date(timeIntervalSince1970: 1.5)
        )
        #expect(
            line
                == #"{"error":"1","level":"notice","message":"two \"lines\"\nof text","ms":0.5,"session":"a \"b\"","status":200,"time":"1970-01-01T00:00:01.500Z"}"#
        )
    }
    @Test func `what others chose can neither begin a line of the log nor turn it around`() {
        let log = RecordedLog()
        for text in ["a\nb", "a\u{85}b", "a\u{2028}b", "a\u{9B}31mb", "a\u{202E}b", "a\u{200F}b", "a\"b", "a\\b", ""] {
            log.logger(.info).info("said", metadata: ["by": .text(text)])
        }
        #expect(
            log.lines.map(\.text) == [
                #"said by="a\nb""#, #"said by="a\u{0085}b""#, #"said by="a\u{2028}b""#, #"said by="a\u{009B}31mb""#,
                #"said by="a\u{202E}b""#, #"said by="a\u{200F}b""#, #"said by="a\"b""#, #"said by=a\b"#, #"said by="""#,
            ]
        )
    }
}
