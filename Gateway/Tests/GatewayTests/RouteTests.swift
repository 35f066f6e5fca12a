import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import Testing
import WhatsAppSessions

@testable import Gateway

@Suite struct RouteTests {
    // MARK: Sessions

    @Test func `a session is created, listed, read, changed and deleted`() async throws {
        try await withGateway { gateway in
            let created = try await gateway.send(.post, "/sessions", #"{"id":"support"}"#)
            #expect(created.status == .created)
            #expect(created.headers[.location] == "sessions/support")
            #expect(try created.session.status == .initializing)
            #expect(try await gateway.get("/sessions/support").session == created.session)
            let changed = try await gateway.send(.patch, "/sessions/support", #"{"name":"Ana","phoneNumber":"44"}"#)
            #expect(try changed.session.name == "Ana")
            let cleared = try await gateway.send(.patch, "/sessions/support", #"{"name":null}"#)
            #expect(try cleared.session.name == nil)
            #expect(try cleared.session.phoneNumber == "44")
            let list: List = try await gateway.get("/sessions").json()
            #expect(list.sessions == [try cleared.session])
            #expect(ChangeCursor(list.cursor) == (try await gateway.manager.snapshot().cursor))
            #expect(try await gateway.client.execute(uri: "/sessions/support", method: .delete).status == .noContent)
            #expect(try await gateway.get("/sessions/support").problem.code == "session_not_found")
        }
    }

    private struct List: Decodable { var sessions: [Session], cursor: String }

    @Test func `a session without an id gets one, and a second with the same id is refused`() async throws {
        try await withGateway { gateway in
            #expect(UUID(uuidString: try await gateway.send(.post, "/sessions", "{}").session.id) != nil)
            try await gateway.send(.post, "/sessions", #"{"id":"support"}"#)
            let again = try await gateway.send(.post, "/sessions", #"{"id":"support"}"#)
            #expect(again.status == .conflict)
            #expect(try again.problem.code == "session_already_exists")
        }
    }

    @Test func `the list can be of one status`() async throws {
        try await withGateway { gateway in
            for id in ["one", "two"] { try await gateway.manager.createSession(id) }
            try await gateway.manager.updateSession("two", SessionUpdates(status: .connected))
            let list: List = try await gateway.get("/sessions?status=connected").json()
            #expect(list.sessions.map(\.id) == ["two"])
            let unknown = try await gateway.get("/sessions?status=online")
            #expect(unknown.status == .badRequest)
            #expect(try unknown.problem.code == "unknown_status")
        }
    }

    @Test(arguments: ["a/b", "é", "e\u{301}", "a b?c#d%41", "<img src=x onerror=alert(1)>\"'&é/☕", "..."])
    func `any id can be addressed, and two that only Swift calls equal are two`(id: String) async throws {
        try await withGateway { gateway in
            for other in ["é", "e\u{301}"] where !other.utf8.elementsEqual(id.utf8) {
                try await gateway.manager.createSession(other)
            }
            try await gateway.manager.createSession("other")
            let body = String(decoding: try JSONEncoder().encode(["id": id]), as: UTF8.self)
            let created = try await gateway.send(.post, "/sessions", body)
            #expect(created.status == .created)
            let path = try #require(created.headers[.location])
            #expect(Array(try await gateway.get(path).session.id.utf8) == Array(id.utf8))
            #expect(try await gateway.client.execute(uri: path, method: .delete).status == .noContent)
            #expect(try await gateway.manager.getSession("other") != nil)
            #expect(try await gateway.manager.getSession(id) == nil)
        }
    }

    @Test func `no two ids ever become one on their way through a URL`() async throws {
        // A mark at the front, as in a file that Excel wrote; the two forms of é; cases, spaces and pluses; what looks encoded.
        let ids = [
            "support", "\u{feff}support", "Support", " support", "support ", "e\u{301}", "\u{e9}", "a b", "a+b",
            "a%20b",
            "a%2520b", "\u{202e}support", "\u{200b}support", "a/b", "a\\b", "a;b", "a?b", "a#b", "\u{0}",
        ]
        try await withGateway { gateway in
            for id in ids {
                try await gateway.manager.createSession(id)
                // Of the bytes, since the two forms of é are one to Swift.
                let name = Data(id.utf8).map { "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
                try await gateway.send(.patch, "/sessions/\(name)", #"{"name":"\#(name)"}"#)
            }
            for id in ids {
                let name = Data(id.utf8).map { "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16).uppercased() }
                    .joined()
                let answer = try await gateway.get("/sessions/\(name)")
                #expect(answer.status == .ok, "\(name)")
                let session = try answer.session
                #expect(Array(session.id.utf8) == Array(id.utf8))
                #expect(session.name == name.lowercased())
            }
            #expect(try await gateway.get("/sessions").json(Ids.self).sessions.count == ids.count)
            for id in ids {
                let name = Data(id.utf8).map { "%" + ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
                let deleted = try await gateway.client.execute(uri: "/sessions/\(name)", method: .delete)
                #expect(deleted.status == .noContent)
            }
        }
        // A client mends some of these before it sends them.
        for text in ["%", "%f", "%zz", "%+1", "%ff", "%c3%28", "a%2", "%ED%A0%80"] {
            #expect(String(percentEncoded: text) == nil, "\(text)")
        }
    }

    private struct Ids: Decodable {
        struct One: Decodable { var id: String }
        var sessions: [One]
    }

    @Test(arguments: [".", "..", "a/../b", "a/./b", "a//b", "/a", "a/", "../a", "/"])
    func `an id that a proxy would make another one of is refused`(id: String) async throws {
        try await withGateway { gateway in
            let refused = try await gateway.send(.post, "/sessions", #"{"id":"\#(id)"}"#)
            #expect(refused.status == .unprocessableContent)
            #expect(try refused.problem.code == "id_not_addressable")
            for id in ["a.b", "...", "a/b", ".a", "a.", "-"] {
                #expect(try await gateway.send(.post, "/sessions", #"{"id":"\#(id)"}"#).status == .created, "\(id)")
            }
        }
    }

    @Test(arguments: [".", "..", String(repeating: "x", count: 1001)])
    func `an id that no URL can name is refused`(id: String) async throws {
        try await withGateway { gateway in
            let refused = try await gateway.send(.post, "/sessions", #"{"id":"\#(id)"}"#)
            #expect(refused.status == .unprocessableContent)
            #expect(try refused.problem.code == "id_not_addressable")
            #expect(try await gateway.manager.getAllSessions().isEmpty)
        }
    }

    @Test func `a rule that a change would break is named, and nothing changes`() async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            let before = try await gateway.manager.updateSession("support", SessionUpdates(status: .connected))
            for refused in [
                try await gateway.send(.patch, "/sessions/support", #"{"status":"qr_waiting"}"#),
                try await gateway.post("connection.update", #"{"qr":"2@late"}"#),
            ] {
                #expect(refused.status == .unprocessableContent)
                #expect(refused.headers[.contentType] == "application/problem+json")
                #expect(try refused.problem.code == "connected_to_qr_waiting")
            }
            #expect(try await gateway.manager.getSession("support") == before)
        }
    }

    @Test func `what is asked of a session that isn't there is not found`() async throws {
        try await withGateway { gateway in
            let answers = [
                try await gateway.get("/sessions/gone"), try await gateway.get("/sessions/gone/qr"),
                try await gateway.get("/sessions/gone/qr.svg"),
                try await gateway.send(.patch, "/sessions/gone", "{}"),
                try await gateway.client.execute(uri: "/sessions/gone", method: .delete),
                try await gateway.post("connection.update", #"{"connection":"open"}"#, to: "gone"),
                try await gateway.post("messages.upsert", "{}", to: "gone"),
            ]
            for answer in answers {
                #expect(answer.status == .notFound)
                #expect(try answer.problem.code == "session_not_found")
            }
            #expect(try await gateway.manager.getAllSessions().isEmpty)
        }
    }

    @Test func `a worker may post what says nothing about a session`() async throws {
        try await withGateway { gateway in
            let before = try await gateway.manager.createSession("support")
            #expect(try await gateway.post("messages.upsert", #"{"messages":[]}"#).status == .noContent)
            #expect(try await gateway.manager.getSession("support") == before)
        }
    }

    // MARK: QR codes

    @Test func `a code is in the answer for its session only`() async throws {
        try await withGateway { gateway in
            for id in ["support", "other"] { try await gateway.manager.createSession(id) }
            let posted = try await gateway.post("connection.update", #"{"qr":"2@secret"}"#)
            #expect(try posted.session.qrCode == "2@secret")
            #expect(posted.headers[.cacheControl] == "no-store")
            let code = try await gateway.get("/sessions/support/qr")
            #expect(code.text == "2@secret")
            #expect(code.headers[.cacheControl] == "no-store")
            let picture = try await gateway.get("/sessions/support/qr.svg")
            #expect(picture.headers[.contentType] == "image/svg+xml")
            #expect(picture.headers[.cacheControl] == "no-store")
            #expect(picture.text.contains("<svg"))
            let list = try await gateway.get("/sessions").text
            #expect(!list.contains("2@secret"))
            let session = try #require(try await gateway.manager.getSession("support"))
            #expect(list.contains(#""qrCodeReceivedAt":"\#(session.qrCodeReceivedAt!.iso8601)""#))
            #expect(list.contains(#""qrCodeExpiresAt":"\#(session.qrCodeExpiresAt!.iso8601)""#))
            for path in ["/sessions/other/qr", "/sessions/other/qr.svg"] {
                let none = try await gateway.get(path)
                #expect(none.status == .conflict)
                #expect(try none.problem.code == "no_qr_code")
            }
        }
    }

    @Test func `a text that no QR code holds is not drawn`() async throws {
        #expect(QRCode.svg(String(repeating: "x", count: 2953)) != nil)
        #expect(QRCode.svg(String(repeating: "x", count: 2954)) == nil)
        #expect(QRCode.svg("") == nil)
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            let code = String(repeating: "x", count: 3000)
            try await gateway.send(.patch, "/sessions/support", #"{"status":"qr_waiting","qrCode":"\#(code)"}"#)
            #expect(try await gateway.get("/sessions/support/qr").text == code)
            #expect(try await gateway.get("/sessions/support/qr.svg").problem.code == "qr_code_not_drawable")
        }
    }

    @Test func `a picture has a quiet zone of four modules, and black modules as rectangles`() throws {
        // 21 modules, whose corners are seven black ones in a row.
        let picture = try #require(QRCode.svg("A"))
        #expect(picture.contains(#"viewBox="0 0 29 29""#))
        #expect(picture.contains(#"d="M4 4h7v1h-7z"#))
        #expect(picture.contains(#"shape-rendering="crispEdges""#))
    }

    // MARK: Requests that cannot be

    @Test(arguments: [
        ("", "is not valid"), ("[]", "has the wrong type"), ("{", "is not valid"),
        (#"{"id":5}"#, "\"id\" has the wrong type"),
        (#"{"id":"2@secret"#, "is not valid"),
    ])
    func `a body that cannot be read is refused, and not repeated`(body: String, detail: String) async throws {
        try await withGateway { gateway in
            let refused = try await gateway.send(.post, "/sessions", body)
            #expect(refused.status == .badRequest)
            #expect(try refused.problem.code == "invalid_body")
            #expect(try refused.problem.detail.contains(detail))
            #expect(!refused.text.contains("2@secret"))
        }
    }

    @Test(arguments: [
        #"{"status":"2@secret"}"#, #"{"status":null}"#, #"{"connectedAt":"2@secret"}"#, #"{"qrCode":["2@secret"]}"#,
        #"{"connectedAt":1e300}"#,
    ])
    func `a field that cannot be read is named, and its value is not`(body: String) async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            let refused = try await gateway.send(.patch, "/sessions/support", body)
            #expect(refused.status == .badRequest)
            #expect(try refused.problem.detail.contains(body.dropFirst().prefix { $0 != ":" }))
            #expect(!refused.text.contains("2@secret"))
        }
    }

    @Test func `an event that cannot be read is refused, and not repeated`() async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            for body in [
                "{}", #"{"event":5}"#, #"{"event":"connection.update","data":{"qr":5}}"#,
                #"{"event":"connection.update","at":"noon"}"#, #"{"event":"x","worker":""}"#,
                #"{"event":"LoggedOut","data":{"Reason":44770090012344770090012}}"#,
            ] {
                let refused = try await gateway.send(.post, "/sessions/support/events", body)
                #expect(refused.status == .badRequest, "\(body)")
                #expect(!refused.text.contains("447700900123"))
            }
        }
    }

    @Test func `another content type is refused`() async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            for type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""] {
                for (method, path) in [(HTTPRequest.Method.post, "/sessions"), (.patch, "/sessions/support")] {
                    let headers: HTTPFields = type.isEmpty ? [:] : [.contentType: type]
                    let answer = try await gateway.client.execute(
                        uri: path,
                        method: method,
                        headers: headers,
                        body: ByteBuffer(string: "{}")
                    )
                    #expect(answer.status == .unsupportedMediaType)
                }
            }
            let headers: HTTPFields = [.contentType: "Application/Merge-Patch+JSON; charset=utf-8"]
            let patch = ByteBuffer(string: #"{"name":"Ana"}"#)
            let answer = try await gateway.client.execute(
                uri: "/sessions/support",
                method: .patch,
                headers: headers,
                body: patch
            )
            #expect(try answer.session.name == "Ana")
        }
    }

    @Test func `a body that is too large is refused`() async throws {
        try await withGateway { gateway in
            let body = #"{"id":"\#(String(repeating: "x", count: Request.maximumBodySize))"}"#
            let refused = try await gateway.send(.post, "/sessions", body)
            #expect(refused.status == .contentTooLarge)
            #expect(try refused.problem.code == "body_too_large")
        }
    }

    @Test func `a body where none belongs is refused, before a stream begins`() async throws {
        try await withGateway { gateway in
            for path in ["/changes", "/sessions"] {
                let body = ByteBuffer(string: "{}")
                let refused = try await gateway.client.execute(uri: path, method: .get, body: body)
                #expect(refused.status == .badRequest)
                #expect(try refused.problem.code == "unexpected_body")
                #expect(refused.headers[.connection] == "close")
            }
        }
    }

    @Test(arguments: [
        ("/sessions", "GET, HEAD, POST"), ("/sessions/support", "DELETE, GET, HEAD, PATCH"),
        ("/sessions/support/qr", "GET, HEAD"), ("/sessions/support/events", "POST"), ("/changes", "GET, HEAD"),
        ("/health", "GET, HEAD"), ("/metrics", "GET, HEAD"), ("/", "GET, HEAD"),
    ])
    func `a wrong method is answered with the right ones`(path: String, allow: String) async throws {
        try await withGateway { gateway in
            for method in [HTTPRequest.Method.put, .init("PROPFIND")!] {
                let answer = try await gateway.client.execute(uri: path, method: method)
                #expect(answer.status == .methodNotAllowed)
                #expect(answer.headers[.allow] == allow)
            }
        }
    }

    @Test func `a path that isn't there is not found`() async throws {
        try await withGateway { gateway in
            let answer = try await gateway.get("/nothing")
            #expect(answer.status == .notFound)
            #expect(try answer.problem.code == "no_such_route")
        }
    }

    // MARK: Dates

    @Test(arguments: [940, 941, 942, 0, 999, 1, 57])
    func `a date keeps each of its milliseconds`(milliseconds: Int64) throws {
        let date = Date(timeIntervalSince1970: Double(1_772_442_111_000 + milliseconds) / 1000)
        let digits = String(format: "%03d", Int(milliseconds))
        #expect(date.iso8601 == "2026-03-02T09:01:51.\(digits)Z")
        #expect(Date(iso8601: date.iso8601) == date)
    }

    @Test func `a date that ISO 8601 cannot write becomes the nearest one`() {
        #expect(Date(timeIntervalSince1970: 9e15).iso8601 == "9999-12-31T23:59:59.999Z")
        #expect(Date(timeIntervalSince1970: -9e15).iso8601 == "1970-01-01T00:00:00.000Z")
    }

    // MARK: History, pages and workers

    private struct Changes: Decodable { var changes: [SessionChange] }

    @Test func `a session's history has its last changes, the newest first, also once it is deleted`() async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("a/b")
            try await gateway.post("connection.update", #"{"qr":"2@secret"}"#, to: "a%2Fb")
            try await gateway.manager.createSession("other")
            try await gateway.manager.deleteSession("a/b")
            let answer = try await gateway.get("/sessions/a%2Fb/changes")
            #expect(try answer.json(Changes.self).changes.map(\.kind) == [.deleted, .updated, .created])
            #expect(!answer.text.contains("2@secret"))
            let one = try await gateway.get("/sessions/a%2Fb/changes?limit=1")
            #expect(try one.json(Changes.self).changes.map(\.kind) == [.deleted])
            for limit in ["0", "1001", "-1", "%2B5", "x", ""] {
                let refused = try await gateway.get("/sessions/a/changes?limit=\(limit)")
                #expect(try refused.problem.code == "bad_limit", "\(limit)")
            }
        }
    }

    private struct Page: Decodable { var sessions: [Session], next: String?, cursor: String? }

    @Test func `a list comes in pages, of one status or of all`() async throws {
        try await withGateway { gateway in
            for number in 0..<7 { try await gateway.manager.createSession("\(number)") }
            for id in ["1", "2", "5"] {
                try await gateway.manager.updateSession(id, SessionUpdates(status: .connected))
            }
            for (query, expected) in [
                ("", ["0", "1", "2", "3", "4", "5", "6"]), ("&status=connected", ["1", "2", "5"]),
            ] {
                var (ids, next) = ([String](), String?.some("0"))
                while let place = next {
                    let page = try await gateway.get("/sessions?limit=2&after=\(place)\(query)").json(Page.self)
                    #expect(page.sessions.count <= 2)
                    ids += page.sessions.map(\.id)
                    next = page.next
                }
                #expect(ids == expected)
            }
            #expect(
                try await gateway.get("/sessions?after=3").json(Page.self).sessions.map(\.id) == ["3", "4", "5", "6"]
            )
            #expect(try await gateway.get("/sessions?limit=x").problem.code == "bad_limit")
            for query in ["limit=1&after=x", "limit=1&after=-1", "limit=1&after=%2B5", "after=x", "limit=1&after="] {
                #expect(try await gateway.get("/sessions?\(query)").problem.code == "bad_place", "\(query)")
            }
        }
    }

    private struct Workers: Decodable {
        struct Worker: Decodable { var worker: String, sessions: Int, streams: Int }
        var workers: [Worker]
    }

    @Test func `workers are listed with their sessions and streams, and counted`() async throws {
        try await withGateway { gateway in
            #expect(try await gateway.get("/workers").json(Workers.self).workers.isEmpty)
            _ = try await gateway.manager.openLease(holder: "eu\"1", lasting: .seconds(60))
            // To Swift neither is a line break or a quotation mark.
            let forged = try await gateway.manager.openLease(holder: "a\r\nb\"\u{301}", lasting: .seconds(60))
            #expect(try await gateway.get("/metrics").text.contains(#"{worker="a\#r\nb\"\#u{301}"} 1"#))
            try await gateway.manager.closeLease(forged)
            try await gateway.manager.createSession("support")
            try await follow(gateway, "?worker=eu-2") { event in
                guard event.event == "ready" else { return true }
                try await gateway.send(.post, "/sessions/support/claim", #"{"worker":"eu-2"}"#)
                let workers = try await gateway.get("/workers").json(Workers.self).workers
                #expect(workers.map(\.worker) == ["eu\"1", "eu-2"])
                #expect(workers.map(\.sessions) == [0, 1])
                #expect(workers.map(\.streams) == [0, 1])
                let metrics = try await gateway.get("/metrics").text
                #expect(metrics.contains(#"whatsapp_workers{worker="eu\"1"} 1"#))
                #expect(metrics.contains(#"whatsapp_worker_sessions{worker="eu-2"} 1"#))
                return false
            }
            try await expectEventually {
                try await gateway.get("/workers").json(Workers.self).workers.last?.streams == 0
            }
        }
    }

    @Test func `the gateway is ready while its database works, and says whether receivers answer`() async throws {
        var configuration = Configuration()
        let folder = TemporaryFolder()
        configuration.file = folder.file
        configuration.webhooks = [try #require(Configuration.Webhook("http://127.0.0.1:1/hook"))]
        try await withGateway(configuration, runsServices: true) { gateway in
            try await expectEventually {
                try await gateway.get("/ready").text == #"{"database":"ok","status":"ready","webhooks":"failing"}"#
            }
            try await gateway.manager.close()
            // What is read, and not only what was written last.
            let answer = try await gateway.get("/ready")
            #expect(answer.status == .serviceUnavailable)
            #expect(answer.text.contains(#""database":"failing""#))
            // The process itself lives.
            #expect(try await gateway.get("/health").status == .ok)
        }
    }

    @Test func `an id that a proxy has decoded is told how to send it, and one that could be mistaken is refused`()
        async throws
    {
        try await withGateway { gateway in
            try await gateway.manager.createSession("a")
            for method in [HTTPRequest.Method.get, .patch, .delete, .post] {
                let answer = try await gateway.client.execute(uri: "/sessions/a/b", method: method)
                #expect(answer.status == .notFound)
                #expect(try answer.problem.detail.contains("%2F"))
            }
            let marked = try await gateway.send(.post, "/sessions", "{\"id\":\"a//\u{301}x\"}")
            #expect(try marked.problem.code == "id_not_addressable")
            // Many clients send an empty object.
            #expect(try await gateway.send(.post, "/sessions/a/stop", "{}").status == .ok)
            for part in Routes.parts {
                let refused = try await gateway.send(.post, "/sessions", #"{"id":"a/\#(part)"}"#)
                #expect(try refused.problem.code == "id_not_addressable", "\(part)")
                #expect(try await gateway.send(.post, "/sessions", #"{"id":"\#(part)"}"#).status == .created, "\(part)")
            }
        }
    }

    @Test func `a body that trickles is dropped, and so is what an error leaves unread`() async throws {
        var configuration = Configuration()
        configuration.bodyTime = .milliseconds(500)
        try await withGateway(configuration, runsServices: true) { gateway in
            try await gateway.manager.createSession("support")
            for path in ["/sessions/support/events", "/nowhere"] {
                let start = ContinuousClock.now
                let head =
                    "POST \(path) HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"
                #expect(try await Trickle.isDropped(head, port: gateway.client.port!, within: .seconds(20)), "\(path)")
                #expect(start.duration(to: .now) < .seconds(20))
            }
            // One that comes in time is not.
            let event = try await gateway.post("connection.update", #"{"qr":"2@one"}"#)
            #expect(event.status == .ok)
        }
    }

    // MARK: Page and metrics

    @Test func `the page is in one piece, and only its own script and style run`() async throws {
        try await withGateway { gateway in
            let page = try await gateway.get("/")
            #expect(page.status == .ok)
            let policy = try #require(page.headers[.contentSecurityPolicy])
            for (tag, directive) in [("script", "script-src"), ("style", "style-src")] {
                let parts = page.text.components(separatedBy: "<\(tag)>")
                #expect(parts.count == 2)
                let source = try #require(parts.last?.components(separatedBy: "</\(tag)>").first)
                #expect(source.count > 1000)
                #expect(policy.contains("\(directive) 'sha256-\(sha256(source))'"))
            }
            for foreign in ["src=\"http", "href=\"http", "@import", "url(http"] {
                #expect(!page.text.contains(foreign))
            }
        }
    }

    @Test func `metrics count what waits for a person, as the page does, and say for how long`() async throws {
        try await withGateway { gateway in
            func metric(_ name: String) async throws -> Double? {
                let lines = try await gateway.get("/metrics").text.split(separator: "\n")
                return lines.first { $0.hasPrefix(name + " ") }.flatMap { Double($0.dropFirst(name.count + 1)) }
            }
            let names = ["whatsapp_problems", "whatsapp_longest_offline_seconds", "whatsapp_longest_code_seconds"]
            let underWay = "whatsapp_longest_initializing_seconds"
            #expect(try await metric(underWay) == 0)
            for id in ["offline", "stopped", "waiting", "online"] { try await gateway.manager.createSession(id) }
            try await expectEventually { try await metric(underWay) ?? 0 > 0.1 }
            try await gateway.manager.updateSession("online", SessionUpdates(status: .connected))
            try await gateway.manager.updateSession("stopped", SessionUpdates(status: .disconnected, wish: .set(.stop)))
            for name in names { #expect(try await metric(name) == 0, "\(name)") }

            try await gateway.manager.updateSession("offline", SessionUpdates(status: .disconnected))
            try await gateway.manager.updateSession(
                "waiting",
                SessionUpdates(status: .qrWaiting, qrCode: .set("2@code"))
            )
            try await expectEventually {
                let ages = (try await metric(names[1]), try await metric(names[2]))
                return ages.0 ?? 0 > 0.1 && ages.1 ?? 0 > 0.1
            }
            #expect(try await metric(names[0]) == 1)
            // A new code is for the same phone, and the account has waited all the time.
            let age = try #require(try await metric(names[2]))
            try await gateway.manager.updateSession("waiting", SessionUpdates(qrCode: .set("2@next")))
            #expect(try #require(try await metric(names[2])) >= age)
        }
    }

    @Test func `metrics count sessions and followers`() async throws {
        try await withGateway { gateway in
            for id in ["one", "two"] { try await gateway.manager.createSession(id) }
            try await gateway.manager.updateSession("two", SessionUpdates(status: .connected))
            let text = try await gateway.get("/metrics").text
            for line in [
                "whatsapp_sessions{status=\"initializing\"} 1", "whatsapp_sessions{status=\"qr_waiting\"} 0",
                "whatsapp_sessions{status=\"connected\"} 1", "whatsapp_sessions{status=\"disconnected\"} 0",
                "whatsapp_followers 0",
            ] {
                #expect(text.split(separator: "\n").contains(line[...]), "\(line)")
            }
            try await follow(gateway) { _ in
                let isCounted = try await gateway.get("/metrics").text.contains("whatsapp_followers 1\n")
                #expect(isCounted)
                return false
            }
            try await expectEventually { try await gateway.get("/metrics").text.contains("whatsapp_followers 0\n") }
        }
    }
}
