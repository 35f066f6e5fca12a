import Foundation
import Testing
import WhatsAppSessionsSQLite

@testable import WhatsAppSessions

/// What other programs do to a file, by mistake or on purpose.
@Suite struct OtherProgramsTests {
    let folder = TemporaryFolder()

    // MARK: Triggers on virtual tables

    @Test(arguments: [
        ("fts5(name)", "INSERT INTO names (name) VALUES (NEW.name)"),
        ("rtree(id, least, greatest)", "INSERT INTO names VALUES (NEW.seq, 0, 1)"),
    ])
    func `a trigger on a virtual table refuses the changes that fire it, and the end is an end`(
        module: String,
        statement: String
    ) throws {
        let manager = try folder.open()
        try manager.createSession("support")
        do {
            let shell = try Connection.shell(folder.file)
            try shell.execute(
                """
                CREATE VIRTUAL TABLE names USING \(module);
                CREATE TRIGGER t AFTER UPDATE OF name ON sessions BEGIN \(statement); END
                """
            )
        }
        let error = #expect(throws: DatabaseError.self) {
            try manager.updateSession("support", SessionUpdates(name: .set("Ana")))
        }
        #expect(error?.message == #"unsafe use of virtual table "names""#)
        #expect(try manager.getSession("support")?.name == nil)
        // The module has prepared statements on this connection, and ends them itself.
        _ = try manager.query("SELECT count(*) FROM names")
        try manager.close()
        #expect(try folder.open().sessionExists("support"))
    }

    // MARK: Columns and versions

    @Test func `a column that a tool adds is no obstacle, also before a migration`() throws {
        do { try folder.open().createSession("support") }
        do { try Connection.shell(folder.file).execute("ALTER TABLE sessions ADD COLUMN region TEXT DEFAULT 'eu'") }
        let manager = try folder.open()
        try manager.updateSession("support", SessionUpdates(name: .set("Ana")))
        #expect(try manager.query("SELECT region FROM sessions") == "eu")
        #expect(try manager.recoverSessions().map(\.id) == ["support"])
        // The same in a file of 0.1.0.
        let old = TemporaryFolder()
        try FileManager.default.copyItem(atPath: Self.fixture, toPath: old.file)
        do { try Connection.shell(old.file).execute("ALTER TABLE sessions ADD COLUMN region TEXT") }
        #expect(try old.open().getAllSessions().count == 4)
        #expect(try old.open().sessionExists("support"))
    }

    @Test(arguments: [0, 2])
    func `a version that was set by hand is told in one line`(version: Int) throws {
        do { try folder.open().createSession("support") }
        do { try Connection.shell(folder.file).execute("PRAGMA user_version = \(version)") }
        let error = try #require(throws: DatabaseError.self) { try folder.open() }
        #expect(error.message.contains("PRAGMA user_version"))
        #expect("\(error)".utf8.count < 400 && !"\(error)".contains("\n"))
        do { try Connection.shell(folder.file).execute("PRAGMA user_version = \(Schema.sessions.migrations.count)") }
        #expect(try folder.open().sessionExists("support"))
    }

    private static let fixture = URL(filePath: #filePath)
        .appending(path: "../../Fixtures/releases/0.1.0/sessions.sqlite").standardized.path

    // MARK: Damage, with the rules in place

    @Test(arguments: [
        "name = x'ff'", "qr_code_received_at = x'41'",
        "qr_code_received_at = -9223372036854775807 - 1, status_changed_at = 0",
    ])
    func `a damaged row in a file of 0.1.0 costs itself only`(damage: String) throws {
        try FileManager.default.copyItem(atPath: Self.fixture, toPath: folder.file)
        do { try Connection.shell(folder.file).damage("UPDATE sessions SET \(damage) WHERE qr_code IS NOT NULL") }
        let snapshot = try folder.open().snapshot()
        #expect(snapshot.sessions.count + snapshot.damages.count == 4)
        #expect(snapshot.damages.count == (damage.contains("x'") ? 1 : 0))
    }

    @Test func `a trigger on a virtual table doesn't keep a file of 0.1.0 from opening`() throws {
        try FileManager.default.copyItem(atPath: Self.fixture, toPath: folder.file)
        do {
            try Connection.shell(folder.file).execute(
                """
                CREATE VIRTUAL TABLE names USING fts5(name);
                CREATE TRIGGER t AFTER UPDATE ON sessions BEGIN INSERT INTO names VALUES (NEW.name); END
                """
            )
        }
        #expect(try folder.open().getAllSessions().count == 4)
    }

    @Test(arguments: [false, true])
    func `a code that 0.1.0 stored counts as a later one, and so does the next`(inShell: Bool) throws {
        try FileManager.default.copyItem(atPath: Self.fixture, toPath: folder.file)
        let manager = try folder.open()
        func waiting() throws -> Session { try #require(try manager.getSessions(status: .qrWaiting).first) }
        let old = try waiting()
        #expect(old.qrCodeExpiresAt == old.qrCodeReceivedAt?.addingTimeInterval(20))
        if inShell {
            try Connection.shell(folder.file).execute("UPDATE sessions SET qr_code = '2@new' WHERE qr_code IS NOT NULL")
        } else {
            try manager.updateSession(old.id, SessionUpdates(qrCode: .set("2@new")))
        }
        let new = try waiting()
        #expect(new.qrCode == "2@new" && new.qrCodeExpiresAt == new.qrCodeReceivedAt?.addingTimeInterval(20))
        #expect(try manager.query("SELECT qr_code_number FROM sessions WHERE id = '\(new.id)'") == "2")
    }

    @Test func `a row that an update couldn't store again is damaged, and a recovery passes it by`() throws {
        let manager = try folder.open()
        for id in ["a", "b", "c", "d"] { try manager.createSession(id) }
        do {
            try Connection.shell(folder.file).damage(
                """
                UPDATE sessions SET disconnect_code = x'41' WHERE id = 'a';
                UPDATE sessions SET name = x'ff', seq = 9223372036854775807 WHERE id = 'b';
                UPDATE sessions SET name = x'ff', seq = -9223372036854775807 - 1 WHERE id = 'd'
                """
            )
        }
        #expect(try manager.snapshot().damages.map(\.sessionID) == ["d", "a", "b"])
        let error = #expect(throws: DatabaseError.self) { try manager.recoverSessions() }
        #expect(error?.resultCode == .corrupt)
        #expect(
            try manager.query("SELECT group_concat(status) FROM (SELECT status FROM sessions ORDER BY id)")
                == "initializing,initializing,disconnected,initializing"
        )
    }

    @Test func `a list of rows in memory has the one with the smallest seq`() throws {
        let manager = try SessionManager()
        try manager.execute(
            "PRAGMA ignore_check_constraints = ON; INSERT INTO sessions (seq, id, created_at) VALUES (-9223372036854775807 - 1, 'first', 0)"
        )
        try manager.createSession("second")
        #expect(try manager.getAllSessions().map(\.id) == ["first", "second"])
    }

    @Test func `a row whose status or id has another type can be mended and deleted`() throws {
        let manager = try folder.open()
        for id in ["a", "b", "c"] { try manager.createSession(id) }
        do {
            try Connection.shell(folder.file).damage(
                "UPDATE sessions SET status = x'41' WHERE id <> 'c'; UPDATE sessions SET id = x'63' WHERE id = 'c'"
            )
        }
        let cursor = try manager.snapshot().cursor
        try manager.updateSession("a", SessionUpdates(status: .disconnected))
        #expect(try manager.getSession("a")?.status == .disconnected)
        #expect(try manager.deleteSession("b"))
        try Connection.shell(folder.file).execute("DELETE FROM sessions WHERE seq = 3")
        #expect(try manager.getAllSessions().map(\.id) == ["a"])
        // What they were before is damaged in the journal too.
        let error = #expect(throws: ChangeCursorExpiredError.self) { try manager.getChanges(after: cursor) }
        #expect(error?.damage == "malformed previous_status in the change with the number 4")
    }

    @Test func `a row with the seq -1 keeps no session from being created`() throws {
        let manager = try folder.open()
        try manager.createSession("first")
        do {
            try Connection.shell(folder.file).damage("INSERT INTO sessions (seq, id, created_at) VALUES (-1, 'a', 0)")
        }
        #expect(try manager.createSession("b").id == "b")
        #expect(throws: SessionAlreadyExistsError.self) { try manager.createSession("a") }
    }

    @Test func `a journal that can count no further is damaged, and nothing is followed silently`() throws {
        let manager = try folder.open()
        do {
            try Connection.shell(folder.file).damage(
                """
                INSERT INTO session_changes (number, session_id, status, fields, changed_at)
                VALUES (9223372036854775807, 'a', 'connected', 0, 0)
                """
            )
        }
        let error = #expect(throws: DatabaseError.self) { try manager.snapshot() }
        #expect(error?.resultCode == .corrupt)
    }

    // MARK: The log

    @Test func `a log that another program cut is noticed by the next change`() throws {
        let manager = try folder.open()
        for number in 0..<30 { try manager.createSession("\(number)") }
        #expect(truncate(folder.file + "-wal", 0) == 0)
        for _ in 0..<2 {
            let error = #expect(throws: DatabaseError.self) { try manager.createSession("late") }
            #expect(error?.resultCode == .corrupt)
            #expect(error?.message.hasPrefix("another program cut the log \(folder.file)-wal") == true)
        }
    }

    @Test func `a log that another program has emptied in SQLite's own way is none that was cut`() throws {
        let manager = try folder.open()
        for number in 0..<30 { try manager.createSession("\(number)") }
        usleep(5000)
        do { try Connection.shell(folder.file).execute("PRAGMA wal_checkpoint(TRUNCATE)") }
        #expect(size(folder.file + "-wal") == 0)
        try manager.createSession("next")
        #expect(try manager.getAllSessions().count == 31)
    }

    @Test func `a log that another program emptied just before a change is none that was cut either`() throws {
        let manager = try folder.open()
        for number in 0..<30 { try manager.createSession("\(number)") }
        // No upkeep of the manager comes between the two.
        let outcomes = try (manager.store as! FileDatabase).commits.alone { writer in
            try Connection.shell(folder.file).execute("PRAGMA wal_checkpoint(TRUNCATE)")
            #expect(size(folder.file + "-wal") == 0)
            return try writer!.make([.create(id: "next", at: 0)], until: .now + .seconds(60))
        }
        #expect(try outcomes?.first?.get().session?.id == "next")
        #expect(try manager.getAllSessions().count == 31)
    }

    @Test func `the log is started over before SQLite with its defaults would make a checkpoint`() throws {
        let manager = try folder.open()
        try manager.createSession("support")
        let file = manager.store as! FileDatabase
        var largest = 0
        for number in 0..<2500 {
            try manager.updateSession("support", SessionUpdates(name: .set("\(number)")))
            largest = max(largest, size(folder.file + "-wal"))
            // It is started over beside the changes, which this thread has no pause between.
            if number % 100 == 0 { _ = eventually { file.keeper.owed == nil } }
        }
        #expect(largest < FileWriter.logSize(pages: 1000, 4096))
        #expect(largest > FileWriter.logSize(pages: 800, 4096))
    }

    // MARK: Restored copies

    /// Copies a database into another one, as `.backup` and `.restore` of the shell do.
    private func copy(_ from: Connection, into target: Connection) throws {
        let backup = sqlite3_backup_init(target.handle, "main", from.handle, "main")
        #expect(sqlite3_backup_step(backup, -1) == SQLITE_DONE)
        #expect(sqlite3_backup_finish(backup) == SQLITE_OK)
    }

    @Test func `no copy reaches the schema version of its original by counting`() throws {
        let manager = try folder.open()
        let backup = folder.path + "/backup.sqlite"
        try manager.backUp(to: backup)
        func version(_ path: String) throws -> Int64 {
            try Connection.shell(path).row(of: "PRAGMA schema_version") { try $0.integer(0) }
        }
        var versions = [try version(folder.file), try version(backup)]
        try Connection.shell(folder.file).execute("VACUUM")
        _ = try manager.snapshot()
        versions.append(try version(folder.file))
        // `.backup` gives the file that it overwrites the next number.
        let copied = try Connection.shell(folder.path + "/copy")
        for _ in 0..<3 { try copy(Connection.shell(folder.file), into: copied) }
        #expect(try version(folder.path + "/copy") <= 3)
        #expect(Set(versions).count == 3 && versions.min()! >= 1 << 24)
    }

    @Test(arguments: [false, true])
    func `a restored copy has another history, and no kept cursor jumps`(isOpen: Bool) throws {
        var manager = try folder.open()
        try manager.createSession("support")
        try manager.createSession("sales")
        let shell = try Connection.shell(folder.file)
        let copied = try Connection.shell(folder.path + "/copy")
        try copy(shell, into: copied)
        for number in 0..<10 { try manager.createSession("lost \(number)") }
        let cursor = try manager.snapshot().cursor
        #expect(cursor.number == 12)
        if !isOpen { try manager.close() }
        try copy(copied, into: shell)
        if !isOpen { manager = try folder.open() }
        for number in 0..<15 { try manager.createSession("new \(number)") }
        #expect(throws: ChangeCursorExpiredError(cursor: cursor)) { try manager.getChanges(after: cursor) }
        let snapshot = try manager.snapshot()
        #expect(snapshot.sessions.count == 17 && snapshot.cursor.history != cursor.history)
        try manager.createSession("after")
        #expect(try manager.getChanges(after: snapshot.cursor).map(\.sessionID) == ["after"])
    }

    @Test func `a follower does not jump when a copy is restored under it`() async throws {
        let manager = try folder.open()
        try await manager.createSession("support")
        let shell = try Connection.shell(folder.file)
        let copied = try Connection.shell(folder.path + "/copy")
        try copy(shell, into: copied)
        try await manager.createSession("lost")
        let start = try await manager.snapshot().cursor
        let follower = Task { for try await _ in manager.changes(after: start) { return } }
        try copy(copied, into: shell)
        // As many as were lost, and one more: its number is the one that the follower waits for.
        for number in 0..<2 { try await manager.createSession("new \(number)") }
        await #expect(throws: ChangeCursorExpiredError.self) { try await follower.value }
    }

    @Test func `a copy that SQLite made has a history of its own, and cursors go on after a migration`() async throws {
        let manager = try folder.open()
        try await manager.createSession("support")
        let cursor = try await manager.snapshot().cursor
        try Connection.shell(folder.file).execute("VACUUM INTO '\(folder.path)/copy'")
        let copy = try SessionManager(storage: .file(path: folder.path + "/copy"))
        #expect(try await copy.snapshot().cursor.history != cursor.history)
        await #expect(throws: ChangeCursorExpiredError.self) { try await copy.getChanges(after: cursor) }
        try await manager.close()
        #expect(try await folder.open().getChanges(after: cursor).isEmpty)
    }

    @Test func `a history that cannot be renewed is an error, not an end`() throws {
        let manager = try folder.open()
        try manager.createSession("support")
        do {
            try Connection.shell(folder.file).execute(
                "CREATE TRIGGER kept BEFORE UPDATE ON journal BEGIN SELECT RAISE(IGNORE); END"
            )
        }
        let error = #expect(throws: DatabaseError.self) { try manager.snapshot() }
        #expect(error?.message.hasSuffix("remove its trigger on the table journal") == true)
        #expect(try manager.getAllSessions().count == 1)
    }

    // MARK: Damage

    @Test func `a name in Latin-1 costs its own row only, and can be mended`() async throws {
        let manager = try folder.open()
        for id in ["a", "b", "c"] { try await manager.createSession(id) }
        let start = try await manager.snapshot().cursor
        do {
            try Connection.shell(folder.file).execute(
                "UPDATE sessions SET name = CAST(x'436166e9' AS TEXT) WHERE id = 'b'"
            )
        }
        let snapshot = try await manager.snapshot()
        #expect(snapshot.sessions.map(\.id) == ["a", "c"])
        #expect(snapshot.damages.map(\.sessionID) == ["b"])
        #expect(try await manager.getChanges(after: start).map(\.fields) == [.name])
        #expect(try await manager.updateSession("b", SessionUpdates(name: .set("Café"))).name == "Café")
        #expect(try await manager.snapshot().damages.isEmpty)
    }

    @Test func `a reason in Latin-1 expires the cursors before its change, and the next snapshot goes on`() async throws
    {
        let manager = try folder.open()
        for id in ["a", "b"] { try await manager.createSession(id) }
        let start = try await manager.snapshot().cursor
        do {
            try Connection.shell(folder.file).execute(
                "UPDATE sessions SET status = 'disconnected', disconnect_text = CAST(x'ff' AS TEXT) WHERE id = 'a'"
            )
        }
        let error = await #expect(throws: ChangeCursorExpiredError.self) { try await manager.getChanges(after: start) }
        #expect(error?.damage == "malformed disconnect_text in the change with the number 3")
        let snapshot = try await manager.snapshot()
        #expect(snapshot.sessions.map(\.id) == ["b"] && snapshot.damages.map(\.sessionID) == ["a"])
        try await manager.updateSession("b", SessionUpdates(status: .connected))
        #expect(try await manager.getChanges(after: snapshot.cursor).map(\.sessionID) == ["b"])
    }

    @Test func `a pipe in place of a partial backup is refused, and stays as it is`() throws {
        let manager = try folder.open()
        let partial = folder.path + "/copy.partial"
        #expect(mkfifo(partial, 0o644) == 0)
        #expect(chmod(partial, 0o644) == 0)
        let error = #expect(throws: DatabaseError.self) { try manager.backUp(to: folder.path + "/copy") }
        #expect(error?.message == "\(partial) is not a regular file")
        #expect(mode(partial) == 0o644)
    }
}
