import Testing
import WhatsAppSessionsSQLite

@testable import WhatsAppSessions

/// The rules hold for anyone using the `sqlite3` shell too, because the schema has them.
@Suite struct SchemaTests {
    let manager = try! SessionManager()

    init() throws {
        try manager.execute(
            """
            INSERT INTO sessions (id, status, created_at, connected_at, qr_code) VALUES
                ('new', 'initializing', 0, NULL, NULL),
                ('waiting', 'qr_waiting', 0, NULL, '2@code'),
                ('online', 'connected', 0, 1, NULL),
                ('offline', 'disconnected', 0, 1, NULL)
            """
        )
    }

    @Test(arguments: [
        ("UPDATE sessions SET status = 'qr_waiting' WHERE id = 'online'", "connected never becomes qr_waiting"),
        ("UPDATE sessions SET status = 'online' WHERE id = 'new'", "status is initializing, qr_waiting, connected or"),
        (
            "UPDATE sessions SET status = 'CONNECTED' WHERE id = 'online'",
            "status is initializing, qr_waiting, connected or"
        ),
        ("UPDATE sessions SET status = 'connected' WHERE id = 'new'", "a connected session has a connection time"),
        ("UPDATE sessions SET connected_at = NULL WHERE id = 'online'", "a connected session has a connection time"),
        ("UPDATE sessions SET status = 'disconnected' WHERE id = 'waiting'", "a QR code is kept only while"),
        ("UPDATE sessions SET qr_code = '' WHERE id = 'offline'", "a QR code is kept only while"),
        (
            "UPDATE sessions SET disconnect_text = '' WHERE id = 'online'",
            "a connected session has no disconnect reason: clear it, or set another status"
        ),
        ("UPDATE sessions SET disconnect_code = 1 WHERE id = 'new'", "a disconnect code comes with a text"),
        ("UPDATE sessions SET status = NULL WHERE id = 'new'", "NOT NULL constraint failed: sessions.status"),
        ("UPDATE sessions SET connected_at = 'noon' WHERE id = 'new'", "cannot store TEXT value in INTEGER column"),
        ("UPDATE sessions SET name = x'00' WHERE id = 'new'", "cannot store BLOB value in TEXT column"),
        ("UPDATE sessions SET id = 'other' WHERE id = 'new'", "seq, id and created_at never change"),
        ("UPDATE sessions SET created_at = 1 WHERE id = 'new'", "seq, id and created_at never change"),
        ("UPDATE sessions SET seq = 9 WHERE id = 'new'", "seq, id and created_at never change"),
        ("UPDATE sessions SET rowid = 9 WHERE id = 'new'", "seq, id and created_at never change"),
        ("INSERT INTO sessions (seq, id, created_at) VALUES (-1, 'x', 0)", "SQLite chooses seq: leave it out"),
        (
            "INSERT INTO sessions (seq, id, created_at) VALUES (9223372036854775807, 'x', 0)",
            "SQLite chooses seq: leave it out"
        ),
        ("REPLACE INTO sessions (id, created_at) VALUES ('online', 0)", "a session with this id already exists"),
        ("REPLACE INTO sessions (seq, id, created_at) VALUES (3, 'x', 0)", "a session with this id already exists"),
        (
            "INSERT INTO sessions (id, created_at) VALUES ('new', 0) ON CONFLICT (id) DO UPDATE SET status = 'gone'",
            "a session with this id already exists"
        ),
        (
            "INSERT INTO sessions (id, created_at) VALUES ('new', 0)",
            "already_exists: a session with this id already exists"
        ),
        ("INSERT INTO sessions (created_at) VALUES (0)", "NOT NULL constraint failed: sessions.id"),
        ("INSERT INTO sessions (id) VALUES ('x')", "NOT NULL constraint failed: sessions.created_at"),
        ("INSERT INTO sessions (id, created_at, status) VALUES ('x', 0, 'gone')", "status is initializing, qr_waiting"),
        ("INSERT INTO sessions (id, created_at, status) VALUES ('x', 0, 'connected')", "a connected session has"),
        ("INSERT INTO sessions (id, created_at, qr_code) VALUES ('x', 0, '2@')", "a QR code is kept only while"),
    ])
    func `what would break a rule is refused with a sentence and changes nothing`(sql: String, sentence: String) throws
    {
        let before = try manager.getAllSessions()
        let error = #expect(throws: DatabaseError.self) { try manager.execute(sql) }
        #expect(error?.message.contains(sentence) == true, "\(error?.message ?? "")")
        #expect(try .constraint ~= #require(error).resultCode)
        #expect(try manager.getAllSessions() == before)
    }

    @Test func `what breaks no rule is done and seen by the next call`() throws {
        try manager.execute("UPDATE sessions SET status = 'disconnected', qr_code = NULL WHERE id = 'waiting'")
        try manager.execute("DELETE FROM sessions WHERE id = 'new'")
        #expect(try manager.getSession("waiting")?.status == .disconnected)
        #expect(try manager.getAllSessions().map(\.id) == ["waiting", "online", "offline"])
    }

    @Test func `each reason that the library names has the code and the sentence of a rule`() throws {
        func expect(_ id: String, _ updates: SessionUpdates, _ expected: InvalidSessionUpdateError.Reason) throws {
            let error = try #require(throws: InvalidSessionUpdateError.self) { try manager.updateSession(id, updates) }
            #expect(error.reason == expected)
            #expect(error.reason.code == expected.code)
            #expect(error.reason.description == expected.description)
        }
        try expect("online", SessionUpdates(status: .qrWaiting), .connectedToQRWaiting)
        try expect("new", SessionUpdates(qrCode: .set("")), .qrCodeOutsideQRWaiting)
        try expect("online", SessionUpdates(connectedAt: .clear), .connectedWithoutConnectedAt)
        try expect(
            "online",
            SessionUpdates(disconnectReason: .set(DisconnectReason(text: ""))),
            .disconnectReasonWhileConnected
        )
    }

    @Test func `two reasons are equal by their code, whatever their sentence`() {
        let reworded = InvalidSessionUpdateError.Reason(
            code: "connected_to_qr_waiting",
            description: "another sentence"
        )
        #expect(reworded == .connectedToQRWaiting)
        #expect(reworded.hashValue == InvalidSessionUpdateError.Reason.connectedToQRWaiting.hashValue)
        let recoded = InvalidSessionUpdateError.Reason(code: "x", description: reworded.description)
        #expect(recoded != reworded)
    }

    @Test func `a rule that a host adds is a reason with a code of its own, and any other trigger an SQLite error`()
        throws
    {
        try manager.execute(
            "CREATE TRIGGER own BEFORE UPDATE OF name ON sessions BEGIN SELECT RAISE(ABORT, 'no_names: none here'); END"
        )
        let error = #expect(throws: InvalidSessionUpdateError.self) {
            try manager.updateSession("new", SessionUpdates(name: .set("Ana")))
        }
        #expect(error?.reason.code == "no_names")
        #expect(error?.description == "Session new cannot be updated: none here")
        try manager.execute(
            "DROP TRIGGER own; CREATE TRIGGER own BEFORE UPDATE ON sessions BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        let other = #expect(throws: DatabaseError.self) { try manager.updateSession("new", SessionUpdates()) }
        #expect(other?.message == "no")
    }

    @Test func `of the library's own statements none scans but those that need every row, and none sorts`() throws {
        _ = try (manager.getSession("new"), manager.sessionExists("new"), manager.getAllSessions())
        _ = try (manager.getSessions(status: .connected), manager.countSessions())
        let cursor = try manager.snapshot().cursor
        _ = try manager.getChanges(after: cursor)
        _ = try manager.store.read(.sessionAndPlace(id: "new"))
        try manager.updateSession("new", SessionUpdates(name: .set("Ana")))
        try manager.createSession("another")
        try manager.deleteSession("another")
        try manager.recoverSessions()
        let lease = try manager.openLease(holder: "eu-1", lasting: .seconds(60))
        try manager.renewLease(lease, lasting: .seconds(60))
        try manager.claimSession("new", under: lease)
        try manager.updateSession("new", SessionUpdates(name: .set("Zoë")), under: lease)
        try manager.releaseSession("new", under: lease)
        _ = try manager.claimSessions(limit: 1, under: lease)
        try manager.closeLease(lease)
        try manager.recoverLeasedSessions()
        let plans = try manager.withConnection { connection in
            var plans: [String: String] = [:]
            var statement = sqlite3_next_stmt(connection.handle, nil)
            while let some = statement {
                let sql = String(cString: sqlite3_sql(some))
                statement = sqlite3_next_stmt(connection.handle, some)
                guard sql.contains("session"), sql.hasPrefix("SELECT") || sql.contains("WHERE") else { continue }
                plans[sql] = try connection.rows(of: "EXPLAIN QUERY PLAN " + sql) { try $0.text(3) }.joined(
                    separator: "\n"
                )
            }
            return plans
        }
        #expect(plans.count == 17)
        for (sql, plan) in plans {
            #expect(!plan.contains("TEMP B-TREE"), "\(sql)")
            // A list goes from one `seq` on; only counting, recovering and claiming many look at every row.
            let isScan =
                sql.contains("FILTER") || sql.contains("NOT IN (SELECT number FROM leases)") && sql.contains("ORDER BY")
            let steps = plan.split(separator: "\n").filter {
                !$0.contains("SCALAR SUBQUERY") && !$0.contains("FOR IN-OPERATOR")
            }
            // The newest change is found at the end of its table.
            let searches = steps.filter {
                $0.hasPrefix("SEARCH") && ($0.contains("?)") || $0 == "SEARCH session_changes")
            }
            #expect(steps.count - searches.count == (isScan ? 1 : 0), "\(sql): \(plan)")
        }
    }
}
