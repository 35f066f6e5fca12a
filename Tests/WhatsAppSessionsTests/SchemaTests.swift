import Testing

@testable import WhatsAppSessions

/// The rules hold for a hand with the `sqlite3` shell too, since the schema has them.
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
        ("UPDATE sessions SET status = NULL WHERE id = 'new'", "NOT NULL constraint failed: sessions.status"),
        ("UPDATE sessions SET connected_at = 'noon' WHERE id = 'new'", "cannot store TEXT value in INTEGER column"),
        ("UPDATE sessions SET name = x'00' WHERE id = 'new'", "cannot store BLOB value in TEXT column"),
        ("UPDATE sessions SET id = 'other' WHERE id = 'new'", "seq, id and created_at are kept for life"),
        ("UPDATE sessions SET created_at = 1 WHERE id = 'new'", "seq, id and created_at are kept for life"),
        ("UPDATE sessions SET seq = 9 WHERE id = 'new'", "seq, id and created_at are kept for life"),
        ("INSERT INTO sessions (id, created_at) VALUES ('new', 0)", "UNIQUE constraint failed: sessions.id"),
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
        #expect(error?.resultCode == 19)
        #expect(try manager.getAllSessions() == before)
    }

    @Test func `what breaks no rule is done and seen by the next call`() throws {
        try manager.execute("UPDATE sessions SET status = 'disconnected', qr_code = NULL WHERE id = 'waiting'")
        try manager.execute("DELETE FROM sessions WHERE id = 'new'")
        #expect(try manager.getSession("waiting")?.status == .disconnected)
        #expect(try manager.getAllSessions().map(\.id) == ["waiting", "online", "offline"])
    }

    @Test func `each reason that the library names is a rule's own sentence`() throws {
        func reason(_ id: String, _ updates: SessionUpdates) throws -> InvalidSessionUpdateError.Reason {
            try #require(throws: InvalidSessionUpdateError.self) { try manager.updateSession(id, updates) }.reason
        }
        #expect(try reason("online", SessionUpdates(status: .qrWaiting)) == .connectedToQRWaiting)
        #expect(try reason("new", SessionUpdates(qrCode: .set(""))) == .qrCodeOutsideQRWaiting)
        #expect(try reason("online", SessionUpdates(connectedAt: .clear)) == .connectedWithoutConnectedAt)
    }

    @Test func `the id is looked up through its index, and no statement scans or sorts`() throws {
        for sql in ["SELECT 1 FROM sessions WHERE id = ''", "DELETE FROM sessions WHERE id = ''"] {
            #expect(try plan(sql).contains("USING") && plan(sql).contains("INDEX sqlite_autoindex_sessions_1 (id=?)"))
        }
        #expect(try plan("SELECT * FROM sessions ORDER BY seq") == "SCAN sessions")
    }

    private func plan(_ sql: String) throws -> String {
        try manager.table.withLock { table in
            var lines: [String] = []
            try table.connection.prepare("EXPLAIN QUERY PLAN " + sql).run { row in
                while try row.step() { lines.append(try row.text(3)) }
            }
            return lines.joined(separator: "\n")
        }
    }
}
