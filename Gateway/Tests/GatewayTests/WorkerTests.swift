import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Testing
import WhatsAppSessions

@testable import Gateway

/// Who serves a session: leases, claims, and what becomes of the sessions of a worker that is gone.
@Suite struct WorkerTests {
    private static let open = #"{"connection":"open"}"#

    /// What the event `lease` says.
    private struct Lease: Decodable { var lease: String, seconds: Double, clock: Double }

    /// A gateway whose leases are short, with some sessions.
    private func withShortLeases(
        _ milliseconds: Int = 2000,
        _ sessions: [String] = ["support"],
        _ body: @Sendable @escaping (RunningGateway) async throws -> Void
    ) async throws {
        let configuration = Configuration(lease: .milliseconds(milliseconds))
        try await withGateway(configuration) { gateway in
            for id in sessions { try await gateway.manager.createSession(id) }
            // Beside the server, as in `GatewayServer`.
            let lost = LostSessionRecovery(manager: gateway.manager, leaseDuration: configuration.lease, logger: .quiet)
            let task = Task { try await lost.run() }
            defer { task.cancel() }
            try await body(gateway)
        }
    }

    /// Runs `body` while a worker follows the changes, with the number of its lease.
    private func withStream(
        _ gateway: RunningGateway,
        _ query: String,
        _ body: (String) async throws -> Void
    ) async throws {
        var lease: String?
        try await follow(gateway, query) { followed in
            if followed.event == "lease" {
                lease = try JSONDecoder.gateway.decode(Lease.self, from: Data(followed.data.utf8)).lease
            }
            guard followed.event == "ready" else { return true }
            try await body(try #require(lease))
            return false
        }
    }

    private func report(
        _ gateway: RunningGateway,
        _ event: String,
        _ data: String,
        to id: String = "support",
        worker: String,
        lease: String? = nil
    ) async throws -> TestResponse {
        let lease = lease.map { #","lease":"\#($0)""# } ?? ""
        return try await gateway.send(
            .post,
            "/sessions/\(id)/events",
            #"{"event":"\#(event)","data":\#(data),"worker":"\#(worker)"\#(lease)}"#
        )
    }

    // MARK: Leases

    @Test func `the first event of a worker's stream is its lease, and nobody else gets one`() async throws {
        try await withGateway { gateway in
            var events: [Followed] = []
            try await follow(gateway, "?worker=eu-1") { followed in
                events.append(followed)
                return followed.event != "ready"
            }
            #expect(events.map(\.event) == ["lease", "reset", "ready"])
            #expect(events[0].id == nil)
            let lease = try JSONDecoder.gateway.decode(Lease.self, from: Data(events[0].data.utf8))
            #expect(lease.seconds == 30 && lease.clock >= 0)
            #expect(try await gateway.manager.getLease(holder: "eu-1")?.number == Int64(lease.lease))
            try await follow(gateway) { followed in
                #expect(followed.event != "lease")
                return followed.event != "ready"
            }
        }
    }

    @Test func `a lease lives while the stream does, and for its time afterwards`() async throws {
        try await withShortLeases { gateway in
            try await withStream(gateway, "?worker=eu-1") { lease in
                #expect(try await report(gateway, "Connected", "{}", worker: "eu-1", lease: lease).status == .ok)
                // More than twice as long as it lasts.
                try await Task.sleep(for: .milliseconds(5000))
                #expect(try await gateway.manager.getSession("support")?.status == .connected)
                #expect(try await gateway.manager.getSession("support")?.holder == "eu-1")
            }
            try await expectEventually { try await gateway.manager.getSession("support")?.status == .disconnected }
            let session = try #require(try await gateway.manager.getSession("support"))
            #expect(session.disconnectReason == DisconnectReason(.workerGone))
            #expect(session.holder == nil)
            // Once.
            let changes = try await gateway.manager.getChanges(after: gateway.start)
            #expect(changes.count { $0.status == .disconnected } == 1)
        }
    }

    @Test func `each renewal is told, so that a worker can count the lease`() async throws {
        try await withShortLeases { gateway in
            var leases: [Lease] = []
            try await follow(gateway, "?worker=eu-1") { followed in
                guard followed.event == "lease" else { return true }
                leases.append(try JSONDecoder.gateway.decode(Lease.self, from: Data(followed.data.utf8)))
                #expect(try await gateway.manager.getLease(holder: "eu-1")?.number == Int64(leases[0].lease))
                return leases.count < 4
            }
            #expect(Set(leases.map(\.lease)).count == 1)
            #expect(leases.map(\.seconds) == [2, 2, 2, 2])
            #expect(leases.map(\.clock) == leases.map(\.clock).sorted())
        }
    }

    @Test func `a worker that comes back with its lease goes on under it, and without gets a new one`() async throws {
        try await withGateway { gateway in
            var first = ""
            try await withStream(gateway, "?worker=eu-1") { first = $0 }
            try await withStream(gateway, "?worker=eu-1&lease=\(first)") { #expect($0 == first) }
            // A process that was killed has no sockets any more, whatever its name is.
            try await withStream(gateway, "?worker=eu-1") { #expect($0 != first) }
            // Of another name it is another's.
            try await withStream(gateway, "?worker=eu-2&lease=\(first)") { #expect($0 != first) }
            try await gateway.manager.closeLease(SessionLease(holder: "eu-1", number: Int64(first)!))
            try await withStream(gateway, "?worker=eu-1&lease=\(first)") { #expect($0 != first) }
        }
    }

    @Test func `however many streams of one name open at once, each has a lease of its own`() async throws {
        try await withGateway { gateway in
            let leases = try await withThrowingTaskGroup(of: String.self) { group in
                for _ in 0..<40 {
                    group.addTask {
                        var lease = ""
                        try await self.withStream(gateway, "?worker=eu-1") { lease = $0 }
                        return lease
                    }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(leases).count == 40)
        }
    }

    @Test func `a second process of the same name has a lease of its own`() async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            try await withStream(gateway, "?worker=eu-1") { first in
                #expect(try await report(gateway, "Connected", "{}", worker: "eu-1", lease: first).status == .ok)
                try await withStream(gateway, "?worker=eu-1") { second in
                    #expect(second != first)
                    // What the first serves stays with it.
                    let refused = try await report(gateway, "LoggedOut", "{}", worker: "eu-1", lease: second)
                    #expect(try refused.problem.code == "not_the_holder")
                    // A name alone is that of the newest.
                    let unnumbered = try await report(gateway, "LoggedOut", "{}", worker: "eu-1")
                    #expect(try unnumbered.problem.code == "not_the_holder")
                    let named = #"{"Action":{"name":"Ana"}}"#
                    #expect(
                        try await report(gateway, "PushNameSetting", named, worker: "eu-1", lease: first).status == .ok
                    )
                }
            }
            #expect(try await gateway.manager.getSession("support")?.status == .connected)
        }
    }

    @Test
    func `a worker whose lease is over reports nothing until it has another one, and a claim finds no false status`()
        async throws
    {
        try await withGateway(Configuration(lease: .milliseconds(2000))) { gateway in
            try await gateway.manager.createSession("support")
            #expect(try await report(gateway, "Connected", "{}", worker: "eu-1").problem.code == "lease_lost")
            try await withStream(gateway, "?worker=eu-1") { _ in
                let answer = try await report(gateway, "Connected", "{}", worker: "eu-1")
                #expect(answer.status == .ok)
            }
            // Nobody looks for lost sessions here, so the status stays until somebody claims.
            try await expectEventually { try await gateway.manager.getSession("support")?.holder == nil }
            #expect(try await report(gateway, "Connected", "{}", worker: "eu-1").problem.code == "lease_lost")
            try await withStream(gateway, "?worker=eu-2") { _ in
                let claimed = try await gateway.send(.post, "/sessions/support/claim", #"{"worker":"eu-2"}"#)
                #expect(try claimed.session.status == .disconnected)
                #expect(try claimed.session.disconnectReason == DisconnectReason(.workerGone))
            }
        }
    }

    @Test func `an event of a worker without a stream keeps its lease alive too`() async throws {
        try await withShortLeases(3000) { gateway in
            let lease = try await gateway.manager.openLease(holder: "eu-1", lasting: .milliseconds(3000))
            for _ in 0..<10 {
                let answer = try await report(gateway, "Connected", "{}", worker: "eu-1", lease: "\(lease.number)")
                #expect(answer.status == .ok)
                // Also one that says nothing.
                #expect(try await report(gateway, "Receipt", "{}", worker: "eu-1").status == .noContent)
                try await Task.sleep(for: .milliseconds(500))
            }
            #expect(try await gateway.manager.getSession("support")?.status == .connected)
        }
    }

    @Test func `a lease that was lost while the stream lived is replaced, and the worker told`() async throws {
        try await withShortLeases { gateway in
            var leases: [String] = []
            try await follow(gateway, "?worker=eu-1") { followed in
                guard followed.event == "lease" else { return true }
                let lease = try JSONDecoder.gateway.decode(Lease.self, from: Data(followed.data.utf8)).lease
                leases.append(lease)
                try await gateway.manager.closeLease(SessionLease(holder: "eu-1", number: Int64(lease)!))
                return leases.count < 3
            }
            #expect(Set(leases).count == 3)
        }
    }

    // MARK: Events

    @Test func `a first report claims what nobody serves, and a late event of another worker is refused`() async throws
    {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            try await withStream(gateway, "?worker=eu-1") { _ in
                let open = try await report(gateway, "connection.update", Self.open, worker: "eu-1")
                #expect(open.status == .ok && open.text.contains(#""holder":"eu-1""#))
                try await withStream(gateway, "?worker=eu-2") { _ in
                    let close = #"{"connection":"close","lastDisconnect":{"error":{"output":{"statusCode":440}}}}"#
                    let late = try await report(gateway, "connection.update", close, worker: "eu-2")
                    #expect(late.status == .unprocessableContent)
                    #expect(try late.problem.code == "not_the_holder")
                    // And of one that has no lease, or no name.
                    #expect(
                        try await report(gateway, "connection.update", close, worker: "eu-3").problem.code
                            == "lease_lost"
                    )
                    let unnamed = try await gateway.post("connection.update", close)
                    #expect(try unnamed.problem.code == "not_the_holder")
                    #expect(unnamed.text.contains(#""holder":"eu-1""#))
                    #expect(try await gateway.manager.getSession("support")?.status == .connected)
                    // A person may do what they like.
                    let patched = try await gateway.send(.patch, "/sessions/support", #"{"status":"disconnected"}"#)
                    #expect(patched.status == .ok)
                }
            }
        }
    }

    @Test func `under a lease that is over nothing is reported`() async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            let lease = try await gateway.manager.openLease(holder: "eu-1", lasting: .seconds(60))
            #expect(
                try await report(gateway, "Connected", "{}", worker: "eu-1", lease: "\(lease.number)").status == .ok
            )
            try await gateway.manager.closeLease(lease)
            try await gateway.manager.recoverLeasedSessions()
            let late = try await report(gateway, "Connected", "{}", worker: "eu-1", lease: "\(lease.number)")
            #expect(late.status == .unprocessableContent)
            #expect(try late.problem.code == "lease_lost")
            #expect(try await gateway.manager.getSession("support")?.status == .disconnected)
        }
    }

    @Test(arguments: [
        #"{"event":"Connected","lease":"17"}"#, #"{"event":"Connected","worker":"eu-1","lease":"one"}"#,
        #"{"event":"Connected","worker":"eu-1","lease":{}}"#, #"{"event":"Connected","worker":""}"#,
        #"{"event":"Connected","worker":7}"#,
    ])
    func `a worker has a name, and a lease a number`(body: String) async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            #expect(try await gateway.send(.post, "/sessions/support/events", body).status == .badRequest)
            #expect(try await gateway.manager.getSession("support")?.status == .initializing)
            for query in [
                "?lease=17", "?worker=eu-1&lease=one", "?worker=", "?worker=eu-1&lease=", "?worker=gateway/eu-1",
            ] {
                #expect(try await gateway.get("/changes\(query)").status == .badRequest, "\(query)")
            }
        }
    }

    // MARK: Claims

    @Test func `a session is claimed by one worker at a time, and given back`() async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            let claim = { (worker: String) in
                try await gateway.send(.post, "/sessions/support/claim", #"{"worker":"\#(worker)"}"#)
            }
            #expect(try await claim("eu-1").problem.code == "lease_lost")
            try await withStream(gateway, "?worker=eu-1") { first in
                try await withStream(gateway, "?worker=eu-2") { second in
                    let claimed = try await claim("eu-1")
                    #expect(claimed.status == .ok && claimed.text.contains(#""holder":"eu-1""#))
                    #expect(try await claim("eu-1").status == .ok)
                    let taken = try await claim("eu-2")
                    #expect(taken.status == .conflict)
                    #expect(try taken.problem.code == "taken")
                    #expect(taken.text.contains(#""holder":"eu-1""#))
                    let path = "/sessions/support/claim?worker="
                    let release = { (query: String) in
                        try await gateway.client.execute(uri: path + query, method: .delete)
                    }
                    #expect(try await release("eu-2&lease=\(second)").problem.code == "not_the_holder")
                    #expect(
                        try await gateway.client.execute(uri: "/sessions/support/claim", method: .delete).status
                            == .badRequest
                    )
                    #expect(try await release("eu-1&lease=\(first)").status == .noContent)
                    // It had no socket any more.
                    let released = try #require(try await gateway.manager.getSession("support"))
                    #expect(released.status == .disconnected && released.holder == nil)
                    #expect(released.needsSocket && released.disconnectReason == DisconnectReason(.released))
                    #expect(try await claim("eu-2").status == .ok)
                    let missing = try await gateway.send(.post, "/sessions/nobody/claim", #"{"worker":"eu-2"}"#)
                    #expect(missing.status == .notFound)
                }
            }
        }
    }

    @Test func `an account is linked once it has a number, until it is logged out`() async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            func isLinked() async throws -> Bool { try await gateway.get("/sessions").text.contains(#""linked":true"#) }
            #expect(try await !isLinked())
            try await gateway.post("PairSuccess", #"{"ID":"447700900123:7@s.whatsapp.net"}"#)
            try await gateway.post("Connected", "{}")
            #expect(try await isLinked())
            try await gateway.post("StreamReplaced", "{}")
            #expect(try await isLinked())
            try await gateway.send(.patch, "/sessions/support", #"{"status":"initializing"}"#)
            try await gateway.post("LoggedOut", #"{"Reason":401}"#)
            #expect(try await !isLinked())
        }
    }

    // MARK: A restart

    @Test func `a gateway that starts again within the lease finds every session as it was`() async throws {
        let folder = TemporaryFolder()
        let configuration = Configuration(file: folder.file)
        let (lease, before, cursor) = try await withGateway(configuration) { gateway in
            for number in 0..<300 { try await gateway.manager.createSession("\(number)") }
            try await gateway.manager.createSession("unnamed")
            try await gateway.post("Connected", "{}", to: "unnamed")
            var lease = ""
            try await withStream(gateway, "?worker=eu-1") { number in
                lease = number
                for id in 0..<300 {
                    _ = try await report(gateway, "Connected", "{}", to: "\(id)", worker: "eu-1", lease: number)
                }
            }
            let snapshot = try await gateway.manager.snapshot()
            try await gateway.manager.close()
            return (lease, snapshot.sessions, snapshot.cursor)
        }
        try await withGateway(configuration) { gateway in
            let changes = try await gateway.manager.getChanges(after: cursor, limit: 1000)
            // What no worker's lease covers is offline.
            #expect(changes.map(\.sessionID) == ["unnamed"])
            try await withStream(gateway, "?worker=eu-1&lease=\(lease)") { #expect($0 == lease) }
            let answer = try await report(gateway, "Connected", "{}", to: "7", worker: "eu-1", lease: lease)
            #expect(answer.status == .ok)
            let after = try await gateway.manager.getAllSessions()
            #expect(after.dropLast() == before.dropLast())
            #expect(after.last?.disconnectReason == DisconnectReason(.gatewayStopped))
        }
    }

    // MARK: Turns

    @Test func `what is done for one session happens in turn, and for others meanwhile`() async throws {
        let turns = Turns()
        let log = Log()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await turns.take("a") {
                    await log.add("a begins")
                    try await expectEventually { await log.lines.contains("b") }
                    await log.add("a ends")
                }
            }
            try await expectEventually { await log.lines == ["a begins"] }
            group.addTask { try await turns.take("a") { await log.add("a again") } }
            group.addTask { try await turns.take("b") { await log.add("b") } }
            try await group.waitForAll()
        }
        #expect(await log.lines == ["a begins", "b", "a ends", "a again"])
        struct Failure: Error {}
        await #expect(throws: Failure.self) { try await turns.take("a") { throw Failure() } }
        #expect(try await turns.take("a") { true })
    }

    private actor Log {
        var lines: [String] = []
        func add(_ line: String) { lines.append(line) }
    }
}
