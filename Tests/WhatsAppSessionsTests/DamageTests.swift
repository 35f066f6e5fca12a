import Testing
import WhatsAppSessionsSQLite

@testable import WhatsAppSessions

/// What SQLite cannot do, and rows that no rule let in, are errors: never a crash, never a silently wrong answer.
@Suite(.eachSQLite) struct DamageTests {
    let manager = try! Engine.current.open()

    @Test(arguments: [
        ("status = 'gone'", "status"), ("status = NULL", "status"), ("status = x'636f'", "status"),
        ("id = NULL", "id"), ("id = CAST(x'ff' AS TEXT)", "id"), ("id = x'61'", "id"), ("id = 7", "id"),
        ("created_at = NULL", "created_at"), ("created_at = 'noon'", "created_at"), ("created_at = 0.5", "created_at"),
        ("connected_at = 'noon'", "connected_at"), ("phone_number = 447700900123", "phone_number"),
        ("name = CAST(x'e9' AS TEXT)", "name"), ("name = x''", "name"),
        ("status = 'qr_waiting', qr_code = CAST(x'c0' AS TEXT)", "qr_code"),
        ("status_changed_at = 'noon'", "status_changed_at"), ("qr_code_received_at = 0.5", "qr_code_received_at"),
        ("disconnect_text = CAST(x'c0' AS TEXT)", "disconnect_text"),
        ("disconnect_text = '', disconnect_code = 'x'", "disconnect_code"), ("qr_code_number = 'x'", "qr_code_number"),
        ("restriction = CAST(x'c0' AS TEXT)", "restriction"), ("wish = 'rest'", "wish"), ("wish = 7", "wish"),
    ])
    func `a damaged row names its column and itself, and does not hide its neighbours`(
        damage: String,
        column: String
    ) throws {
        try manager.createSession("before")
        try manager.createSession("damaged")
        try manager.createSession("after")
        try removeTheRules()
        try manager.execute("UPDATE sessions SET \(damage) WHERE id = 'damaged'")

        let snapshot = try manager.snapshot()
        #expect(snapshot.sessions.map(\.id) == ["before", "after"])
        #expect(try manager.getAllSessions() == snapshot.sessions)
        #expect(try manager.getSessions(status: .initializing) == snapshot.sessions)
        #expect(try manager.countSessions()[.initializing]! >= 2)
        let damage = try #require(snapshot.damages.first)
        #expect(snapshot.damages.count == 1 && damage.seq == 2)
        #expect(damage.sessionID == (column == "id" ? nil : "damaged"))
        #expect("\(damage)" == "malformed \(column) in the row with the \(column == "id" ? "seq 2" : "id damaged")")
        if column != "id" {
            let error = #expect(throws: DatabaseError.self) { try manager.getSession("damaged") }
            #expect(error?.message == "\(damage)")
            #expect(error?.resultCode == .corrupt)
        }
        #expect(try manager.getSession("before")?.id == "before")
        #expect(try manager.getSession("after")?.id == "after")
        try manager.execute("DELETE FROM sessions WHERE seq = 2")
        #expect(try manager.getAllSessions().map(\.id) == ["before", "after"])
    }

    @Test func `a manager whose table is gone throws, call by call`() throws {
        try manager.createSession("support")
        try manager.execute("ALTER TABLE sessions RENAME TO elsewhere")
        #expect(throws: DatabaseError.self) { try manager.createSession("other") }
        #expect(throws: DatabaseError.self) { try manager.getSession("support") }
        #expect(throws: DatabaseError.self) { try manager.getAllSessions() }
        #expect(throws: DatabaseError.self) { try manager.updateSession("support", SessionUpdates()) }
        #expect(throws: DatabaseError.self) { try manager.deleteSession("support") }
        let error = #expect(throws: DatabaseError.self) { try manager.sessionExists("support") }
        #expect(error?.description == "SQLite error 1: no such table: sessions - while executing `\(error?.sql ?? "")`")
        try manager.execute("ALTER TABLE elsewhere RENAME TO sessions")
        #expect(try manager.sessionExists("support"))
    }

    @Test func `a text over SQLite's limit is an error that does not repeat it, and changes nothing`() throws {
        let before = try manager.createSession("support")
        let long = String(repeating: "x", count: 1001)
        try manager.withConnection { _ = sqlite3_limit($0.handle, SQLITE_LIMIT_LENGTH, 1000) }
        var calls: [() throws -> Any] = [
            { try manager.createSession(long) },
            { try manager.deleteSession(long) },
            { try manager.updateSession(long, SessionUpdates()) },
            { try manager.updateSession("support", SessionUpdates(phoneNumber: .set(long))) },
            { try manager.updateSession("support", SessionUpdates(name: .set(long))) },
            { try manager.updateSession("support", SessionUpdates(status: .qrWaiting, qrCode: .set(long))) },
        ]
        // In a file reads have connections of their own, without this limit.
        if Engine.current == .memory {
            calls += [{ try manager.getSession(long) as Any }, { try manager.sessionExists(long) }]
        }
        for call in calls {
            let error = #expect(throws: DatabaseError.self) { _ = try call() }
            #expect(error?.resultCode == .tooBig)
            #expect(error?.message == "string or blob too big")
            #expect(error?.description.contains("xxx") == false)
            #expect(try manager.getAllSessions() == [before])
        }
    }

    @Test func `the checks of this package get the connection that writes`() throws {
        for manager in [try SessionManager(), try TemporaryFolder().open()] {
            #expect(try manager.withHandle { $0.map { sqlite3_db_readonly($0, "main") } } == 0)
        }
    }

    @Test func `a database that cannot be opened is an error`() {
        let error = #expect(throws: DatabaseError.self) { _ = try Connection.shell("/nowhere/sessions.sqlite") }
        #expect(error?.resultCode == .cannotOpen)
        #expect(error?.description == "SQLite error 14: unable to open database file")
    }

    @Test func `a damaged row is named in its page, counts there, and holds up no other`() throws {
        for id in ["a", "b", "c", "d"] { try manager.createSession(id) }
        try removeTheRules()
        try manager.execute("UPDATE sessions SET name = 7 WHERE id = 'b'")
        let page = try manager.getSessions(status: nil, limit: 3)
        #expect(page.sessions.map(\.id) == ["a", "c"])
        #expect(page.damages.map(\.sessionID) == ["b"])
        #expect(try manager.getSessions(status: nil, after: #require(page.next), limit: 3).sessions.map(\.id) == ["d"])
    }

    @Test func `a statement that SQLite cannot read is an error that shows it`() throws {
        let connection = try Connection.openInMemory()
        let error = #expect(throws: DatabaseError.self) { _ = try connection.prepared("SELEC 1") }
        #expect(error?.description == #"SQLite error 1: near "SELEC": syntax error - while executing `SELEC 1`"#)
    }

    /// Gives the rows a table without constraints, as a damaged file could have it.
    private func removeTheRules() throws {
        try manager.execute(
            """
            CREATE TABLE copy AS SELECT * FROM sessions;
            DROP TABLE sessions;
            CREATE TABLE sessions (
                seq INTEGER PRIMARY KEY, id, status, phone_number, name, created_at, connected_at, qr_code,
                status_changed_at, qr_code_received_at, disconnect_code, disconnect_text, qr_code_number,
                restriction, lease, wish
            );
            INSERT INTO sessions SELECT * FROM copy;
            """
        )
    }
}
