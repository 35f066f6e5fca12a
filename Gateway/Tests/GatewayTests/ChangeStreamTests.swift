import Foundation
import Hummingbird
import HummingbirdTesting
import Testing
import WhatsAppSessions

@testable import Gateway

@Suite struct ChangeStreamTests {
    @Test func `a follower gets all sessions, then each change`() async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            var seen: [Followed] = []
            try await follow(gateway) { followed in
                seen.append(followed)
                switch seen.count {
                case 3: try await gateway.post("connection.update", #"{"qr":"2@secret"}"#)
                case 4: try await gateway.post("connection.update", #"{"connection":"open"}"#)
                case 5: try await gateway.manager.deleteSession("support")
                default: break
                }
                return seen.count < 6
            }
            #expect(seen.map(\.event) == ["reset", "session", "ready", "session", "session", "deleted"])
            #expect(try seen[3].session.status == .qrWaiting)
            #expect(try seen[3].session.qrCodeReceivedAt != nil)
            #expect(seen.allSatisfy { !$0.data.contains("2@secret") })
            #expect(try seen[4].session.status == .connected)
            #expect(seen[5].data == #"{"id":"support"}"#)
            // Only a complete state can be resumed from.
            #expect(seen.map { $0.id == nil } == [true, true, false, false, false, false])
        }
    }

    @Test func `an event is encoded once, however many follow`() async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            let ready = Counter()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        var events: [String] = []
                        try await follow(gateway) { followed in
                            events.append(followed.event)
                            if followed.event == "ready" { await ready.increment() }
                            return events.count < 6
                        }
                        #expect(events == ["reset", "session", "ready", "session", "session", "session"])
                    }
                }
                while await ready.value < 8 { try await Task.sleep(for: .milliseconds(5)) }
                let before = gateway.changes.encodedEvents
                for number in 0..<3 {
                    try await gateway.manager.updateSession("support", SessionUpdates(name: .set("\(number)")))
                }
                try await group.waitForAll()
                #expect(gateway.changes.encodedEvents - before == 3)
            }
        }
    }

    @Test(arguments: [false, true])
    func `a follower that comes back gets what it missed, and nothing else`(byHeader: Bool) async throws {
        try await withGateway { gateway in
            let manager = gateway.manager
            try await manager.createSession("before")
            let cursor = try await manager.snapshot().cursor
            // More than a page.
            for number in 0..<300 { try await manager.createSession("\(number)") }
            var seen: [Followed] = []
            // A browser's EventSource repeats its first URL, and the header is newer.
            let query = byHeader ? "?after=1-1" : "?after=\(cursor)"
            let headers = byHeader ? [("Last-Event-ID", cursor.description)] : []
            try await follow(gateway, query, headers: headers) { followed in
                seen.append(followed)
                return followed.event != "ready"
            }
            #expect(try seen.dropLast().map { try $0.session.id } == (0..<300).map(String.init))
            #expect(seen.last?.id == (try await manager.snapshot().cursor.description))
        }
    }

    @Test func `a follower whose place is lost begins anew`() async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            for (query, headers) in [("?after=1-1", []), ("", [("Last-Event-ID", "another server's")])] {
                var seen: [String] = []
                try await follow(gateway, query, headers: headers) { followed in
                    seen.append(followed.event)
                    return followed.event != "ready"
                }
                #expect(seen == ["reset", "session", "ready"])
            }
            #expect(try await gateway.get("/changes?after=nonsense").problem.code == "bad_cursor")
            #expect(try await gateway.get("/changes?worker=").problem.code == "bad_worker_name")
        }
    }

    @Test func `asking for the head of the stream begins none`() async throws {
        try await withGateway { gateway in
            let head = try await gateway.client.execute(uri: "/changes", method: .head)
            #expect(head.status == .ok)
            #expect(head.headers[.contentType] == "text/event-stream")
            #expect(try await gateway.get("/metrics").text.contains("whatsapp_followers 0\n"))
        }
    }
}

private actor Counter {
    private(set) var value = 0

    func increment() { value += 1 }
}
