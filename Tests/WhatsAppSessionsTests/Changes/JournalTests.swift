import Foundation
import Testing

@testable import WhatsAppSessions

/// What the journal keeps, and how it is read.
@Suite(.eachEngine) struct JournalTests {
    let manager = try! Engine.current.open()

    // MARK: What is in it

    @Test func `each real change is there once, in order, with what changed`() throws {
        let start = try manager.snapshot().cursor
        let before = Date()
        try manager.createSession("support")
        try manager.updateSession("support", SessionUpdates(status: .qrWaiting, qrCode: .set("2@one")))
        try manager.updateSession("support", SessionUpdates(qrCode: .set("2@two")))
        try manager.updateSession("support", SessionUpdates(status: .connected, phoneNumber: .set("1")))
        try manager.updateSession("support", SessionUpdates(name: .set("Ana")))
        let reason = DisconnectReason(code: 401, text: "logged out")
        try manager.updateSession("support", SessionUpdates(status: .disconnected, disconnectReason: .set(reason)))
        try manager.deleteSession("support")
        let changes = try manager.getChanges(after: start)
        #expect(
            changes.map(summary) == [
                "created nil > initializing []", "updated initializing > qr_waiting [status, qrCode]",
                "updated qr_waiting > qr_waiting [qrCode]",
                "updated qr_waiting > connected [status, phoneNumber, connectedAt, qrCode]",
                "updated connected > connected [name]",
                "updated connected > disconnected [status, disconnectReason] 401, logged out",
                "deleted disconnected > nil []",
            ]
        )
        for change in changes {
            #expect(change.sessionID == "support" && change.id == change.cursor)
            #expect(abs(change.date.timeIntervalSince(before)) < 60)
        }
        #expect(try changes.last?.cursor == manager.snapshot().cursor)
    }

    @Test func `what changes nothing, is refused or fails is no change`() throws {
        try manager.createSession("support")
        try manager.updateSession("support", SessionUpdates(status: .connected, name: .set("Ana")))
        let start = try manager.snapshot().cursor
        for updates in [SessionUpdates(), SessionUpdates(status: .connected), SessionUpdates(name: .set("Ana"))] {
            try manager.updateSession("support", updates)
        }
        #expect(throws: InvalidSessionUpdateError.self) {
            try manager.updateSession("support", SessionUpdates(status: .qrWaiting))
        }
        #expect(throws: SessionAlreadyExistsError.self) { try manager.createSession("support") }
        #expect(throws: SessionNotFoundError.self) { try manager.updateSession("sales", SessionUpdates()) }
        #expect(try !manager.deleteSession("sales"))
        #expect(try manager.getChanges(after: start) == [])
    }

    @Test func `it holds no QR code, number or name`() throws {
        try manager.createSession("support")
        try manager.updateSession(
            "support",
            SessionUpdates(
                status: .qrWaiting,
                phoneNumber: .set("447SECRET"),
                name: .set("SECRET"),
                qrCode: .set("2@SECRET")
            )
        )
        try manager.deleteSession("support")
        #expect(try manager.query("SELECT count(*) FROM session_changes") == "3")
        let secrets = """
            SELECT count(*) FROM session_changes
            WHERE coalesce(previous_status, '') || coalesce(status, '') || coalesce(disconnect_text, '') LIKE '%SECRET%'
            """
        #expect(try manager.query(secrets) == "0")
        let columns = try manager.query(
            Engine.current.isSQLite
                ? "SELECT group_concat(name) FROM pragma_table_info('session_changes')"
                : "SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'session_changes'::regclass AND attnum > 0"
        )
        let common = "number,session_id,previous_status,status,fields,disconnect_code,disconnect_text,changed_at"
        #expect(columns == (Engine.current.isSQLite ? common : common + ",request"))
    }

    @Test func `a reason comes with a change of the status or of the reason, and with no other`() throws {
        let reason = DisconnectReason(text: "lost")
        try manager.createSession("support")
        let start = try manager.snapshot().cursor
        try manager.updateSession("support", SessionUpdates(disconnectReason: .set(reason)))
        try manager.updateSession("support", SessionUpdates(status: .qrWaiting))
        try manager.updateSession("support", SessionUpdates(qrCode: .set("2@code")))
        try manager.updateSession("support", SessionUpdates(status: .connected))
        #expect(try manager.getChanges(after: start).map(\.disconnectReason) == [reason, reason, nil, nil])
    }

    @Test func `an edit by someone using the shell is in it`() throws {
        try manager.createSession("support")
        let start = try manager.snapshot().cursor
        try manager.execute(
            """
            UPDATE sessions SET status = 'disconnected' WHERE id = 'support';
            INSERT INTO sessions (id, created_at) VALUES ('sales', 0);
            DELETE FROM sessions
            """
        )
        #expect(
            try manager.getChanges(after: start).map(summary) == [
                "updated initializing > disconnected [status]", "created nil > initializing []",
                "deleted disconnected > nil []", "deleted initializing > nil []",
            ]
        )
    }

    @Test(.onlySQLite) func `the last 100,000 changes are kept, and a little more than that is never there`() throws {
        try manager.createSession("support")
        let start = try manager.snapshot().cursor
        try manager.execute(
            """
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100250)
            INSERT INTO sessions (id, created_at) SELECT n, 0 FROM numbers
            """
        )
        let count = try #require(try manager.query("SELECT count(*) FROM session_changes").flatMap(Int.init))
        #expect((100_000...100_100).contains(count))
        #expect(throws: ChangeCursorExpiredError(cursor: start)) { try manager.getChanges(after: start) }
        let oldest = ChangeCursor(history: start.history, number: 251)
        #expect(try manager.getChanges(after: oldest, limit: 200_000).count == 100_000)
    }

    @Test(
        .onlySQLite,
        arguments: [
            ("DELETE FROM session_changes", "change_deleted"),
            ("UPDATE session_changes SET status = 'x'", "change_edited"),
            (
                "INSERT INTO session_changes (number, session_id, fields, changed_at) VALUES (9, '', 0, 0)",
                "change_numbered"
            ),
            (
                "REPLACE INTO session_changes (number, session_id, fields, changed_at) VALUES (1, '', 0, 0)",
                "change_numbered"
            ),
            (
                "REPLACE INTO session_changes (number, session_id, status, fields, changed_at) VALUES (-1, '', 'connected', 0, 0)",
                "change_numbered"
            ),
            ("INSERT INTO session_changes (session_id, fields, changed_at) VALUES ('', 0, 0)", "change_without_status"),
            ("DELETE FROM journal", "journal_deleted"), ("UPDATE journal SET history = -1", "history_negative"),
            ("REPLACE INTO sessions (id, created_at) VALUES ('support', 0)", "already_exists"),
            ("UPDATE OR REPLACE sessions SET id = 'sales' WHERE id = 'support'", "identity_changed"),
        ]
    )
    func `someone using the shell cannot rewrite it, or get past it`(sql: String, code: String) throws {
        try manager.createSession("support")
        try manager.createSession("sales")
        let (start, before) = (
            ChangeCursor(history: try manager.snapshot().cursor.history, number: 0), try manager.getAllSessions()
        )
        let changes = try manager.getChanges(after: start)
        let error = try #require(throws: DatabaseError.self) { try manager.execute(sql) }
        #expect(error.brokenRule?.code == code)
        #expect(try manager.getChanges(after: start) == changes)
        #expect(try manager.getAllSessions() == before)
    }

    @Test(arguments: ["", "a\0b", String(repeating: "x", count: 1 << 20), "é\u{301}☕"])
    func `a reason is kept byte for byte`(text: String) throws {
        let reason = DisconnectReason(code: .min, text: text)
        try manager.createSession("support")
        let session = try manager.updateSession("support", SessionUpdates(disconnectReason: .set(reason)))
        for kept in [
            session, try manager.getSession("support"),
        ].map({ $0?.disconnectReason }) + [try manager.getChanges(after: first()).last?.disconnectReason] {
            #expect(kept?.code == .min)
            #expect(kept.map { Array($0.text.utf8) } == Array(text.utf8))
        }
    }

    // MARK: Reading it

    @Test func `a snapshot's cursor is the place after all that is in its sessions`() throws {
        #expect(try manager.snapshot().sessions == [])
        let empty = try manager.snapshot().cursor
        try manager.createSession("b")
        try manager.createSession("a")
        let snapshot = try manager.snapshot()
        #expect(try snapshot.sessions == manager.getAllSessions())
        #expect(try manager.getChanges(after: snapshot.cursor) == [])
        #expect(try manager.getChanges(after: empty).last?.cursor == snapshot.cursor)
    }

    @Test func `pages follow one another without a gap`() throws {
        for number in 0..<25 { try manager.createSession("\(number)") }
        var (cursor, ids): (ChangeCursor, [String]) = (try first(), [])
        for size in [10, 10, 5, 0] {
            let page = try manager.getChanges(after: cursor, limit: 10)
            #expect(page.count == size)
            ids += page.map(\.sessionID)
            cursor = page.last?.cursor ?? cursor
        }
        #expect(ids == (0..<25).map(String.init))
        #expect(try manager.getChanges(after: first()).count == 25)
    }

    @Test func `a cursor of another history, of the future or too old is refused, with a way to go on`() throws {
        try manager.createSession("support")
        let newest = try manager.snapshot().cursor
        for cursor in [
            ChangeCursor(history: newest.history ^ 1, number: 1), ChangeCursor(history: newest.history ^ 1, number: 0),
            ChangeCursor(history: newest.history, number: 2), try SessionManager().snapshot().cursor,
            ChangeCursor(history: newest.history, number: .max),
        ] {
            let error = #expect(throws: ChangeCursorExpiredError.self) { try manager.getChanges(after: cursor) }
            #expect(error?.cursor == cursor)
            #expect(error?.description == "The changes after the cursor \(cursor) are not all in the journal")
            #expect(error?.localizedDescription == error?.description)
            #expect(error?.recoverySuggestion?.contains("snapshot") == true)
        }
    }

    @Test(arguments: [0, -1, .min])
    func `a limit below one is refused`(limit: Int) throws {
        let error = #expect(throws: DatabaseError.self) { try manager.getChanges(after: first(), limit: limit) }
        #expect(error?.resultCode == .misuse)
        #expect(error?.message == "the limit is \(limit): ask for at least one")
        #expect(throws: DatabaseError.self) { try manager.getChanges(of: "support", limit: limit) }
        #expect(throws: DatabaseError.self) { try manager.getSessions(status: nil, limit: limit) }
    }

    @Test func `the newest cursor is that of a snapshot`() throws {
        for id in ["a", "b"] {
            try manager.createSession(id)
            #expect(try manager.newestCursor() == manager.snapshot().cursor)
        }
    }

    // MARK: The history of a session

    @Test func `a session's last changes come the newest first, and no other's, also once it is deleted`() throws {
        try manager.createSession("support")
        // To Swift these two are one text.
        for id in ["caf\u{e9}", "cafe\u{301}"] { try manager.createSession(id) }
        for name in ["one", "two", "three"] {
            try manager.updateSession("caf\u{e9}", SessionUpdates(name: .set(name)))
            try manager.updateSession("support", SessionUpdates(name: .set(name)))
        }
        let all = try manager.getChanges(of: "caf\u{e9}")
        #expect(all.map(\.kind) == [.updated, .updated, .updated, .created])
        #expect(all.map(\.cursor.number) == [8, 6, 4, 2])
        #expect(try Set(all.map(\.cursor.history)) == [first().history])
        #expect(try manager.getChanges(of: "caf\u{e9}", limit: 2) == Array(all.prefix(2)))
        #expect(try manager.getChanges(of: "cafe\u{301}").map(\.kind) == [.created])
        try manager.deleteSession("caf\u{e9}")
        #expect(try manager.getChanges(of: "caf\u{e9}", limit: 1).map(\.kind) == [.deleted])
        #expect(try manager.getChanges(of: "nobody") == [])
    }

    @Test(
        .onlySQLite,
        arguments: [
            ("status = 'gone'", "status"), ("status = NULL, previous_status = NULL", "status"),
            ("previous_status = 1", "previous_status"), ("session_id = x'00'", "session_id"),
            ("fields = 'x'", "fields"),
            ("changed_at = NULL", "changed_at"), ("disconnect_text = x'00'", "disconnect_text"),
        ]
    )
    func `a damaged change names itself, and does not stop the sessions`(damage: String, column: String) throws {
        try manager.createSession("support")
        try manager.createSession("sales")
        let second = try #require(try manager.getChanges(after: first(), limit: 2).last)
        try manager.execute(
            """
            CREATE TABLE copy AS SELECT * FROM session_changes;
            DROP TABLE session_changes;
            CREATE TABLE session_changes (
                number INTEGER PRIMARY KEY, session_id, previous_status, status, fields, disconnect_code,
                disconnect_text, changed_at
            );
            INSERT INTO session_changes SELECT * FROM copy;
            UPDATE session_changes SET \(damage) WHERE number = 1
            """
        )
        let error = #expect(throws: ChangeCursorExpiredError.self) { try manager.getChanges(after: first()) }
        #expect(error?.damage == "malformed \(column) in the change with the number 1")
        #expect(error?.description.hasSuffix("are not all in the journal: \(error?.damage ?? "-")") == true)
        #expect(try manager.getSession("support") != nil)
        #expect(try manager.snapshot().sessions.count == 2)
        // In a file the history is another one since the table was rebuilt.
        let rest = try manager.getChanges(after: ChangeCursor(history: first().history, number: 1))
        #expect(rest.map(\.sessionID) == [second.sessionID])
        // In the history of a session it is left out.
        #expect(try manager.getChanges(of: "support") == [])
        #expect(try manager.getChanges(of: "sales").map(\.kind) == [.created])
    }

    @Test(.onlySQLite) func `a page ends before a damaged change`() throws {
        for number in 0..<4 { try manager.createSession("\(number)") }
        try manager.execute(
            """
            PRAGMA ignore_check_constraints = ON;
            DROP TRIGGER session_changes_are_not_edited;
            UPDATE session_changes SET status = 'gone' WHERE number = 3
            """
        )
        let start = try first()
        let page = try manager.getChanges(after: start)
        #expect(page.map(\.sessionID) == ["0", "1"])
        let error = #expect(throws: ChangeCursorExpiredError.self) { try manager.getChanges(after: page[1].cursor) }
        #expect(error?.damage == "malformed status in the change with the number 3")
        #expect(
            try manager.getChanges(after: ChangeCursor(history: start.history, number: 3)).map(\.sessionID) == ["3"]
        )
    }

    @Test(.onlySQLite) func `a change that is missing ends a page with an error, never with a jump`() throws {
        for number in 0..<3 { try manager.createSession("\(number)") }
        try manager.execute("DROP TRIGGER session_changes_are_kept; DELETE FROM session_changes WHERE number = 2")
        let start = try first()
        #expect(throws: ChangeCursorExpiredError.self) { try manager.getChanges(after: start) }
    }

    @Test(.onlySQLite) func `a database without a history says so`() throws {
        try manager.execute("DROP TRIGGER journal_is_kept; DELETE FROM journal")
        let calls: [() throws -> Any] = [
            { try manager.snapshot() }, { try manager.cursor(with: "support") },
            { try manager.getChanges(after: ChangeCursor(history: 1, number: 0)) },
        ]
        for call in calls {
            let error = #expect(throws: DatabaseError.self) { _ = try call() }
            #expect(error?.message == "the table journal is empty: restore a backup")
        }
        #expect(try manager.getAllSessions() == [])
    }

    // MARK: Asking

    @Test func `sessions are found by their status, in order of creation`() throws {
        for (number, status) in [.disconnected, .qrWaiting, .disconnected, .connected].enumerated()
            as EnumeratedSequence<[Session.Status]>
        {
            try manager.createSession("\(9 - number)")
            try manager.updateSession("\(9 - number)", SessionUpdates(status: status))
        }
        #expect(try manager.getSessions(status: .disconnected).map(\.id) == ["9", "7"])
        #expect(try manager.getSessions(status: .initializing) == [])
        for status in Session.Status.allCases {
            #expect(
                try manager.getSessions(status: status) == manager.getAllSessions().filter { $0.status == status }
            )
        }
    }

    @Test(.onlySQLite) func `the counts have every status, also those with none`() throws {
        #expect(try manager.countSessions() == [.initializing: 0, .qrWaiting: 0, .connected: 0, .disconnected: 0])
        for _ in 0..<3 { try manager.createSession() }
        try manager.updateSession(manager.createSession().id, SessionUpdates(status: .connected))
        #expect(try manager.countSessions() == [.initializing: 3, .qrWaiting: 0, .connected: 1, .disconnected: 0])
        try manager.execute("PRAGMA ignore_check_constraints = ON; UPDATE sessions SET status = 'gone' WHERE seq = 1")
        #expect(try manager.countSessions() == [.initializing: 2, .qrWaiting: 0, .connected: 1, .disconnected: 0])
    }

    private func first() throws -> ChangeCursor {
        ChangeCursor(history: try manager.snapshot().cursor.history, number: 0)
    }

    private func summary(_ change: SessionChange) -> String {
        let statuses = [change.previousStatus, change.status].map { $0?.rawValue ?? "nil" }.joined(separator: " > ")
        return "\(change.kind) \(statuses) \(change.fields)" + (change.disconnectReason.map { " \($0)" } ?? "")
    }
}

extension SessionManager {
    fileprivate func cursor(with id: String) throws -> ChangeCursor {
        try store.read(.sessionAndPlace(id: id)).place!
    }
}
