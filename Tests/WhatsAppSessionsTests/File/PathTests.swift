import Foundation
import Testing
import WhatsAppSessionsSQLite

@testable import WhatsAppSessions

/// Which files are opened or created, and which are refused.
@Suite struct PathTests {
    let folder = TemporaryFolder()

    // MARK: Names

    @Test(arguments: ["", "folder/", "a\0b", "/"])
    func `a path that names no file is refused`(path: String) throws {
        let error = #expect(throws: DatabaseError.self) { try SessionManager(storage: .file(path: path)) }
        #expect(error?.message == "the path names no file")
        #expect(error?.resultCode == .cannotOpen)
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
        let file = try DatabasePath("file:x?mode=memory")
        #expect(file.path == FileManager.default.currentDirectoryPath + "/file:x?mode=memory")
        #expect(try DatabasePath("/x").path == "/x")
    }

    @Test func `a path is as long as SQLite can take, and no longer`() throws {
        func path(_ length: Int) -> String {
            var path = folder.path
            while path.utf8.count + 101 < length {
                path += "/" + String(repeating: "d", count: min(100, length - path.utf8.count - 3))
                mkdir(path, 0o700)
            }
            return path + "/" + String(repeating: "f", count: length - path.utf8.count - 1)
        }
        do { try SessionManager(storage: .file(path: path(504))).createSession("support") }
        let error = #expect(throws: DatabaseError.self) { try SessionManager(storage: .file(path: path(505))) }
        #expect(error?.message.hasPrefix("the path is too long: SQLite takes 504 bytes, here 505") == true)
        #expect(fileStatus(path(505)) == nil)

        let name = folder.path + "/" + String(repeating: "n", count: 247)
        do { try SessionManager(storage: .file(path: name)).createSession("support") }
        #expect(throws: DatabaseError.self) { try SessionManager(storage: .file(path: name + "n")) }
        #expect(fileStatus(name + "n") == nil)
    }

    // MARK: What is in its place

    @Test func `a link among the folders is followed, one in place of the file is refused`() throws {
        #expect(symlink(folder.path, folder.path + "/link") == 0)
        do { try SessionManager(storage: .file(path: folder.path + "/link/sessions.sqlite")).createSession("support") }
        #expect(try folder.open().sessionExists("support"))
        #expect(symlink(folder.file, folder.path + "/other") == 0)
        let error = #expect(throws: DatabaseError.self) {
            try SessionManager(storage: .file(path: folder.path + "/other"))
        }
        #expect(error?.message == "\(folder.path)/other is not a regular file")
        // Also where it appears after that look.
        let late = #expect(throws: DatabaseError.self) { _ = try FileConnection(DatabasePath(folder.path + "/other")) }
        #expect(late?.message == "cannot open \(folder.path)/other: unable to open database file")
    }

    @Test func `a missing folder, a folder in place of the file and a place where no file can be are errors`() throws {
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

    @Test func `a file with a second name is refused, since each name has a log of its own`() throws {
        do { try folder.open().createSession("support") }
        #expect(link(folder.file, folder.path + "/other") == 0)
        let error = #expect(throws: DatabaseError.self) { try folder.open() }
        #expect(error?.message.hasPrefix("\(folder.file) has 2 names (hard links)") == true)
        #expect(unlink(folder.path + "/other") == 0)
        #expect(try folder.open().sessionExists("support"))
    }

    @Test func `a file that is mounted by itself is refused`() throws {
        let file = folder.path + "/a b\\c.sqlite"
        do { try SessionManager(storage: .file(path: file)).createSession("support") }
        let mount = DatabasePath.isMountPoint(
            file,
            in: Data("21 1 0:1 / \(folder.path)/a\\040b\\134c.sqlite rw - ext4\n".utf8)
        )
        #expect(mount)
        #expect(!DatabasePath.isMountPoint(file, in: Data("21 1 0:1 / \(folder.path) rw - ext4\nx\n".utf8)))
        #expect(!DatabasePath.isMountPoint(file, in: nil))
        // A process, as every system mounts it.
        let error = #expect(throws: DatabaseError.self) { try DatabasePath.requireNoMount("/proc") }
        #expect(error?.message == "/proc is mounted by itself, which leaves its log outside: mount its folder instead")
    }

    @Test func `a log without its file is refused and kept`() throws {
        let manager = try folder.open()
        try manager.createSession("support")
        let other = TemporaryFolder()
        try FileManager.default.copyItem(atPath: folder.file + "-wal", toPath: other.file + "-wal")
        let error = #expect(throws: DatabaseError.self) { try other.open() }
        #expect(
            error?.message == "there is a log, \(other.file)-wal, but not the file it belongs to: move that back first"
        )
        #expect(try other.names == ["sessions.sqlite-wal"])
        try Data().write(to: URL(filePath: other.file))
        #expect(throws: DatabaseError.self) { try other.open() }
        try FileManager.default.removeItem(atPath: other.file)
        try FileManager.default.copyItem(atPath: folder.file, toPath: other.file)
        #expect(try other.open().sessionExists("support"))
    }

    @Test func `of two processes that create the file, the slower one uses what the faster one made`() throws {
        let file = try DatabasePath(folder.file)
        try file.create()
        try file.create()
        #expect(mode(folder.file) == 0o600)
        #expect(mkdir(folder.path + "/folder", 0o700) == 0)
        #expect(throws: DatabaseError.self) { try DatabasePath(folder.path + "/folder").create() }
    }

    @Test func `a folder that may be written to but not read leaves nothing behind`() throws {
        let inner = folder.path + "/inner"
        #expect(mkdir(inner, 0o300) == 0)
        let copy = inner + "/sessions.sqlite"
        if geteuid() == 0 {
            // Nothing is refused to root.
            #expect(throws: Never.self) { try SessionManager(storage: .file(path: copy)) }
        } else {
            #expect(throws: DatabaseError.self) { try SessionManager(storage: .file(path: copy)) }
            #expect(throws: DatabaseError.self) { try SessionManager().backUp(to: copy) }
            #expect(chmod(inner, 0o700) == 0)
            #expect(try FileManager.default.contentsOfDirectory(atPath: inner) == [])
        }
    }

    // MARK: Files that are not for this library

    @Test(arguments: [
        "CREATE TABLE theirs (a)", "PRAGMA application_id = 8", "PRAGMA journal_mode = WAL; CREATE TABLE theirs (a)",
    ])
    func `a file of another program is refused and left as it was`(begin: String) throws {
        do {
            let other = try Connection.shell(folder.file)
            try other.execute(begin)
            try other.execute("CREATE TABLE theirs_too (a)")
        }
        try expectRefusal("the database belongs to another program")
    }

    @Test func `the log of another program's file is left as it was too`() throws {
        let other = try Connection.shell(folder.file)
        try other.execute("PRAGMA journal_mode = WAL; CREATE TABLE theirs (a)")
        let copy = folder.path + "/copy.sqlite"
        for suffix in ["", "-wal"] {
            try FileManager.default.copyItem(atPath: folder.file + suffix, toPath: copy + suffix)
        }
        let before = try [copy, copy + "-wal"].map { try Data(contentsOf: URL(filePath: $0)) }
        #expect(before[1].count > 0)
        #expect(throws: DatabaseError.self) { try SessionManager(storage: .file(path: copy)) }
        #expect(try [copy, copy + "-wal"].map { try Data(contentsOf: URL(filePath: $0)) } == before)
    }

    @Test func `a file with a newer schema is refused and left as it was`() throws {
        do { try folder.open().execute("PRAGMA user_version = 99") }
        try expectRefusal(
            "the schema version is 99, and this library knows versions up to \(Schema.sessions.migrations.count)"
        )
    }

    @Test func `an encoding that would make one id of two is refused`() throws {
        do { try Connection.shell(folder.file).execute("PRAGMA encoding = 'UTF-16'; CREATE TABLE t (a); DROP TABLE t") }
        try expectRefusal("the database's encoding is UTF-16le, and only UTF-8 keeps every id apart")
    }

    @Test(arguments: ["x", "Dear diary", String(repeating: "Dear diary\n", count: 1000)])
    func `a text file is refused and left as it was`(text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: folder.file))
        try expectRefusal("file is not a database")
    }

    @Test func `an empty file becomes a database`() throws {
        try Data().write(to: URL(filePath: folder.file))
        try folder.open().createSession("support")
        #expect(try folder.open().sessionExists("support"))
    }

    @Test(arguments: [
        ("DROP TRIGGER sessions_are_not_replaced", "trigger sessions_are_not_replaced"),
        ("DROP VIEW session_overview", "view session_overview"),
        (
            """
            CREATE TABLE rebuilt AS SELECT * FROM sessions; DROP VIEW session_overview; DROP TABLE sessions;
            ALTER TABLE rebuilt RENAME TO sessions
            """, "table sessions"
        ),
        (
            """
            DROP VIEW session_overview; DROP TABLE sessions;
            CREATE TABLE sessions (id TEXT PRIMARY KEY, region TEXT UNIQUE)
            """, "table sessions"
        ),
    ])
    func `a file whose rules another program removed is refused`(edit: String, object: String) throws {
        do { try folder.open().createSession("support") }
        do { try Connection.shell(folder.file).execute(edit) }
        try expectRefusal(
            """
            another program changed or removed the \(object), and the rules that came with it: \
            restore a backup, or copy the rows to a new file
            """
        )
    }

    @Test func `a table, an index or a trigger that a host adds is no obstacle`() throws {
        do { try folder.open().createSession("support") }
        do {
            try Connection.shell(folder.file).execute(
                "CREATE TABLE mine (a); CREATE INDEX by_name ON sessions (name); ANALYZE"
            )
        }
        #expect(try folder.open().sessionExists("support"))
    }

    @Test func `where no write-ahead log is possible, that is said`() throws {
        let error = #expect(throws: DatabaseError.self) { try FileConnection.requireWriteAheadLog("delete") }
        #expect(
            error?.message
                == "no write-ahead log is possible here (the journal mode stays delete), as on a network drive"
        )
        #expect(throws: Never.self) { try FileConnection.requireWriteAheadLog("wal") }
    }

    @Test(arguments: ["sessions-wal", "sessions-shm", "sessions-journal"])
    func `a name that SQLite gives to another database's log is refused`(name: String) throws {
        let error = #expect(throws: DatabaseError.self) {
            try SessionManager(storage: .file(path: folder.path + "/" + name))
        }
        #expect(error?.message == "the name \(name) is that of another database's log")
        #expect(try folder.names == [])
    }

    @Test func `a file that may only be read is refused`() throws {
        do { try folder.open().createSession("support") }
        let connection = try FileConnection(DatabasePath(folder.file), flags: SQLITE_OPEN_READONLY)
        let error = #expect(throws: DatabaseError.self) { try connection.prepare(until: .now) }
        #expect(error?.message == "cannot open \(folder.file): the file is read-only")
        #expect(error?.resultCode == .readOnly)
        // To root, no file is read-only.
        guard geteuid() != 0 else { return }
        #expect(chmod(folder.file, 0o400) == 0)
        let opening = #expect(throws: DatabaseError.self) { try folder.open() }
        #expect(opening?.message == error?.message)
    }

    @Test func `a system call that a signal interrupts is made again, and a failure says where and why`() throws {
        var calls = 0
        let result = try systemCall("/x") {
            calls += 1
            errno = EINTR
            return calls < 3 ? -1 : 7
        }
        #expect(result == 7 && calls == 3)
        let error = #expect(throws: DatabaseError.self) {
            try systemCall("/x") {
                errno = EACCES
                return -1
            }
        }
        #expect(error?.description == "SQLite error 14: /x: Permission denied")
        for (number, code) in [(ENOSPC, DatabaseError.ResultCode.full), (EIO, .ioError), (EROFS, .readOnly)] {
            let error = #expect(throws: DatabaseError.self) {
                try systemCall("/x") {
                    errno = number
                    return -1
                }
            }
            #expect(error?.resultCode == code)
        }
    }

    @Test func `a folder whose name is not UTF-8 is refused, and not taken for another one`() throws {
        // "café" in Latin-1, and what becomes of it where bytes are repaired.
        let latin = Array((folder.path + "/caf").utf8CString.dropLast()) + [CChar(bitPattern: 0xe9), 0]
        #expect(mkdir(latin, 0o700) == 0 && mkdir(folder.path + "/caf\u{fffd}", 0o700) == 0)
        #expect(symlink(latin, folder.path + "/latin") == 0)
        let error = #expect(throws: DatabaseError.self) {
            try SessionManager(storage: .file(path: folder.path + "/latin/sessions.sqlite"))
        }
        #expect(error?.message == "the name of a folder in the path is not UTF-8")
    }

    private func expectRefusal(_ message: String) throws {
        let before = try Data(contentsOf: URL(filePath: folder.file))
        let error = #expect(throws: DatabaseError.self) { try folder.open() }
        #expect(error?.message == "cannot open \(folder.file): \(message)")
        #expect(try Data(contentsOf: URL(filePath: folder.file)) == before)
    }

    /// Between the look for a name and the look at its file, as the last process to close a database deletes its log.
    @Test func `a file that is deleted while it is looked at isn't there`() throws {
        let folder = TemporaryFolder()
        let path = folder.file
        let isDone = Lock(false)
        let deleter = Thread {
            while !isDone.withLock({ $0 }) {
                close(open(path, O_CREAT | O_WRONLY, 0o600))
                unlink(path)
            }
        }
        deleter.start()
        defer { isDone.withLock { $0 = true } }
        // So that the moment has been met.
        var (met, misses) = (0, 0)
        let end = ContinuousClock.now + .seconds(60)
        while met < 20 || misses < 1000, .now < end {
            var status = stat()
            if lstat(path, &status) == 0, status.st_nlink == 0 { met += 1 }
            guard let found = fileStatus(path) else {
                misses += 1
                continue
            }
            #expect(found.st_nlink == 1)
        }
        #expect(met > 0 && misses > 0)
    }
}
