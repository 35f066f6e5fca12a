import Foundation
import Testing
import WhatsAppSessionsSQLite

@testable import WhatsAppSessions

/// Sessions in a file: kept, shared, durable.
@Suite struct FileTests {
    let folder = TemporaryFolder()

    @Test func `sessions survive their manager`() throws {
        var sessions: [Session] = []
        do {
            let manager = try folder.open()
            try manager.createSession("a\0b")
            try manager.createSession("online")
            try manager.createSession("gone")
            try manager.updateSession(
                "a\0b",
                SessionUpdates(status: .qrWaiting, name: .set("☕"), qrCode: .set("2@code"))
            )
            try manager.updateSession("online", SessionUpdates(status: .connected, phoneNumber: .set("447700900123")))
            try manager.deleteSession("gone")
            sessions = try manager.getAllSessions()
        }
        #expect(sessions.count == 2)
        #expect(try folder.open().getAllSessions() == sessions)
        #expect(try folder.names == ["sessions.sqlite"])
    }

    @Test func `what two managers do in one file, each sees at once`() throws {
        let (first, second) = (try folder.open(), try folder.open())
        try first.createSession("support")
        #expect(throws: SessionAlreadyExistsError.self) { try second.createSession("support") }
        let updated = try second.updateSession("support", SessionUpdates(status: .connected))
        #expect(try first.getSession("support") == updated)
        try first.deleteSession("support")
        #expect(throws: SessionNotFoundError.self) { try second.updateSession("support", SessionUpdates()) }
    }

    @Test func `the rules are the same in a file`() throws {
        let manager = try folder.open()
        try manager.createSession("support")
        let online = try manager.updateSession("support", SessionUpdates(status: .connected))
        let error = #expect(throws: InvalidSessionUpdateError.self) {
            try manager.updateSession("support", SessionUpdates(status: .qrWaiting, qrCode: .set("2@late")))
        }
        #expect(error?.reason == .connectedToQRWaiting)
        #expect(throws: InvalidSessionUpdateError.self) {
            try manager.updateSession("support", SessionUpdates(name: .set("Eve"), qrCode: .set("2@late")))
        }
        #expect(throws: SessionNotFoundError.self) { try manager.updateSession("other", SessionUpdates()) }
        #expect(try !manager.deleteSession("other"))
        #expect(try folder.open().getAllSessions() == [online])
    }

    @Test func `each commit waits for the disk, and nothing is kept that was dropped`() throws {
        try folder.open().withConnection { connection in
            let expected = [
                "synchronous": "3", "secure_delete": "1", "wal_autocheckpoint": "0", "cell_size_check": "1",
                "trusted_schema": "0", "mmap_size": "0", "temp_store": "2", "journal_mode": "wal", "fullfsync": "1",
            ]
            for (name, value) in expected { #expect(try connection.pragma(name) == value, "\(name)") }
            // Defensive mode: https://sqlite.org/c3ref/c_dbconfig_defensive.html
            try connection.execute("PRAGMA writable_schema = ON")
            #expect(throws: DatabaseError.self) { try connection.execute("DELETE FROM sqlite_schema") }
            // A double-quoted name that is none is no text: https://sqlite.org/quirks.html#dblquote
            #expect(throws: DatabaseError.self) { try connection.execute(#"SELECT "none""#) }
            #expect(throws: DatabaseError.self) { try connection.execute(#"CREATE INDEX i ON sessions ("none")"#) }
        }
    }

    @Test func `the file, its log and its index are for their owner only, also where others could read them`() throws {
        do { try folder.open().createSession("support") }
        #expect(mode(folder.file) == 0o600)
        #expect(chmod(folder.file, 0o644) == 0)
        let manager = try folder.open()
        try manager.createSession()
        for suffix in ["", "-wal", "-shm"] { #expect(mode(folder.file + suffix) == 0o600, "\(suffix)") }
        // Permissions are removed and never added.
        let file = try DatabasePath(folder.file)
        #expect(chmod(folder.file, 0o440) == 0)
        try file.restrict()
        #expect(mode(folder.file) == 0o400)
    }

    @Test func `nothing is changed through a link beside the file`() throws {
        do { try folder.open().createSession("support") }
        let target = folder.path + "/target"
        try Data("x".utf8).write(to: URL(filePath: target))
        #expect(chmod(target, 0o644) == 0)
        #expect(symlink(target, folder.file + "-shm") == 0)
        let error = #expect(throws: DatabaseError.self) { try folder.open() }
        #expect(error?.message == "\(folder.file)-shm is not a regular file")
        try DatabasePath(folder.file).restrict()
        #expect(mode(target) == 0o644)
    }

    @Test func `a host's shared cache is not joined`() throws {
        do { _ = try folder.open() }
        // For the whole process, so all tests pass with it.
        #expect(sqlite3_enable_shared_cache(1) == SQLITE_OK)
        let connections = try (0..<2).map { _ in try FileConnection(DatabasePath(folder.file)) }
        sqlite3_enable_shared_cache(0)
        try connections[0].connection.execute(
            "BEGIN IMMEDIATE; INSERT INTO sessions (id, created_at) VALUES ('support', 0)"
        )
        #expect(try connections[1].connection.query("SELECT count(*) FROM sessions") == "0")
    }

    // MARK: Recovery

    @Test(arguments: [false, true])
    func `what a dead process left live becomes disconnected and is returned as it was`(inMemory: Bool) throws {
        let manager = inMemory ? try SessionManager() : try folder.open()
        for id in ["new", "waiting", "online", "stopped"] { try manager.createSession(id) }
        try manager.updateSession("waiting", SessionUpdates(status: .qrWaiting, qrCode: .set("2@code")))
        try manager.updateSession("online", SessionUpdates(status: .connected, phoneNumber: .set("447700900123")))
        try manager.updateSession("stopped", SessionUpdates(status: .disconnected, name: .set("Ana")))
        let before = try manager.getAllSessions()

        try manager.execute(
            """
            CREATE TRIGGER stopped_ones_are_not_touched BEFORE UPDATE ON sessions WHEN OLD.id = 'stopped'
            BEGIN SELECT RAISE(ABORT, 'touched'); END
            """
        )
        #expect(try manager.recoverSessions() == Array(before.prefix(3)))
        let after = try manager.getAllSessions()
        #expect(after.allSatisfy { $0.status == .disconnected && $0.qrCode == nil })
        #expect(after.map(\.connectedAt) == before.map(\.connectedAt))
        #expect(after.map(\.phoneNumber) == before.map(\.phoneNumber))
        #expect(after[3] == before[3])
        #expect(try manager.recoverSessions() == [])
        #expect(try manager.getAllSessions() == after)
    }

    @Test func `a recovery that cannot be done changes nothing`() throws {
        let manager = try folder.open()
        try manager.createSession("support")
        try manager.execute("CREATE TRIGGER no BEFORE UPDATE ON sessions BEGIN SELECT RAISE(ABORT, 'no'); END")
        #expect(throws: DatabaseError.self) { try manager.recoverSessions() }
        #expect(try manager.getSession("support")?.status == .initializing)
        try manager.execute("DROP TRIGGER no")
        #expect(try manager.recoverSessions().count == 1)
    }

    @Test(arguments: [false, true])
    func `damaged rows are named and do not keep the others from being recovered`(inMemory: Bool) throws {
        let manager = inMemory ? try SessionManager() : try folder.open()
        for id in ["a", "b", "c", "d"] { try manager.createSession(id) }
        try manager.execute(
            """
            UPDATE sessions SET name = CAST(x'ff' AS TEXT) WHERE id = 'a';
            DROP TRIGGER sessions_identity_is_kept;
            UPDATE sessions SET id = CAST(x'ff' AS TEXT) WHERE id = 'c'
            """
        )
        let error = #expect(throws: DatabaseError.self) { try manager.recoverSessions() }
        #expect(error?.resultCode == .corrupt)
        #expect(
            error?.message == """
                all sessions were recovered except damaged ones: malformed name in the row with the id a; \
                malformed id in the row with the seq 3
                """
        )
        #expect(try manager.getSession("b")?.status == .disconnected)
        #expect(try manager.getSession("d")?.status == .disconnected)
        let damaged = try manager.query("SELECT group_concat(status) FROM sessions WHERE seq IN (1, 3)")
        #expect(damaged == "initializing,initializing")
        #expect(try manager.deleteSession("a"))
        try manager.execute("DELETE FROM sessions WHERE seq = 3")
        #expect(try manager.recoverSessions() == [])
        #expect(try manager.getAllSessions().map(\.id) == ["b", "d"])
    }

    // MARK: Damage

    @Test func `a row that someone edited into nonsense names itself, and an update of it changes nothing`() throws {
        let manager = try folder.open()
        try manager.createSession("before")
        try manager.createSession("damaged")
        let hand = try Connection.shell(folder.file)
        try hand.execute("UPDATE sessions SET name = CAST(x'ff' AS TEXT) WHERE id = 'damaged'")
        try hand.execute(
            "PRAGMA ignore_check_constraints = ON; UPDATE sessions SET status = 'gone' WHERE id = 'before'"
        )
        let error = #expect(throws: DatabaseError.self) { try manager.getSession("damaged") }
        #expect(error?.message == "malformed name in the row with the id damaged")
        #expect(throws: DatabaseError.self) { try manager.updateSession("damaged", SessionUpdates(status: .connected)) }
        #expect(try manager.query("SELECT status FROM sessions WHERE id = 'damaged'") == "initializing")
        // An update that mends the row is done.
        #expect(try manager.updateSession("damaged", SessionUpdates(name: .set("Ana"))).name == "Ana")
        #expect(try manager.updateSession("before", SessionUpdates(status: .connected)).status == .connected)
        #expect(try manager.getAllSessions().count == 2)
    }

    @Test func `a row with a damaged QR code can be mended and deleted`() throws {
        let manager = try folder.open()
        let hand = try Connection.shell(folder.file)
        for id in ["first", "second"] {
            try manager.createSession(id)
            try manager.updateSession(id, SessionUpdates(status: .qrWaiting))
        }
        try hand.execute("UPDATE sessions SET qr_code = CAST(x'ff' AS TEXT)")
        #expect(throws: DatabaseError.self) { try manager.getSession("first") }
        #expect(try manager.updateSession("first", SessionUpdates(status: .connected)).qrCode == nil)
        #expect(try manager.deleteSession("second"))
        #expect(try manager.getAllSessions().map(\.id) == ["first"])
    }

    @Test func `a file cut short is an error or its rows, never a crash`() throws {
        do {
            let manager = try folder.open()
            for number in 0..<200 { try manager.createSession("\(number)") }
        }
        let whole = try Data(contentsOf: URL(filePath: folder.file))
        for length in stride(from: 1, to: whole.count, by: 997) {
            try whole.prefix(length).write(to: URL(filePath: folder.file))
            do {
                let manager = try folder.open()
                #expect(try manager.getAllSessions().count <= 200)
            } catch {
                #expect(error is DatabaseError)
            }
        }
    }
}
