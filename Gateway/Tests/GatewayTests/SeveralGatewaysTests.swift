import Foundation
import Testing
import WhatsAppSessions

@testable import Gateway

/// Several gateways on one database: here two of them in a process, which share a manager and nothing else.
@Suite struct SeveralGatewaysTests {
    /// What one gateway does with events and orders.
    private struct One {
        let events: WorkerEvents
        let operators: Operators

        init(_ manager: SessionManager) {
            let turns = Turns()
            let leases = WorkerLeases(manager: manager, duration: .seconds(30))
            events = WorkerEvents(manager: manager, leases: leases, turns: turns)
            operators = Operators(manager: manager, turns: turns)
        }

        /// Creates a session whose account is online.
        func bringOnline(_ id: String) async throws {
            try await events.manager.createSession(id)
            try await post("connection.update", SeveralGatewaysTests.open, to: id)
        }

        /// What makes no sense is refused; what becomes of the session is looked at afterwards.
        func order(_ command: Command, _ id: String) async throws {
            do { _ = try await operators.order(command, for: id) } catch is Problem {}
        }

        /// What is refused is refused; what becomes of the session is looked at afterwards.
        func post(_ event: String, _ data: String, to id: String, worker: String? = nil) async throws {
            let worker = worker.map { #","worker":"\#($0)""# } ?? ""
            let json = Data(#"{"event":"\#(event)","data":\#(data)\#(worker)}"#.utf8)
            let event = try JSONDecoder.gateway.decode(WorkerEvent.self, from: json)
            _ = try? await events.receive(event, for: id)
        }
    }

    private static let open = #"{"connection":"open"}"#

    /// Lets two things happen at the same moment, for many sessions.
    private func race(
        _ manager: SessionManager,
        from status: Session.Status = .initializing,
        _ one: @escaping @Sendable (String) async throws -> Void,
        _ other: @escaping @Sendable (String) async throws -> Void
    ) async throws {
        for number in 0..<300 {
            let id = "\(number)"
            try await manager.createSession(id)
            try await manager.updateSession(id, SessionUpdates(status: status))
            async let first: Void = one(id)
            async let second: Void = other(id)
            _ = try await (first, second)
        }
    }

    @Test(arguments: [false, true])
    func `whoever was stopped at one gateway stays so, whatever the other hears at that moment`(
        isOffline: Bool
    ) async throws {
        let manager = try SessionManager()
        let (here, there) = (One(manager), One(manager))
        try await race(manager, from: isOffline ? .disconnected : .initializing) { id in
            try await here.post("connection.update", Self.open, to: id)
        } _: { id in
            _ = try await there.operators.order(.stop, for: id)
        }
        // Nobody serves it, so nobody else would report that it is over.
        for session in try await manager.getAllSessions() {
            #expect(session.wish == .stop && session.status == .disconnected && !session.needsSocket)
        }
    }

    @Test func `whoever is started at one gateway while the other hears that it was closed is started`() async throws {
        let manager = try SessionManager()
        let (here, there) = (One(manager), One(manager))
        for number in 0..<300 {
            let id = "\(number)"
            try await here.bringOnline(id)
            _ = try await here.operators.order(.stop, for: id)
            async let closed: Void = here.post("Disconnected", "{}", to: id)
            async let started = there.operators.order(.start, for: id)
            _ = try await (closed, started)
        }
        for session in try await manager.getAllSessions() {
            #expect(session.wish == nil && session.status != .disconnected && session.needsSocket)
        }
    }

    @Test func `a logout that was done while it was ordered is no wish any more`() async throws {
        let manager = try SessionManager()
        let (here, there) = (One(manager), One(manager))
        for number in 0..<300 {
            let id = "\(number)"
            try await here.bringOnline(id)
            async let loggedOut: Void = here.post("LoggedOut", #"{"Reason":401}"#, to: id)
            async let ordered = there.order(.logOut, id)
            _ = try await (loggedOut, ordered)
        }
        for session in try await manager.getAllSessions() {
            #expect(session.wish == nil && session.disconnectReason?.text == "logged out" && !session.isLinked)
        }
    }

    @Test func `a pairing that is ordered while the first code comes loses no code`() async throws {
        let manager = try SessionManager()
        let (here, there) = (One(manager), One(manager))
        try await race(manager) { id in
            try await here.post("connection.update", #"{"qr":"2@code"}"#, to: id)
        } _: { id in
            try await there.order(.pair, id)
        }
        for session in try await manager.getAllSessions() {
            #expect(session.status == .qrWaiting && session.qrCode == "2@code" && session.wish == nil)
        }
    }

    @Test func `whoever waits too long for a turn gives up at once, and the next does its work`() async throws {
        let turns = Turns(patience: .milliseconds(200))
        let (begun, begins) = AsyncStream.makeStream(of: Void.self)
        async let first: Void = turns.take("support") {
            begins.yield()
            try await Task.sleep(for: .milliseconds(1200))
        }
        _ = await begun.first { _ in true }
        let error = await #expect(throws: Problem.self) { try await turns.take("support") { Issue.record("it ran") } }
        #expect(error?.code == "database_busy")
        try await first
        try await expectEventually { (try? await turns.take("support") { 7 }) == 7 }
    }

    @Test func `an order that was given for a session as it was holds for the session as it is`() async throws {
        let manager = try SessionManager()
        let (here, there) = (One(manager), One(manager))
        try await here.bringOnline("ended")
        let online = try #require(try await manager.getSession("ended"))
        try await here.post("LoggedOut", #"{"Reason":401}"#, to: "ended")
        await #expect(throws: Problem.self) { _ = try await there.operators.obey(.logOut, of: online) }
        #expect(try await manager.getSession("ended")?.wish == nil)

        let new = try await manager.createSession("new")
        try await here.post("connection.update", #"{"qr":"2@code"}"#, to: "new")
        let paired = try await there.operators.obey(.pair, of: new)
        #expect(paired.status == .qrWaiting && paired.qrCode == "2@code" && paired.wish == nil)
    }

    @Test func `a stop at one gateway doesn't hide the logout that the other hears of after it`() async throws {
        let manager = try SessionManager()
        let (here, there) = (One(manager), One(manager))
        try await here.bringOnline("support")
        try await there.order(.stop, "support")
        try await here.post("LoggedOut", #"{"Reason":401}"#, to: "support")
        let session = try #require(try await manager.getSession("support"))
        #expect(session.wish == .stop && session.disconnectReason?.text == "logged out" && !session.isLinked)
    }

    @Test func `a session that is logged out at one gateway is not started by what the other hears`() async throws {
        let manager = try SessionManager()
        let (here, there) = (One(manager), One(manager))
        for number in 0..<300 {
            let id = "\(number)"
            try await here.bringOnline(id)
            _ = try await here.operators.order(.logOut, for: id)
            async let loggedOut: Void = here.post("LoggedOut", #"{"Reason":401}"#, to: id)
            async let named: Void = there.post("PushNameSetting", #"{"Action":{"name":"Ana"}}"#, to: id)
            _ = try await (loggedOut, named)
        }
        for session in try await manager.getAllSessions() {
            #expect(session.status == .disconnected && session.disconnectReason?.text == "logged out")
            #expect(!session.needsSocket)
        }
    }

    @Test func `a worker goes on at another gateway, under its lease or by its name`() async throws {
        let manager = try SessionManager()
        let (here, there) = (One(manager), One(manager))
        try await manager.createSession("support")
        let worker = try #require(Worker(name: "eu-1"))
        let lease = try await here.events.leases.open(worker)
        _ = try await here.events.claim("support", by: worker)
        let resumed = try await there.events.leases.open(#require(Worker(name: "eu-1", lease: lease.number)))
        #expect(resumed == lease)
        try await there.post("connection.update", Self.open, to: "support", worker: "eu-1")
        #expect(try await manager.getSession("support")?.status == .connected)
        #expect(try await manager.getSession("support")?.holder == "eu-1")
    }

    @Test func `the lease of a gateway that posts webhooks is no worker's`() async throws {
        let manager = try SessionManager()
        let leases = One(manager).events.leases
        let turn = WebhookTurn(manager: manager, receiver: "one", ownsDatabase: false)
        let isTaken = try await turn.take {
            let counts = try await (manager.getLeases().count, leases.workers().count)
            #expect(counts == (1, 0))
        }
        #expect(isTaken)
    }
}
