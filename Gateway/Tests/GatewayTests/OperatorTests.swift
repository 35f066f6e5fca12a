import Foundation
import Testing
import WhatsAppSessions

@testable import Gateway

/// What an operator asks for, and what workers make of it.
@Suite struct OperatorTests {
    private func online(_ gateway: RunningGateway, worker: String? = nil) async throws {
        try await gateway.manager.createSession("support")
        try await gateway.post("creds.update", #"{"me":{"id":"447700900123:1@s.whatsapp.net"}}"#, worker: worker)
        try await gateway.post("connection.update", #"{"connection":"open"}"#, worker: worker)
    }

    private func serve(_ gateway: RunningGateway, for time: Duration = .seconds(60)) async throws {
        _ = try await gateway.manager.openLease(holder: "eu-1", lasting: time)
        try await online(gateway, worker: "eu-1")
    }

    @discardableResult
    private func order(_ command: String, _ gateway: RunningGateway) async throws -> Session {
        try await gateway.client.execute(uri: "/sessions/support/\(command)", method: .post).session
    }

    private func needsSocket(_ gateway: RunningGateway) async throws -> Bool {
        try await gateway.get("/sessions/support").text.contains(#""needsSocket":true"#)
    }

    // MARK: Stop and start

    @Test func `a session that nobody serves is stopped at once, and started again`() async throws {
        try await withGateway { gateway in
            try await online(gateway)
            let stopped = try await order("stop", gateway)
            #expect(stopped.status == .disconnected)
            #expect(stopped.disconnectReason?.text == "stopped")
            #expect(stopped.wish == .stop)
            #expect(try await !needsSocket(gateway))
            let started = try await order("start", gateway)
            #expect(started.status == .initializing)
            #expect(started.wish == nil)
            #expect(try await needsSocket(gateway))
        }
    }

    @Test func `a session that is served stays online until its worker has closed the socket`() async throws {
        try await withGateway { gateway in
            try await serve(gateway)
            #expect(try await order("stop", gateway).status == .connected)
            #expect(try await !needsSocket(gateway))
            try await gateway.post(
                "session",
                #"{"status":"disconnected","reason":"stopped"}"#,
                worker: "eu-1"
            )
            let session = try #require(try await gateway.manager.getSession("support"))
            #expect(session.status == .disconnected)
            #expect(session.disconnectReason?.text == "stopped")
            #expect(session.holder == "eu-1")
            #expect(session.isLinked)
        }
    }

    @Test(arguments: [
        #"{"connection":"close","lastDisconnect":{"error":{"message":"x","output":{"statusCode":428}}}}"#,
        #"{"connection":"close"}"#,
    ])
    func `a socket that closes on a stopped session has stopped it`(close: String) async throws {
        try await withGateway { gateway in
            try await serve(gateway)
            try await order("stop", gateway)
            try await gateway.post("connection.update", close, worker: "eu-1")
            let session = try #require(try await gateway.manager.getSession("support"))
            #expect(session.status == .disconnected)
            #expect(session.disconnectReason?.text == "stopped")
        }
    }

    @Test func `a ban that comes while a session is being stopped is not hidden`() async throws {
        try await withGateway { gateway in
            try await serve(gateway)
            try await order("stop", gateway)
            try await gateway.post("ConnectFailure", #"{"Reason":403}"#, worker: "eu-1")
            #expect(try await gateway.manager.getSession("support")?.disconnectReason?.text == "account locked")
        }
    }

    @Test func `a worker that doesn't know of the stop is told so, and brings nothing online`() async throws {
        try await withGateway { gateway in
            try await serve(gateway)
            try await order("stop", gateway)
            try await gateway.post("session", #"{"status":"disconnected"}"#, worker: "eu-1")
            #expect(try await gateway.manager.getSession("support")?.disconnectReason?.text == "stopped")
            for (event, data) in [
                ("connection.update", #"{"connection":"connecting"}"#), ("connection.update", #"{"qr":"2@one"}"#),
                ("connection.update", #"{"connection":"open"}"#), ("Connected", "{}"),
                ("session", #"{"status":"connected"}"#),
            ] {
                let answer = try await gateway.post(event, data, worker: "eu-1")
                #expect(answer.status == .unprocessableContent)
                #expect(try answer.problem.code == "stopped")
            }
            // What says nothing about the connection is taken.
            let named = try await gateway.post("creds.update", #"{"me":{"name":"Ana"}}"#, worker: "eu-1")
            #expect(try named.session.name == "Ana")
            #expect(try await gateway.manager.getSession("support")?.status == .disconnected)
        }
    }

    @Test func `a stopped session stays stopped when its worker and the gateway come back`() async throws {
        let folder = TemporaryFolder()
        var configuration = Configuration(file: folder.file)
        configuration.lease = .seconds(1)
        try await withGateway(configuration) { gateway in
            try await serve(gateway, for: .seconds(5))
            try await order("stop", gateway)
            try await gateway.post("connection.update", #"{"connection":"close"}"#, worker: "eu-1")
        }
        try await withGateway(configuration) { gateway in
            _ = try await gateway.manager.openLease(holder: "eu-2", lasting: .seconds(60))
            // Once the lease of its first worker is over.
            try await expectEventually {
                let answer = try await gateway.post("connection.update", #"{"connection":"open"}"#, worker: "eu-2")
                return try answer.problem.code == "stopped"
            }
            let session = try await gateway.manager.getSession("support")
            #expect(session?.wish == .stop && session?.status == .disconnected)
            #expect(try await !needsSocket(gateway))
        }
    }

    @Test func `why a session went offline is not hidden by a stop, unless that would have passed by itself`()
        async throws
    {
        for (reason, kept) in [("logged out", "logged out"), ("worker gone", "stopped"), ("banned", "banned")] {
            try await withGateway { gateway in
                try await gateway.manager.createSession("support")
                let updates = SessionUpdates(
                    status: .disconnected,
                    disconnectReason: .set(DisconnectReason(text: reason))
                )
                try await gateway.manager.updateSession("support", updates)
                #expect(try await order("stop", gateway).disconnectReason?.text == kept)
            }
        }
    }

    @Test func `a start is not undone by the report of the stop before`() async throws {
        try await withGateway { gateway in
            try await serve(gateway)
            try await order("stop", gateway)
            try await order("start", gateway)
            let late = #"{"status":"disconnected","reason":"stopped"}"#
            let session = try await gateway.post("session", late, worker: "eu-1").session
            #expect(session.status == .initializing)
            #expect(session.disconnectReason == nil)
            #expect(try await needsSocket(gateway))
        }
    }

    @Test func `an account that was linked while it is being stopped is known`() async throws {
        try await withGateway { gateway in
            _ = try await gateway.manager.openLease(holder: "eu-1", lasting: .seconds(60))
            try await gateway.manager.createSession("support")
            try await gateway.post("connection.update", #"{"qr":"2@one"}"#, worker: "eu-1")
            try await order("stop", gateway)
            let session = try await gateway.post(
                "PairSuccess",
                #"{"ID":"447700900123:1@s.whatsapp.net","BusinessName":"Ana"}"#,
                worker: "eu-1"
            ).session
            #expect(session.phoneNumber == "447700900123" && session.name == "Ana")
            #expect(session.isLinked && session.wish == .stop && session.status == .initializing)
        }
    }

    @Test func `what comes late of a pairing leaves a stopped session stopped`() async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            try await gateway.post("connection.update", #"{"qr":"2@one"}"#)
            try await order("stop", gateway)
            for (event, data) in [
                ("PairSuccess", #"{"ID":"447700900123:1@s.whatsapp.net"}"#),
                ("connection.update", #"{"isNewLogin":true}"#),
                ("PairPasskeyRequest", "{}"),
            ] {
                try await gateway.post(event, data)
                let session = try #require(try await gateway.manager.getSession("support"))
                #expect(session.status == .disconnected && session.disconnectReason?.text == "stopped", "\(event)")
            }
            #expect(try await gateway.manager.getSession("support")?.phoneNumber == "447700900123")
        }
    }

    @Test(arguments: [
        ("LoggedOut", "{}", "logged out"), ("ConnectFailure", #"{"Reason":403}"#, "account locked"),
    ])
    func `the report of a stop doesn't hide how WhatsApp ended it`(event: String, data: String, reason: String)
        async throws
    {
        try await withGateway { gateway in
            try await serve(gateway)
            try await order("stop", gateway)
            try await gateway.post(event, data, worker: "eu-1")
            let reports = [
                ("session", #"{"status":"disconnected","reason":"stopped"}"#),
                ("session", #"{"status":"disconnected"}"#),
                ("connection.update", #"{"connection":"close"}"#),
            ]
            for (event, data) in reports {
                let session = try await gateway.post(event, data, worker: "eu-1").session
                #expect(session.disconnectReason?.text == reason)
                #expect(session.isLinked == (reason != "logged out"))
            }
        }
    }

    // MARK: Log out and pair

    /// How a worker says that WhatsApp has ended the connection.
    private func ended(_ code: Int, at date: Date) -> String {
        """
        {"event":"connection.update","worker":"eu-1","at":"\(date.iso8601)","data":{"connection":"close",\
        "lastDisconnect":{"error":{"message":"x","output":{"statusCode":\(code)}}}}}
        """
    }

    @Test func `an end that came before an order doesn't fulfil it`() async throws {
        for (command, code) in [("pair", 401), ("pair", 440), ("logout", 440), ("logout", 402)] {
            try await withGateway { gateway in
                try await serve(gateway)
                let before = try #require(try await gateway.manager.getSession("support")).createdAt
                if command == "pair" {
                    try await gateway.send(.post, "/sessions/support/events", ended(code, at: before))
                }
                try await order(command, gateway)
                try await gateway.send(.post, "/sessions/support/events", ended(code, at: before))
                let session = try #require(try await gateway.manager.getSession("support"))
                #expect(session.wish?.rawValue == command, "\(command), \(code)")
                #expect(try await needsSocket(gateway))
                if command == "pair" { #expect(session.status == .initializing) }
                // The same on the socket that the worker opens for it.
                try await gateway.post("connection.update", #"{"connection":"connecting"}"#, worker: "eu-1")
                try await gateway.send(
                    .post,
                    "/sessions/support/events",
                    ended(code, at: Date(timeIntervalSinceNow: 1))
                )
                #expect(try await gateway.manager.getSession("support")?.wish == nil)
            }
        }
    }

    @Test func `an account that was logged out before the order to log it out is logged out`() async throws {
        try await withGateway { gateway in
            try await serve(gateway)
            let before = try #require(try await gateway.manager.getSession("support")).createdAt
            try await order("logout", gateway)
            try await gateway.send(.post, "/sessions/support/events", ended(401, at: before))
            let session = try #require(try await gateway.manager.getSession("support"))
            #expect(session.wish == nil && !session.isLinked && !session.needsSocket)
        }
    }

    @Test(arguments: [
        [("connection.update", #"{"qr":"2@one"}"#), ("connection.update", #"{"connection":"close"}"#)],
        [("connection.update", #"{"connection":"connecting"}"#), ("ClientOutdated", "{}")],
        [("session", #"{"status":"disconnected","reason":"the network is away"}"#)],
    ])
    func `nobody is linked after a logout, whatever is said next`(events: [(String, String)]) async throws {
        try await withGateway { gateway in
            try await serve(gateway)
            try await gateway.post("LoggedOut", "{}", worker: "eu-1")
            for (event, data) in events { try await gateway.post(event, data, worker: "eu-1") }
            let session = try #require(try await gateway.manager.getSession("support"))
            #expect(session.disconnectReason?.text != "logged out" || session.status != .disconnected)
            #expect(!session.isLinked && session.phoneNumber == nil && session.name == nil)
            let answer = try await gateway.client.execute(uri: "/sessions/support/logout", method: .post)
            #expect(try answer.problem.code == "not_linked")
        }
    }

    @Test func `nobody is linked after a logout when the worker is gone before a code was scanned`() async throws {
        var configuration = Configuration()
        configuration.lease = .seconds(1)
        try await withGateway(configuration, runsServices: true) { gateway in
            try await serve(gateway, for: .seconds(1))
            try await gateway.post("LoggedOut", "{}", worker: "eu-1")
            try await gateway.post("connection.update", #"{"qr":"2@one"}"#, worker: "eu-1")
            try await expectEventually {
                let session = try await gateway.manager.getSession("support")
                return session?.disconnectReason?.text == "worker gone" && session?.phoneNumber == nil
            }
            #expect(try await gateway.manager.getSession("support")?.isLinked == false)
        }
    }

    @Test func `nobody is linked after a logout when a new code is stopped`() async throws {
        try await withGateway { gateway in
            try await online(gateway)
            try await gateway.post("LoggedOut", "{}")
            try await gateway.post("connection.update", #"{"qr":"2@one"}"#)
            let session = try await order("stop", gateway)
            #expect(session.disconnectReason?.text == "stopped" && !session.isLinked)
        }
    }

    @Test func `a pairing that is taken back links nobody to an account that was logged out`() async throws {
        try await withGateway { gateway in
            try await serve(gateway)
            try await gateway.post("LoggedOut", "{}", worker: "eu-1")
            try await order("pair", gateway)
            try await order("stop", gateway)
            try await gateway.post("session", #"{"status":"disconnected","reason":"stopped"}"#, worker: "eu-1")
            let session = try await order("start", gateway)
            #expect(!session.isLinked && session.phoneNumber == nil)
        }
    }

    @Test(arguments: ["offline", "with a code"])
    func `a logout ends also where nothing is left to unlink`(state: String) async throws {
        try await withGateway { gateway in
            try await serve(gateway)
            try await order("stop", gateway)
            try await gateway.post("connection.update", #"{"connection":"close"}"#, worker: "eu-1")
            try await order("logout", gateway)
            // Its worker says at once that it is logged out; or its credentials were gone, and a code shows.
            if state == "offline" {
                try await gateway.post("LoggedOut", "{}", worker: "eu-1")
            } else {
                try await gateway.post("connection.update", #"{"qr":"2@one"}"#, worker: "eu-1")
            }
            let session = try #require(try await gateway.manager.getSession("support"))
            #expect(session.wish == nil)
            #expect(session.status == (state == "offline" ? .disconnected : .qrWaiting))
            if state == "offline" { #expect(session.disconnectReason?.text == "logged out" && !session.isLinked) }
        }
    }

    @Test func `the account that another is to replace doesn't come online, and a start takes it back`() async throws {
        try await withGateway { gateway in
            try await serve(gateway)
            // Its socket is about to be opened again.
            let lost = #"{"connection":"close","lastDisconnect":{"error":{"message":"x","output":{"statusCode":428}}}}"#
            try await gateway.post("connection.update", lost, worker: "eu-1")
            let refused = try await gateway.client.execute(uri: "/sessions/support/pair", method: .post)
            #expect(try refused.problem.code == "still_linked")
            try await gateway.post("ClientOutdated", "{}", worker: "eu-1")
            try await order("pair", gateway)
            let online = try await gateway.post("connection.update", #"{"connection":"open"}"#, worker: "eu-1")
            #expect(try online.problem.code == "to_be_paired")
            let started = try await order("start", gateway)
            #expect(started.isLinked && started.phoneNumber == "447700900123" && started.wish == nil)
        }
    }

    @Test func `a worker that closes its socket has not done what was wanted`() async throws {
        for command in ["logout", "pair"] {
            try await withGateway { gateway in
                try await serve(gateway)
                if command == "pair" { try await gateway.post("ClientOutdated", "{}", worker: "eu-1") }
                try await order(command, gateway)
                try await gateway.post("connection.update", #"{"connection":"close"}"#, worker: "eu-1")
                let session = try await gateway.manager.getSession("support")
                #expect(session?.status == .disconnected && session?.wish?.rawValue == command)
                #expect(try await needsSocket(gateway))
            }
        }
    }

    @Test func `an account that is logged out while its worker was gone is logged out`() async throws {
        var configuration = Configuration()
        configuration.lease = .seconds(1)
        try await withGateway(configuration) { gateway in
            try await serve(gateway)
            try await expectEventually {
                try await gateway.manager.recoverLeasedSessions()
                return try await gateway.manager.getSession("support")?.disconnectReason?.text == "worker gone"
            }
            #expect(try await needsSocket(gateway))
            try await gateway.post("LoggedOut", #"{"Reason":401}"#)
            let session = try #require(try await gateway.manager.getSession("support"))
            #expect(session.disconnectReason == DisconnectReason(code: 401, text: "logged out"))
            #expect(!session.isLinked && !session.needsSocket)
            // What says less changes nothing.
            try await gateway.post("connection.update", #"{"connection":"close"}"#)
            #expect(try await gateway.manager.getSession("support") == session)
        }
    }

    @Test func `an account whose number is not known yet can be logged out`() async throws {
        try await withGateway { gateway in
            try await gateway.manager.createSession("support")
            try await gateway.post("Connected", "{}")
            #expect(try await order("logout", gateway).wish == .logOut)
        }
    }

    @Test func `a person who opens a stopped session by hand has started it`() async throws {
        try await withGateway { gateway in
            try await online(gateway)
            try await order("stop", gateway)
            let patched = try await gateway.send(.patch, "/sessions/support", #"{"status":"initializing"}"#)
            #expect(try patched.session.wish == nil)
            #expect(try await needsSocket(gateway))
        }
    }

    @Test func `a wish is not made by a patch, which looks at nothing`() async throws {
        try await withGateway { gateway in
            try await online(gateway)
            for body in [#"{"wish":"stop"}"#, #"{"wish":null}"#] {
                let answer = try await gateway.send(.patch, "/sessions/support", body)
                #expect(try answer.problem.code == "invalid_body")
            }
            #expect(try await gateway.manager.getSession("support")?.wish == nil)
        }
    }

    @Test func `a logout waits for the worker, which needs a socket for it, and is over once the account is unlinked`()
        async throws
    {
        try await withGateway { gateway in
            try await serve(gateway)
            try await order("stop", gateway)
            try await gateway.post("connection.update", #"{"connection":"close"}"#, worker: "eu-1")
            #expect(try await order("logout", gateway).wish == .logOut)
            #expect(try await needsSocket(gateway))
            try await gateway.post("connection.update", #"{"connection":"open"}"#, worker: "eu-1")
            #expect(try await gateway.manager.getSession("support")?.wish == .logOut)
            try await gateway.post("LoggedOut", "{}", worker: "eu-1")
            let session = try #require(try await gateway.manager.getSession("support"))
            #expect(session.status == .disconnected)
            #expect(session.wish == nil)
            #expect(!session.isLinked)
            #expect(try await !needsSocket(gateway))
            // Which account it was stays, until another may be linked.
            #expect(session.phoneNumber == "447700900123")
            #expect(try await order("start", gateway).phoneNumber == nil)
        }
    }

    @Test func `a logout that WhatsApp refuses is not tried for ever`() async throws {
        try await withGateway { gateway in
            try await serve(gateway)
            try await order("logout", gateway)
            try await gateway.post("ConnectFailure", #"{"Reason":403}"#, worker: "eu-1")
            #expect(try await gateway.manager.getSession("support")?.wish == nil)
            #expect(try await !needsSocket(gateway))
        }
    }

    @Test func `pairing again leaves the account to no worker, until a code shows`() async throws {
        try await withGateway { gateway in
            try await serve(gateway)
            try await gateway.post("ClientOutdated", "{}", worker: "eu-1")
            let session = try await order("pair", gateway)
            #expect(session.status == .initializing)
            #expect(session.wish == .pair)
            #expect(!session.isLinked)
            try await gateway.post("connection.update", #"{"connection":"connecting"}"#, worker: "eu-1")
            #expect(try await gateway.manager.getSession("support")?.wish == .pair)
            let waiting = try await gateway.post("connection.update", #"{"qr":"2@one"}"#, worker: "eu-1")
            #expect(try waiting.session.wish == nil)
            #expect(try waiting.session.phoneNumber == nil)
            // It shows codes already.
            #expect(try await order("pair", gateway).status == .qrWaiting)
        }
    }

    @Test func `what makes no sense for a session is refused, and nothing changes`() async throws {
        try await withGateway { gateway in
            for command in Command.allCases {
                let answer = try await gateway.client.execute(
                    uri: "/sessions/nobody/\(command.rawValue)",
                    method: .post
                )
                #expect(answer.status == .notFound)
            }
            try await gateway.manager.createSession("support")
            let unlinked = try await gateway.client.execute(uri: "/sessions/support/logout", method: .post)
            #expect(unlinked.status == .conflict)
            #expect(try unlinked.problem.code == "not_linked")
            try await gateway.manager.deleteSession("support")
            try await online(gateway)
            let linked = try await gateway.client.execute(uri: "/sessions/support/pair", method: .post)
            #expect(linked.status == .conflict)
            #expect(try linked.problem.code == "still_linked")
            #expect(try await gateway.manager.getSession("support")?.wish == nil)
        }
    }

    // MARK: The demo

    @Test func `the demo obeys`() async throws {
        let manager = try SessionManager()
        let turns = Turns()
        let leases = WorkerLeases(manager: manager, duration: .seconds(30))
        let events = WorkerEvents(manager: manager, leases: leases, turns: turns)
        let operators = Operators(manager: manager, turns: turns)
        let demo = Task { try await DemoWorker(manager: manager, events: events, speed: 100).run() }
        defer { demo.cancel() }
        try await manager.createSession("mine")
        func becomes(_ status: Session.Status) async throws {
            try await manager.waitForSession("mine", toBecome: [status], timeout: .seconds(30))
        }
        try await becomes(.connected)
        _ = try await operators.order(.stop, for: "mine")
        for _ in 0..<50 {
            try await Task.sleep(for: .milliseconds(10))
            #expect(try await manager.getSession("mine")?.status == .disconnected)
        }
        _ = try await operators.order(.start, for: "mine")
        try await becomes(.connected)
        // An offline one too.
        _ = try await operators.order(.stop, for: "mine")
        _ = try await operators.order(.logOut, for: "mine")
        try await expectEventually { try await manager.getSession("mine")?.wish == nil }
        #expect(try await manager.getSession("mine")?.isLinked == false)
        _ = try await operators.order(.pair, for: "mine")
        try await becomes(.qrWaiting)
    }
}
