#if Postgres
import Foundation
import Testing

@testable import WhatsAppSessions

/// The rules hold for someone with `psql` as they do for someone with the `sqlite3` shell.
@Suite struct PsqlTests {
    let database: TestDatabase
    let manager: SessionManager

    init() throws {
        database = try TestDatabase()
        manager = try SessionManager(storage: .postgres(database.address))
    }

    /// The rule that a statement broke.
    private func rule(_ error: DatabaseError?) -> String? {
        error.flatMap { error in
            error.sqlState == nil ? error.brokenRule.map { "\($0.code): \($0.sentence)" } : error.message
        }
    }

    @Test(arguments: [
        "UPDATE sessions SET status = 'gone'", "UPDATE sessions SET status = 'connected'",
        "UPDATE sessions SET qr_code = 'S3CRET'", "UPDATE sessions SET disconnect_code = 1",
        "UPDATE sessions SET status = 'connected', connected_at = 1, disconnect_text = 'x'",
        "UPDATE sessions SET status = 'qr_waiting' WHERE id = 'online'",
        "UPDATE sessions SET status = 'qr_waiting', qr_code = 'S3CRET' WHERE id = 'online'",
        "UPDATE sessions SET wish = 'rest'", "UPDATE sessions SET id = 'other' WHERE id = 'online'",
        "UPDATE sessions SET seq = 9 WHERE id = 'online'", "UPDATE sessions SET created_at = 1",
        "INSERT INTO sessions (id, created_at) VALUES ('online', 1)",
        "UPDATE session_changes SET status = 'x'", "DELETE FROM session_changes",
        "INSERT INTO leases (holder, ends_at) VALUES ('', 0)", "UPDATE leases SET number = number + 1",
        "UPDATE leases SET holder = 'eu-2'",
    ])
    func `each rule has the code and the sentence of SQLite's, and shows no row`(sql: String) throws {
        let memory = try SessionManager()
        for manager in [memory, manager] {
            try manager.createSession("support")
            try manager.createSession("online")
            try manager.updateSession("online", SessionUpdates(status: .connected))
            _ = try manager.openLease(holder: "eu-1", lasting: .seconds(60))
        }
        let before = try manager.snapshot()
        let expected = try #require(rule(#expect(throws: DatabaseError.self) { try memory.execute(sql) }))
        let error = #expect(throws: DatabaseError.self) { try database.execute(sql) }
        #expect(rule(error) == expected)
        #expect(error?.description.contains("S3CRET") == false)
        #expect(try manager.snapshot().cursor == before.cursor)
        #expect(try manager.getAllSessions() == before.sessions)
    }

    @Test(arguments: [
        ("INSERT INTO sessions (id) VALUES (NULL)", "identity_missing"),
        ("INSERT INTO sessions (id, status, qr_code) VALUES (NULL, 'qr_waiting', 'S3CRET')", "identity_missing"),
        (
            "INSERT INTO sessions (id, created_at, status, qr_code) VALUES ('new', NULL, 'qr_waiting', 'S3CRET')",
            "identity_missing"
        ),
        ("INSERT INTO sessions (id, status, qr_code) VALUES ('new', NULL, 'S3CRET')", "unknown_status"),
        ("INSERT INTO sessions (id, seq) VALUES ('new', -1)", "seq_not_positive"),
        ("TRUNCATE sessions", "truncated"),
        ("TRUNCATE session_changes", "change_deleted"), ("DELETE FROM histories", "history_deleted"),
        ("TRUNCATE histories", "history_deleted"),
        (
            "INSERT INTO session_changes (number, session_id, status, fields, changed_at) VALUES (9, '', '', 0, 0)",
            "change_inserted"
        ),
        ("BEGIN ISOLATION LEVEL REPEATABLE READ; DELETE FROM sessions; COMMIT", "isolation"),
    ])
    func `what PostgreSQL alone can do is refused too`(sql: String, code: String) throws {
        try manager.createSession("support")
        let before = try manager.snapshot()
        let error = #expect(throws: DatabaseError.self) { try database.execute(sql) }
        #expect(error?.message.hasPrefix("\(code): ") == true, "\(error?.message ?? "")")
        #expect(error?.description.contains("S3CRET") == false)
        #expect(try manager.snapshot().cursor == before.cursor)
    }

    @Test func `after a call of the library the rules hold for the rest of the transaction`() throws {
        let calls = [
            "create_sessions(1000, false, '{1}', '{new}')", "delete_sessions(1000, false, '{1}', '{none}')",
            "open_lease(1000, false, 1, 'eu-1', 1000, false)", "open_lease(1000, false, 1, 'eu-1', 1000, true)",
            "renew_leases(1000, '{1}', '{eu-1}', '{1000}')", "close_lease(1000, 1, 'eu-1')",
            "keep_cursor(1000, 1, 'eu-1', 1, 1)", "recover_sessions(1000, false, 1, false)",
            "recover_sessions(1000, false, 1, true)", "claim_unserved(1000, false, 1, 1, 'eu-1', 1)",
            "claim_sessions(1000, false, '{1}', '{support}', '{1}', '{eu-1}', '{false}')",
        ]
        try manager.createSession("support")
        for call in calls {
            let error = #expect(throws: DatabaseError.self) {
                try database.execute("BEGIN; SELECT * FROM \(call); UPDATE sessions SET status = 'gone'; COMMIT")
            }
            #expect(error?.message.hasPrefix("unknown_status: ") == true, "\(call)")
        }
    }

    @Test func `an edit by hand that changes nothing is no change`() throws {
        try manager.createSession("support")
        let before = try manager.newestCursor()
        try database.execute("UPDATE sessions SET name = name, status = status")
        #expect(try manager.newestCursor() == before)
    }

    @Test func `an edit by hand is journaled and timed, and its codes are numbered`() throws {
        try manager.createSession("support")
        let cursor = try manager.newestCursor()
        try database.execute(
            """
            UPDATE sessions SET status = 'qr_waiting', qr_code = '2@1'; UPDATE sessions SET qr_code = '2@2';
            UPDATE sessions SET name = 'Ana'; UPDATE sessions SET name = 'Ana';
            UPDATE sessions SET status = 'connected', connected_at = 7, qr_code = NULL
            """
        )
        let changes = try manager.getChanges(after: cursor)
        #expect(
            changes.map(\.fields) == [[.status, .qrCode], [.qrCode], [.name], [.status, .connectedAt, .qrCode]]
        )
        let session = try #require(try manager.getSession("support"))
        #expect(session.qrCodeReceivedAt == nil && session.connectedAt == Date(milliseconds: 7))
        #expect(abs(session.statusChangedAt.timeIntervalSinceNow) < 60)
        try database.execute("INSERT INTO sessions (id, status, qr_code) VALUES ('new', 'qr_waiting', '2@1')")
        let first = try #require(try manager.getSession("new"))
        #expect(first.qrCodeExpiresAt == first.qrCodeReceivedAt?.addingTimeInterval(60))
        try database.execute("UPDATE sessions SET qr_code = '2@2' WHERE id = 'new'")
        let second = try #require(try manager.getSession("new"))
        #expect(second.qrCodeExpiresAt == second.qrCodeReceivedAt?.addingTimeInterval(20))
        try database.execute("DELETE FROM sessions WHERE id = 'new'")
        #expect(try manager.getChanges(of: "new").map(\.kind) == [.deleted, .updated, .created])
    }

    @Test
    func `an edit after a call of the library, in the same transaction, follows the rules and isn't that call's`()
        throws
    {
        try manager.createSession("support")
        let call = "SELECT create_sessions(1000, false, ARRAY[77::bigint], ARRAY['new'])"
        let error = #expect(throws: DatabaseError.self) {
            try database.execute("BEGIN; \(call); UPDATE sessions SET status = 'gone'; COMMIT")
        }
        #expect(error?.message.hasPrefix("unknown_status: ") == true)
        try database.execute("BEGIN; \(call); UPDATE sessions SET name = 'Ana' WHERE id = 'support'; COMMIT")
        let requests =
            "SELECT string_agg(coalesce(request::text, 'none'), ',' ORDER BY number) FROM session_changes WHERE number > 1"
        #expect(try database.query(requests) == "77,none")
    }

    @Test func `what an operator looks at is the same in both engines`() throws {
        let memory = try SessionManager()
        for manager in [memory, manager] {
            for id in ["new", "waiting", "online", "banned", "long ago"] { try manager.createSession(id) }
            try manager.updateSession("waiting", SessionUpdates(status: .qrWaiting, qrCode: .set("S3CRET")))
            let online = SessionUpdates(
                status: .connected,
                phoneNumber: .set("447700900123"),
                name: .set("Ana"),
                connectedAt: .set(Date(milliseconds: 1_700_000_000_999)),
                restriction: .set("new chats"),
                wish: .set(.stop)
            )
            try manager.updateSession("online", online)
            try manager.claimSession("online", under: manager.openLease(holder: "eu-1", lasting: .seconds(60)))
            let reason = DisconnectReason(code: 402, text: "temporarily banned")
            try manager.updateSession(
                "banned",
                SessionUpdates(status: .disconnected, disconnectReason: .set(reason))
            )
            try manager.updateSession(
                "long ago",
                SessionUpdates(connectedAt: .set(Date(milliseconds: .max - 1023)))
            )
        }
        for column in [
            "id", "status", "status_age", "phone_number", "name", "created_utc", "connected_utc", "age",
            "has_qr_code",
            "qr_code_seconds", "disconnect_reason", "holder", "restriction", "wish",
        ] {
            for id in ["new", "waiting", "online", "banned", "long ago"] {
                let sql =
                    "SELECT coalesce(CAST(\(column) AS TEXT), 'NULL') FROM session_overview WHERE id = '\(id)'"
                let (one, other) = (try memory.query(sql), try database.query(sql))
                // The two were made a moment apart.
                switch column {
                case "created_utc": #expect(one?.prefix(14) == other?.prefix(14))
                case "qr_code_seconds": #expect((one == "NULL") == (other == "NULL"))
                default: #expect(one == other, "\(column) of \(id)")
                }
            }
        }
        for column in ["number", "session_id", "kind", "previous_status", "status", "fields", "disconnect_reason"] {
            for number in 1...9 {
                let sql =
                    "SELECT coalesce(CAST(\(column) AS TEXT), 'NULL') FROM session_history WHERE number = \(number)"
                #expect(try memory.query(sql) == database.query(sql), "\(column) of \(number)")
            }
        }
        let time = try #require(try database.query("SELECT changed_utc FROM session_history WHERE number = 1"))
        #expect(time.wholeMatch(of: /20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}/) != nil)
    }

    @Test func `the journal keeps 100,000 changes, and those of the last ten minutes`() throws {
        try manager.createSession("support")
        let start = try manager.newestCursor()
        let many = "INSERT INTO sessions (id) SELECT gen_random_uuid()::text FROM generate_series(1, 100100)"
        try database.execute(many)
        #expect(try database.query("SELECT count(*) FROM session_changes") == "100101")
        let later = Int64(Date(timeIntervalSinceNow: 700).timeIntervalSince1970 * 1000)
        try database.setClock(later)
        try database.execute("DELETE FROM sessions WHERE seq % 50 = 0")
        let count = try #require(try database.query("SELECT count(*) FROM session_changes").flatMap(Int.init))
        #expect((100_000..<101_100).contains(count))
        #expect(throws: ChangeCursorExpiredError.self) { try manager.getChanges(after: start) }
    }
}
#endif
