import Foundation
import Testing
import WhatsAppSessionsSQLite

@testable import WhatsAppSessions

/// Sessions in a file.
@Suite struct FileTests {
    let folder = TemporaryFolder()
    var path: String { folder.path + "/sessions.sqlite" }

    func open() throws -> SessionManager { try SessionManager(storage: .file(path: path)) }

    // MARK: Keeping

    @Test func `sessions survive their manager`() throws {
        var sessions: [Session] = []
        do {
            let manager = try open()
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
        #expect(try open().getAllSessions() == sessions)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["sessions.sqlite"])
    }

    @Test func `what two managers do in one file, each sees at once`() throws {
        let (first, second) = (try open(), try open())
        try first.createSession("support")
        #expect(throws: SessionAlreadyExistsError.self) { try second.createSession("support") }
        let updated = try second.updateSession("support", SessionUpdates(status: .connected))
        #expect(try first.getSession("support") == updated)
        try first.deleteSession("support")
        #expect(throws: SessionNotFoundError.self) { try second.updateSession("support", SessionUpdates()) }
    }

    @Test func `the rules are the same in a file`() throws {
        let manager = try open()
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
        #expect(try open().getAllSessions() == [online])
    }

    @Test func `each commit waits for the disk, and only a checkpoint of ours empties the log`() throws {
        try open().table.withLock { table in
            #expect(try table.connection.integer("PRAGMA synchronous") == 3)
            #expect(try table.connection.integer("PRAGMA secure_delete") == 1)
            #expect(try table.connection.integer("PRAGMA wal_autocheckpoint") == 0)
            #expect(try table.connection.integer("PRAGMA cell_size_check") == 1)
            #expect(try table.connection.integer("PRAGMA trusted_schema") == 0)
            #expect(try table.connection.integer("PRAGMA mmap_size") == 0)
            #expect(
                try table.connection.prepare("PRAGMA journal_mode").run { try $0.step() ? $0.text(0) : "" } == "wal"
            )
            // Defensive mode: https://sqlite.org/c3ref/c_dbconfig_defensive.html
            try table.connection.execute("PRAGMA writable_schema = ON")
            #expect(throws: DatabaseError.self) { try table.connection.execute("DELETE FROM sqlite_schema") }
            // A double-quoted name that is none is no text: https://sqlite.org/quirks.html#dblquote
            #expect(throws: DatabaseError.self) { try table.connection.execute(#"SELECT "none""#) }
        }
    }

    @Test func `a log that grows is emptied, without an end of the manager`() throws {
        let manager = try open()
        let id = try manager.createSession().id
        var largest = 0
        for number in 0..<100 {
            // Another letter each time, since SQLite writes only the pages that differ.
            let name = String(repeating: ["a", "b", "c"][number % 3], count: 40_000)
            try manager.updateSession(id, SessionUpdates(name: .set(name)))
            largest = max(largest, size(path + "-wal"))
        }
        #expect(largest > 500_000)
        #expect(largest < 1_300_000)
    }

    // MARK: Secrets

    @Test(arguments: ["scanned", "refreshed", "cleared", "deleted", "recovered"])
    func `no byte of a dropped QR code stays in the file or its log`(how: String) throws {
        let manager = try open()
        let id = try manager.createSession().id
        let code = "2@SECRET" + String(repeating: "x", count: 230)
        try manager.updateSession(id, SessionUpdates(status: .qrWaiting, qrCode: .set(code)))
        #expect(contents().contains("SECRET"))
        switch how {
        case "scanned": try manager.updateSession(id, SessionUpdates(status: .connected))
        case "refreshed": try manager.updateSession(id, SessionUpdates(qrCode: .set("2@next")))
        case "cleared": try manager.updateSession(id, SessionUpdates(qrCode: .clear))
        case "deleted": try manager.deleteSession(id)
        default: try manager.recoverSessions()
        }
        #expect(!contents().contains("SECRET"))
    }

    @Test func `a reader in the way delays the checkpoint, not the update, and the code goes with a later one`() throws
    {
        let manager = try open()
        let id = try manager.createSession().id
        try manager.updateSession(id, SessionUpdates(status: .qrWaiting, qrCode: .set("2@SECRET")))
        let reader = try Connection.open(path)
        try reader.execute("BEGIN; SELECT * FROM sessions")
        #expect(try manager.updateSession(id, SessionUpdates(status: .connected)).qrCode == nil)
        #expect(contents().contains("SECRET"))
        try reader.execute("COMMIT")
        Thread.sleep(forTimeInterval: 1.1)
        try manager.updateSession(id, SessionUpdates(name: .set("later")))
        #expect(!contents().contains("SECRET"))
    }

    @Test func `a checkpoint that failed stays due and is tried again after a pause`() {
        var schedule = CheckpointSchedule()
        func isDue(_ isNewlyDue: Bool) -> Bool { schedule.isDue(isNewlyDue) }
        #expect(!isDue(false))
        #expect(isDue(true))
        schedule.record(success: false)
        #expect(!isDue(true))
        Thread.sleep(forTimeInterval: 1.1)
        #expect(isDue(false))
        schedule.record(success: true)
        #expect(!isDue(false))
        #expect(isDue(true))
    }

    @Test func `the file, its log and its index are for their owner only`() throws {
        let manager = try open()
        try manager.createSession()
        for name in [path, path + "-wal", path + "-shm"] { #expect(mode(name) == 0o600, "\(name)") }
    }

    @Test func `a file that others could read is taken away from them`() throws {
        do { try open().createSession("support") }
        #expect(chmod(path, 0o644) == 0)
        let manager = try open()
        try manager.createSession()
        for name in [path, path + "-wal", path + "-shm"] { #expect(mode(name) == 0o600, "\(name)") }
        #expect(try manager.sessionExists("support"))
    }

    // MARK: What is not ours

    @Test func `a file of another program is refused and left as it was`() throws {
        for begin in [
            "CREATE TABLE theirs (a)", "PRAGMA application_id = 8",
            "PRAGMA journal_mode = WAL; CREATE TABLE theirs (a)",
        ] {
            try? FileManager.default.removeItem(atPath: path)
            do {
                let other = try Connection.open(path, flags: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)
                try other.execute(begin)
                try other.execute("CREATE TABLE theirs_too (a)")
            }
            try expectRefusal("cannot open \(path): the database belongs to another program")
        }
    }

    @Test func `the log of another program's file is left as it was too`() throws {
        let other = try Connection.open(path, flags: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)
        try other.execute("PRAGMA journal_mode = WAL; CREATE TABLE theirs (a)")
        let copy = folder.path + "/copy.sqlite"
        for suffix in ["", "-wal"] { try FileManager.default.copyItem(atPath: path + suffix, toPath: copy + suffix) }
        let before = try [copy, copy + "-wal"].map { try Data(contentsOf: URL(filePath: $0)) }
        #expect(before[1].count > 0)
        #expect(throws: DatabaseError.self) { try SessionManager(storage: .file(path: copy)) }
        #expect(try [copy, copy + "-wal"].map { try Data(contentsOf: URL(filePath: $0)) } == before)
    }

    @Test func `a file with a newer schema is refused and left as it was`() throws {
        do { try open().execute("PRAGMA user_version = 99") }
        try expectRefusal("cannot open \(path): the schema version is 99, and this library knows those up to 2")
    }

    @Test(arguments: ["x", "Dear diary", String(repeating: "Dear diary\n", count: 1000)])
    func `a text file is refused and left as it was`(text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: path))
        try expectRefusal("cannot open \(path): file is not a database")
    }

    @Test func `an empty file becomes a database`() throws {
        try Data().write(to: URL(filePath: path))
        try open().createSession("support")
        #expect(try open().sessionExists("support"))
    }

    @Test func `a read is always under way in memory, after a backup too, and never in a file`() throws {
        func statementsUnderWay(_ manager: SessionManager) -> Int {
            manager.table.withLock { table in
                var count = 0
                var statement = sqlite3_next_stmt(table.connection.handle, nil)
                while let some = statement {
                    count += sqlite3_stmt_busy(some) != 0 ? 1 : 0
                    statement = sqlite3_next_stmt(table.connection.handle, some)
                }
                return count
            }
        }
        for (manager, expected) in [(try SessionManager(), 1), (try open(), 0)] {
            #expect(statementsUnderWay(manager) == expected)
            try manager.createSession("other")
            try manager.updateSession("other", SessionUpdates(status: .disconnected))
            _ = try (manager.getSession("other"), manager.sessionExists("other"), manager.getAllSessions())
            try manager.backUp(to: folder.path + "/copy-\(expected)")
            #expect(statementsUnderWay(manager) == expected)
        }
    }

    // MARK: Paths

    @Test(arguments: ["", "folder/", "a\0b", "/"])
    func `a path that names no file is refused`(path: String) throws {
        let error = #expect(throws: DatabaseError.self) { try SessionManager(storage: .file(path: path)) }
        #expect(error?.message == "the path names no file")
        #expect(error?.resultCode == SQLITE_CANTOPEN)
    }

    @Test(arguments: [
        ":memory:", "file:x?mode=memory", "file:sessions.sqlite?nolock=1", "%41?#", "☕ e\u{301}", "\u{308}x", "'",
    ])
    func `a name that SQLite could take for something else is the name of a file`(name: String) throws {
        let path = folder.path + "/" + name
        do { try SessionManager(storage: .file(path: path)).createSession("support") }
        #expect(mode(path) == 0o600)
        #expect(try SessionManager(storage: .file(path: path)).sessionExists("support"))
    }

    @Test func `a relative path starts at the current folder`() throws {
        let file = try DatabaseFile("file:x?mode=memory")
        #expect(file.path == FileManager.default.currentDirectoryPath + "/file:x?mode=memory")
    }

    @Test func `a link among the folders is followed, one in place of the file is refused`() throws {
        #expect(symlink(folder.path, folder.path + "/link") == 0)
        do { try SessionManager(storage: .file(path: folder.path + "/link/sessions.sqlite")).createSession("support") }
        #expect(try open().sessionExists("support"))
        #expect(symlink(path, folder.path + "/other") == 0)
        let error = #expect(throws: DatabaseError.self) {
            try SessionManager(storage: .file(path: folder.path + "/other"))
        }
        #expect(error?.message == "\(folder.path)/other is not a regular file")
    }

    @Test func `a missing folder, a folder in place of the file and one where no file can be are errors`() throws {
        let pipe = folder.path + "/pipe"
        #expect(mkfifo(pipe, 0o600) == 0)
        for (path, message) in [
            (folder.path + "/none/x", "\(folder.path)/none/x: No such file or directory"),
            ("/", "the path names no file"), (folder.path, "\(folder.path) is not a regular file"),
            (pipe, "\(pipe) is not a regular file"), ("/proc/x", "/proc/x: No such file or directory"),
        ] {
            let error = #expect(throws: DatabaseError.self) { try SessionManager(storage: .file(path: path)) }
            #expect(error?.message == message)
        }
    }

    @Test func `where no write-ahead log can be had, that is said`() throws {
        let error = #expect(throws: DatabaseError.self) { try Connection.open(":memory:").useWriteAheadLog() }
        #expect(error?.message.hasPrefix("no write-ahead log can be had here (the journal mode stays memory)") == true)
    }

    @Test func `a file that may only be read is refused`() throws {
        do { try open().createSession("support") }
        let error = #expect(throws: DatabaseError.self) {
            try Connection.open(path, flags: SQLITE_OPEN_READONLY).requireWritable()
        }
        #expect(error?.message == "the file is read-only")
    }

    // MARK: Company

    @Test func `a manager waits for a writer that holds the lock, then goes on`() throws {
        let manager = try open()
        let shell = try Connection.open(path)
        try shell.execute("BEGIN IMMEDIATE")
        let done = DispatchSemaphore(value: 0)
        Thread {
            #expect(throws: Never.self) { try manager.createSession("support") }
            done.signal()
        }.start()
        #expect(done.wait(timeout: .now() + 0.3) == .timedOut)
        try shell.execute("COMMIT")
        done.wait()
        #expect(try manager.sessionExists("support"))
    }

    @Test func `a file can be opened while another connection writes to it`() throws {
        let other = try Connection.open(path, flags: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)
        try other.execute("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE")
        let done = DispatchSemaphore(value: 0)
        Thread {
            #expect(throws: Never.self) { try open().createSession("support") }
            done.signal()
        }.start()
        #expect(done.wait(timeout: .now() + 0.3) == .timedOut)
        try other.execute("COMMIT")
        done.wait()
    }

    @Test(arguments: ["deleted", "replaced", "moved"])
    func `a file that is no longer there is noticed before a write claims to be saved`(how: String) throws {
        let manager = try open()
        try manager.createSession("before")
        switch how {
        case "deleted": try FileManager.default.removeItem(atPath: path)
        case "moved": #expect(rename(path, path + ".old") == 0)
        default:
            let copy = folder.path + "/copy"
            try manager.backUp(to: copy)
            #expect(rename(copy, path) == 0)
        }
        for _ in 0..<2 {
            let error = #expect(throws: DatabaseError.self) { try manager.createSession("after") }
            #expect(error?.message == "the file was moved, replaced or deleted while it was open: open it again")
        }
        #expect(throws: DatabaseError.self) { try manager.recoverSessions() }
        #expect(try !manager.sessionExists("after"))
    }

    @Test func `in a fork of its process a manager refuses, and its end leaves the parent's log alone`() throws {
        var leftOpen = 0
        do {
            let manager = try open()
            try manager.createSession("support")
            leftOpen = manager.table.withLock { Int(bitPattern: $0.connection.handle) }
            // What the child of a fork finds.
            manager.table.withLock { $0.connection.process = -1 }
            for call: () throws -> Any in [
                { try manager.createSession("child") }, { try manager.getSession("support") as Any },
                { try manager.getAllSessions() }, { try manager.updateSession("support", SessionUpdates()) },
                { try manager.deleteSession("support") }, { try manager.sessionExists("support") },
                { try manager.recoverSessions() }, { try manager.backUp(to: folder.path + "/copy") },
            ] {
                let error = #expect(throws: DatabaseError.self) { _ = try call() }
                #expect(
                    error?.message
                        == "this process is a fork of the one that opened the file: open a manager of its own"
                )
            }
        }
        #expect(size(path + "-wal") > 0)
        #expect(sqlite3_close_v2(OpaquePointer(bitPattern: leftOpen)) == SQLITE_OK)
        #expect(try open().getAllSessions().map(\.id) == ["support"])
    }

    @Test func `a transaction that could not be ended is rolled back by the next call`() throws {
        let manager = try open()
        try manager.createSession("support")
        try manager.execute("BEGIN IMMEDIATE; DELETE FROM sessions")
        #expect(try manager.sessionExists("support"))
        try open().createSession("the lock is free")
        try manager.execute("BEGIN IMMEDIATE; DELETE FROM sessions")
        try manager.createSession("sales")
        #expect(try manager.getAllSessions().count == 3)
    }

    // MARK: Recovery

    @Test(arguments: [false, true])
    func `what a dead process left live becomes disconnected and is returned as it was`(inMemory: Bool) throws {
        let manager = inMemory ? try SessionManager() : try open()
        for id in ["new", "waiting", "online", "stopped"] { try manager.createSession(id) }
        try manager.updateSession("waiting", SessionUpdates(status: .qrWaiting, qrCode: .set("2@code")))
        try manager.updateSession("online", SessionUpdates(status: .connected, phoneNumber: .set("447700900123")))
        try manager.updateSession("stopped", SessionUpdates(status: .disconnected, name: .set("Ana")))
        let before = try manager.getAllSessions()

        try manager.execute(
            """
            CREATE TRIGGER stopped_ones_are_not_touched BEFORE UPDATE ON sessions WHEN OLD.status = 'disconnected'
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
        let manager = try open()
        try manager.createSession("support")
        try manager.execute("CREATE TRIGGER no BEFORE UPDATE ON sessions BEGIN SELECT RAISE(ABORT, 'no'); END")
        #expect(throws: DatabaseError.self) { try manager.recoverSessions() }
        #expect(try manager.getSession("support")?.status == .initializing)
        try manager.execute("DROP TRIGGER no")
        #expect(try manager.recoverSessions().count == 1)
    }

    // MARK: Copies

    @Test(arguments: [false, true])
    func `a copy holds everything, is the owner's only, and is opened by a manager`(inMemory: Bool) throws {
        let manager = inMemory ? try SessionManager() : try open()
        for number in 0..<100 { try manager.createSession("\(number)") }
        try manager.updateSession("7", SessionUpdates(status: .connected, name: .set("Ana")))
        let copy = folder.path + "/copy.sqlite"
        try manager.backUp(to: copy)
        #expect(mode(copy) == 0o600)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasPrefix("copy") } == [
                "copy.sqlite"
            ]
        )
        #expect(try SessionManager(storage: .file(path: copy)).getAllSessions() == manager.getAllSessions())
        try manager.createSession("goes on")
    }

    @Test func `a copy never overwrites a file`() throws {
        let manager = try open()
        let copy = folder.path + "/copy"
        try Data("mine".utf8).write(to: URL(filePath: copy))
        for path in [copy, path] {
            let before = try Data(contentsOf: URL(filePath: path))
            let error = #expect(throws: DatabaseError.self) { try manager.backUp(to: path) }
            #expect(error?.message == "\(path) exists already")
            #expect(try Data(contentsOf: URL(filePath: path)) == before)
        }
        #expect(throws: DatabaseError.self) { try manager.backUp(to: folder.path + "/none/copy") }
        #expect(throws: DatabaseError.self) { try manager.backUp(to: "") }
        try manager.createSession("goes on")
    }

    // MARK: Damage

    @Test func `a row that a hand edited into nonsense names itself, and an update of it changes nothing`() throws {
        let manager = try open()
        try manager.createSession("before")
        try manager.createSession("damaged")
        let hand = try Connection.open(path)
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
        let manager = try open()
        let hand = try Connection.open(path)
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
            let manager = try open()
            for number in 0..<200 { try manager.createSession("\(number)") }
        }
        let whole = try Data(contentsOf: URL(filePath: path))
        for length in stride(from: 1, to: whole.count, by: 997) {
            try whole.prefix(length).write(to: URL(filePath: path))
            do {
                let manager = try open()
                #expect(try manager.getAllSessions().count <= 200)
            } catch {
                #expect(error is DatabaseError)
            }
        }
    }

    // MARK: Support

    private func expectRefusal(_ message: String) throws {
        let before = try Data(contentsOf: URL(filePath: path))
        let error = #expect(throws: DatabaseError.self) { try open() }
        #expect(error?.message == message)
        #expect(try Data(contentsOf: URL(filePath: path)) == before)
    }

    /// The bytes of the file and its log, as text.
    private func contents() -> String {
        [path, path + "-wal"].map {
            String(decoding: FileManager.default.contents(atPath: $0) ?? Data(), as: UTF8.self)
        }.joined()
    }

    private func size(_ path: String) -> Int { FileManager.default.contents(atPath: path)?.count ?? 0 }

    private func mode(_ path: String) -> UInt32 {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
    }
}

/// A folder that goes with the test.
final class TemporaryFolder: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/whatsapp-sessions-XXXXXX".utf8CString)
        path = String(cString: mkdtemp(&template))
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }
}
