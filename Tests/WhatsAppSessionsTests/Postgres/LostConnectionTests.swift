#if Postgres
import Foundation
import Testing

@testable import WhatsAppSessions

/// A call outlives its connection: it is made again, and what it changes is made once.
@Suite struct LostConnectionTests {
    let database = try! TestDatabase()

    private func open(
        patience: Duration = .seconds(60),
        log: @escaping PostgresLog = { _ in }
    ) throws -> SessionManager {
        SessionManager(try PostgresDatabase(database.address, patience: patience, log: log))
    }

    private func endConnections() throws {
        try database.administer(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = '\(database.name)' AND pid <> pg_backend_pid()
            """
        )
    }

    @Test func `every call outlives the end of its connection`() throws {
        let manager = try open()
        let lease = try manager.openLease(holder: "eu-1", lasting: .seconds(60))
        try manager.createSession("support")
        let cursor = try manager.newestCursor()
        let calls: [() throws -> Void] = [
            { _ = try manager.getSession("support") }, { _ = try manager.sessionExists("support") },
            { _ = try manager.getAllSessions() }, { _ = try manager.getChanges(after: cursor) },
            { try manager.createSession("sales") },
            { try manager.updateSession("sales", SessionUpdates(name: .set("Ana"))) },
            { try manager.claimSession("sales", under: lease) }, { try manager.releaseSession("sales", under: lease) },
            { try manager.renewLease(lease, lasting: .seconds(60)) }, { try manager.recoverSessions() },
            { try manager.deleteSession("sales") }, { _ = try manager.claimSessions(limit: 1, under: lease) },
        ]
        for call in calls {
            try endConnections()
            try call()
        }
        #expect(
            try manager.getChanges(after: cursor).map(\.kind)
                == [.created, .updated, .updated, .updated, .updated, .updated, .deleted, .updated]
        )
    }

    @Test func `changes under load are made once, however often the connection ends`() async throws {
        let manager = try open()
        for number in 0..<8 { try await manager.createSession("\(number)") }
        let cursor = try await manager.newestCursor()
        let isDone = Lock(false)
        let ends = Lock(0)
        let breaker = Thread {
            while !isDone.withLock({ $0 }) {
                try? endConnections()
                ends.withLock { $0 += 1 }
                usleep(30_000)
            }
        }
        breaker.start()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<8 {
                group.addTask {
                    for turn in 0..<100 {
                        let updates = SessionUpdates(name: .set("\(turn)"))
                        let session = try await manager.updateSession("\(number)", updates)
                        #expect(session.name == "\(turn)")
                    }
                }
            }
            try await group.waitForAll()
        }
        isDone.withLock { $0 = true }
        #expect(ends.withLock { $0 } > 1)
        let changes = try await manager.getChanges(after: cursor, limit: 10_000)
        #expect(changes.count == 800)
    }

    /// Sends writes whose answers nobody hears, and then again.
    private func twice(_ writes: [SessionWrite]) throws -> [Written] {
        let connection = try TestDatabase.connection(database.address)
        let deadline = ContinuousClock.now + .seconds(60)
        let calls = writes.map(PostgresWrite.init)
        let first = try PostgresSessions(connection, until: deadline).make(calls).map { try $0.get() }
        let place = try database.query("SELECT max(number) FROM session_changes")
        for call in calls { call.noteSent() }
        let second = try PostgresSessions(connection, until: deadline).make(calls).map { try $0.get() }
        #expect(try database.query("SELECT max(number) FROM session_changes") == place)
        #expect(second.map(\.session) == first.map(\.session))
        #expect(second.map(\.lease) == first.map(\.lease))
        #expect(second.map(\.deleted) == first.map(\.deleted))
        #expect(second.map { $0.recovered.map(\.id) } == first.map { $0.recovered.map(\.id) })
        #expect(second.map { $0.recovered.map(\.status) } == first.map { $0.recovered.map(\.status) })
        #expect(second.map { $0.claimed } == first.map { $0.claimed })
        return second
    }

    @Test func `whoever asks again gets the first answer, and changes nothing`() throws {
        let manager = try open()
        _ = try twice([.create(id: "a", at: 0), .create(id: "b", at: 0), .create(id: "c", at: 0)])
        func update(_ id: String, _ updates: SessionUpdates, under lease: SessionLease? = nil) -> SessionWrite {
            .update(id: id, updates, connectedAt: nil, qrCodeReceivedAt: nil, under: lease, at: 0)
        }
        _ = try twice([
            update("a", SessionUpdates(status: .connected, name: .set("Ana"))),
            update("b", SessionUpdates(status: .qrWaiting, qrCode: .set("2@1"))),
        ])
        let lease = try #require(try twice([.openLease(holder: "eu-1", milliseconds: 60_000, isSole: true)])[0].lease)
        _ = try twice([.claim(id: "a", under: lease)])
        _ = try twice([update("a", SessionUpdates(name: .set("Bea")), under: lease)])
        #expect(try twice([.claimUnserved(limit: 1, under: lease)])[0].claimed.map(\.id) == ["b"])
        _ = try twice([.release(id: "a", under: lease)])
        let recovered = try twice([.recover(onlyLeased: false, at: 0)])[0].recovered
        #expect(recovered.map(\.id) == ["a", "c"] && recovered.map(\.status) == [.connected, .initializing])
        #expect(try twice([.delete(id: "a")])[0].deleted == 1)
        _ = try twice([.renewLease(lease, milliseconds: 60_000), .renewLease(lease, milliseconds: 60_000)])
        let cursor = try manager.snapshot().cursor
        _ = try twice([.keepCursor(cursor, under: lease)])
        #expect(try manager.getCursor(holder: "eu-1") == cursor)
        _ = try twice([.closeLease(lease)])
        // One that was made in between by somebody else is theirs.
        #expect(try manager.getAllSessions().map(\.id) == ["b", "c"])
    }

    @Test func `a change that is asked for again doesn't undo what was changed since`() throws {
        let manager = try open()
        try manager.createSession("support")
        let write = PostgresWrite(
            .update(
                id: "support",
                SessionUpdates(name: .set("Ana")),
                connectedAt: nil,
                qrCodeReceivedAt: nil,
                under: nil,
                at: 0
            )
        )
        let sessions = PostgresSessions(
            try TestDatabase.connection(database.address),
            until: .now + .seconds(60)
        )
        _ = try sessions.make([write])
        // Nobody heard the answer.
        write.noteSent()
        try manager.updateSession("support", SessionUpdates(name: .set("Bea")))
        #expect(try sessions.make([write])[0].get().session?.name == "Bea")
        #expect(try manager.getChanges(of: "support").count == 3)
    }

    @Test func `when the database stays away for longer than a caller waits, the call says so`() throws {
        let manager = try open(patience: .seconds(1))
        try manager.createSession("support")
        try database.administer("ALTER DATABASE \(database.name) ALLOW_CONNECTIONS false")
        try endConnections()
        let write = #expect(throws: DatabaseError.self) { try manager.createSession("sales") }
        #expect(write?.resultCode == .busy && write?.sqlState != nil)
        let read = #expect(throws: DatabaseError.self) { try manager.getSession("support") }
        #expect(read?.resultCode == .busy && read?.isOutcomeUnknown == false)
    }

    @Test func `a lock of a person is waited for, and who holds it is said`() throws {
        let said = Lock<[String]>([])
        let manager = try open(patience: .milliseconds(700)) { text in said.withLock { $0.append(text) } }
        try manager.createSession("support")
        let person = try TestDatabase.connection(database.address + " application_name=psql")
        let deadline = ContinuousClock.now + .seconds(60)
        _ = try person.run(script: "BEGIN; UPDATE whatsapp_sessions.sessions SET name = 'Ana'", until: deadline)
        let error = #expect(throws: DatabaseError.self) {
            try manager.updateSession("support", SessionUpdates(name: .set("Bea")))
        }
        let holder =
            "another program holds a lock on the sessions: process \(person.processNumber), psql, idle in transaction"
        #expect(error?.message == holder)
        #expect(error?.isOutcomeUnknown == false)
        #expect(said.withLock { $0.contains(holder) })
        #expect(try manager.getSession("support")?.name == nil)
        _ = try person.run(script: "COMMIT", until: deadline)
        #expect(try manager.updateSession("support", SessionUpdates(status: .connected)).name == "Ana")
    }

    @Test func `an operator hears once that the connection was lost, and that it is back`() throws {
        let said = Lock<[String]>([])
        let manager = try SessionManager(storage: .postgres(database.address)) { text in
            said.withLock { $0.append(text) }
        }
        for number in 0..<3 {
            try manager.createSession("\(number)")
            #expect(said.withLock { $0.count } == 2 * number)
            try endConnections()
        }
        try manager.createSession()
        let lines = said.withLock { $0 }
        #expect(lines.count == 6)
        for (place, line) in lines.enumerated() {
            let start =
                place % 2 == 0
                ? "the connection to the database was lost, and calls wait: " : "the connection to the database is back"
            #expect(line.hasPrefix(start))
            #expect(!line.contains("dbname"))
        }
    }

    @Test func `a table lock keeps nobody waiting for a table of another`() throws {
        let manager = try open(patience: .milliseconds(700))
        try manager.createSession("support")
        let person = try TestDatabase.connection(database.address)
        let deadline = ContinuousClock.now + .seconds(60)
        _ = try person.run(script: "BEGIN; LOCK TABLE whatsapp_sessions.sessions IN EXCLUSIVE MODE", until: deadline)
        #expect(try manager.getSession("support") != nil)
        let error = #expect(throws: DatabaseError.self) { try manager.deleteSession("support") }
        #expect(error?.message.contains("process \(person.processNumber)") == true)
        _ = try person.run(script: "ROLLBACK", until: deadline)
        #expect(try manager.deleteSession("support"))
    }

    @Test func `an answer that doesn't come in time ends the call, and the next is made`() throws {
        let manager = try open(patience: .milliseconds(700))
        try manager.createSession("support")
        let person = try TestDatabase.connection(database.address)
        let deadline = ContinuousClock.now + .seconds(60)
        _ = try person.run(
            script: "BEGIN; LOCK TABLE whatsapp_sessions.sessions IN ACCESS EXCLUSIVE MODE",
            until: deadline
        )
        let error = #expect(throws: DatabaseError.self) { try manager.getSession("support") }
        #expect(error?.resultCode == .busy && error?.isOutcomeUnknown == false)
        #expect(error?.message == "the server didn't answer in time")
        _ = try person.run(script: "ROLLBACK", until: deadline)
        #expect(try manager.getSession("support") != nil)
    }

    @Test func `a change whose answer doesn't come in time may have been made, and its error says so`() throws {
        let manager = try open(patience: .milliseconds(700))
        try manager.createSession("support")
        try database.execute(
            """
            CREATE FUNCTION public.wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(3); RETURN NULL; END $$;
            CREATE TRIGGER wait AFTER UPDATE ON sessions EXECUTE FUNCTION public.wait()
            """
        )
        let error = #expect(throws: DatabaseError.self) {
            try manager.updateSession("support", SessionUpdates(name: .set("Ana")))
        }
        #expect(error?.isOutcomeUnknown == true)
        #expect(error?.description.hasSuffix("the change may have been made") == true)
    }

    @Test func `a server's own time limit for statements ends no call`() throws {
        let manager = try open()
        try manager.createSession("support")
        try database.execute("ALTER DATABASE \(database.name) SET statement_timeout = 1")
        try endConnections()
        // The library's own setting goes before that of the database.
        for number in 0..<20 { try manager.updateSession("support", SessionUpdates(name: .set("\(number)"))) }
    }

    @Test func `a statement that somebody cancels is run again`() async throws {
        let manager = try open()
        try await manager.createSession("support")
        let person = try TestDatabase.connection(database.address)
        let deadline = ContinuousClock.now + .seconds(60)
        _ = try person.run(script: "BEGIN; UPDATE whatsapp_sessions.sessions SET name = 'Ana'", until: deadline)
        async let updated = manager.updateSession("support", SessionUpdates(name: .set("Bea")))
        var cancelled = 0
        for _ in 0..<40 {
            let answer = try database.query(
                """
                SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
                WHERE datname = '\(database.name)' AND wait_event_type = 'Lock'
                """
            )
            if answer != "0" { cancelled += 1 }
            try await Task.sleep(for: .milliseconds(20))
        }
        _ = try person.run(script: "ROLLBACK", until: deadline)
        #expect(try await updated.name == "Bea")
        #expect(cancelled > 1)
    }

    @Test func `a process that a lost connection left behind is ended before its change is sent again`() throws {
        let manager = try open()
        try manager.createSession("support")
        var line = PostgresLine(to: try PostgresAddress(database.address), writes: true) { _ in }
        // Kept, so that the server doesn't notice by itself.
        var first: PostgresConnection?
        let number = try line.ask(until: .now + .seconds(30), isOutcomeUnknown: false) { connection in
            guard let lost = first else {
                first = connection
                throw PostgresConnectionLost(state: nil, message: "the cable was pulled")
            }
            return try #require(lost.process?.number)
        }
        for _ in 0..<100 where try database.query("SELECT count(*) FROM pg_stat_activity WHERE pid = \(number)") != "0"
        {
            usleep(50_000)
        }
        #expect(try database.query("SELECT count(*) FROM pg_stat_activity WHERE pid = \(number)") == "0")
    }

    @Test func `once a connection has seen a newer primary, none reads from the old one`() throws {
        try open().close()
        let timeline = PostgresTimeline()
        var line = PostgresLine(to: try PostgresAddress(database.address), on: timeline) { _ in }
        try line.ask(until: .now + .seconds(30), isOutcomeUnknown: false) { _ in }
        var parts = try #require(try database.query("place()")).split(separator: "-").map(String.init)
        parts[1] = "FFFFFFFF"
        #expect(timeline.note(parts.joined(separator: "-")))
        let error = #expect(throws: DatabaseError.self) {
            try line.ask(until: .now + .milliseconds(500), isOutcomeUnknown: false) { _ in }
        }
        #expect(error?.resultCode == .busy)
        #expect(error?.message == "this server is an old primary: a standby was promoted since")
    }

    @Test func `who has no time left waits for no other connection, however many wait`() async throws {
        // It takes connections, and says nothing.
        let silent = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(silent) }
        var place = sockaddr_in()
        (place.sin_family, place.sin_addr.s_addr) = (sa_family_t(AF_INET), UInt32(0x7f00_0001).bigEndian)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let port = withUnsafeMutablePointer(to: &place) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                _ = (bind(silent, address, length), listen(silent, 100), getsockname(silent, address, &length))
            }
            return UInt16(bigEndian: pointer.pointee.sin_port)
        }
        var line = PostgresLine(to: try PostgresAddress("host=127.0.0.1 port=\(port) connect_timeout=2"), writes: true)
        { _ in }
        let start = ContinuousClock.now
        for number in 0..<100 {
            // As if all had been called at the same moment.
            #expect(throws: DatabaseError.self) {
                try line.ask(until: start + .milliseconds(500), isOutcomeUnknown: number == 0) { _ in }
            }
        }
        // One of them tried to connect.
        #expect(start.duration(to: .now) < .seconds(20))
    }

    @Test func `a change that was made is acknowledged although its lease is over by the time it is asked for again`()
        throws
    {
        let manager = try open()
        try manager.createSession("support")
        let lease = try manager.openLease(holder: "eu-1", lasting: .seconds(60))
        let sessions = PostgresSessions(try TestDatabase.connection(database.address), until: .now + .seconds(60))
        let claim = PostgresWrite(.claim(id: "support", under: lease))
        let update = PostgresWrite(
            .update(
                id: "support",
                SessionUpdates(name: .set("Ana")),
                connectedAt: nil,
                qrCodeReceivedAt: nil,
                under: lease,
                at: 0
            )
        )
        _ = try sessions.make([claim])[0].get()
        _ = try sessions.make([update])[0].get()
        try manager.closeLease(lease)
        for write in [claim, update] {
            write.noteSent()
            #expect(try sessions.make([write])[0].get().session?.name == "Ana")
        }
    }

    @Test func `a follower that is up to date when a new history begins waits, and goes on`() async throws {
        let store = SpyStore(try PostgresDatabase(database.address), in: database)
        let manager = SessionManager(store)
        try await manager.createSession("support")
        let cursor = try await manager.newestCursor()
        try database.execute("UPDATE histories SET place = 'elsewhere'; SELECT renew_history()")
        #expect(try await manager.newestCursor().history != cursor.history)
        async let next = manager.changes(after: cursor).first { _ in true }
        try await until { store.counts.looks > 5 }
        // At most one for each look, and not without a pause.
        #expect(store.counts.emptyChanges < 20)
        try await manager.createSession("sales")
        #expect(try await next?.sessionID == "sales")
    }

    @Test func `a change keeps its cursor when a new history begins`() throws {
        let manager = try open()
        let start = try manager.newestCursor()
        try manager.createSession("support")
        let before = try manager.getChanges(after: start)
        try database.execute("UPDATE histories SET place = 'elsewhere'; SELECT renew_history()")
        try manager.createSession("sales")
        let after = try manager.getChanges(after: start)
        #expect(after.first == before.first)
        #expect(after.count == 2 && after[1].cursor.history != after[0].cursor.history)
        #expect(try manager.getChanges(of: "support") == before)
        #expect(try manager.getChanges(after: after[0].cursor) == [after[1]])
    }

    @Test func `a closed manager says so`() throws {
        let manager = try open()
        try manager.close()
        try manager.close()
        let error = #expect(throws: DatabaseError.self) { try manager.getSession("support") }
        #expect(error?.resultCode == .misuse)
    }
}
#endif
