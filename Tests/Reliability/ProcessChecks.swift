import Foundation
import WhatsAppSessions
import WhatsAppSessionsFaults
import WhatsAppSessionsSQLite

/// kill −9 at random moments, from the start of the program and its migration on.
func killCheck(isLong: Bool) throws {
    let kills = isLong ? 20_000 : 1_000
    var acknowledged = 0
    var lost = 0
    var unsound = 0
    var folder = Folder(onDisk: true)
    for kill in 0..<kills {
        // A new file every ten kills, so that the making of the schema is killed too.
        if kill % 10 == 0 { folder = Folder(onDisk: true) }
        let writer = try Writer.start(folder.file, "\(kill)", 1_000_000, [["busy"], [], ["threads"]][kill % 3])
        usleep(.random(in: 0...40_000))
        Foundation.kill(writer.process.processIdentifier, SIGKILL)
        let lines = try Writer.lines(writer.output)
        writer.process.waitUntilExit()
        require(!lines.contains { $0.hasPrefix("error") }, "\(lines)")
        let manager = try folder.open()
        for id in lines where try !manager.sessionExists(id) { lost += 1 }
        acknowledged += lines.count
        if try !manager.isSound { unsound += 1 }
    }
    print(
        "kill -9, a third of them from 8 threads: \(kills) kills, \(acknowledged) acknowledged writes, \(lost) lost, \(unsound) files unsound"
    )
    require(lost == 0 && unsound == 0 && acknowledged > kills, "a kill lost something, or killed nothing at work")
}

/// Eight processes write to one file, with checkpoints, and shells read it.
func companyCheck(isLong: Bool) throws {
    for options in [["busy"], ["busy", "sqlite-handler"]] {
        let folder = Folder(onDisk: true)
        // Open all the time, so that no writer is the last one to close the file.
        let manager = try folder.open()
        let writes = 2_000
        let writers = try (0..<8).map { try Writer.start(folder.file, "\($0)", writes, options) }
        var looks = 0
        var failedLooks: [[String]] = []
        while writers.contains(where: \.process.isRunning) {
            // Whoever closes the file asks whether it is the last by asking for its exclusive lock, and a shell without a timeout that
            // comes just then hears "database is locked" (`unixLock` in SQLite's os_unix.c holds PENDING meanwhile).
            let shell = try Writer.start([
                "/bin/sh", "-c",
                "sqlite3 -cmd '.timeout 1000' \(folder.file) 'SELECT count(*) FROM session_overview'",
            ])
            let answer = try Writer.lines(shell.output)
            if answer.count != 1 || Int(answer[0]) == nil { failedLooks.append(answer) }
            looks += 1
            usleep(20_000)
        }
        let results = try writers.map { try Writer.lines($0.output) }
        let errors = results.filter { $0.last?.hasPrefix("slowest") != true }.compactMap(\.last)
        let slowest = results.compactMap { $0.last?.split(separator: " ").last }.compactMap { Int($0) }.max() ?? 0
        let rows = try manager.getAllSessions().count
        let name = options.count == 1 ? "our waiting" : "SQLite's own waiting, for comparison"
        print(
            "8 processes, \(name): \(rows) of \(8 * writes) writes there, \(errors.count) errors, slowest call \(slowest) ms, \(failedLooks.count) of \(looks) looks by a shell failed"
        )
        if options.count == 1 {
            require(errors.isEmpty && rows == 8 * writes && failedLooks.isEmpty, "\(errors) \(failedLooks)")
            require(try manager.isSound, "the file is unsound")
        }
    }
}

/// Eight processes start at once on a file that does not exist yet.
func startsCheck(isLong: Bool) throws {
    let rounds = isLong ? 1_000 : 100
    for round in 0..<rounds {
        let folder = Folder(onDisk: true)
        let writers = try (0..<8).map { try Writer.start(folder.file, "\($0)", 1) }
        let results = try writers.map { try Writer.lines($0.output) }
        require(results.allSatisfy { $0.last?.hasPrefix("slowest") == true }, "round \(round): \(results)")
        require(try folder.open().getAllSessions().count == 8, "round \(round): rows are missing")
    }
    print("first starts: \(rounds) rounds of 8 processes at once, 0 errors")
}

/// Writers and checkpoints that meet as often as can be, with `synchronous=OFF` so that they meet more often.
func resetCheck(isLong: Bool) throws {
    let rounds = isLong ? 16 : 4
    for options in [["busy", "synchronous-off"], ["unprotected"]] {
        var (unsound, otherErrors) = (0, 0)
        for _ in 0..<rounds {
            let folder = Folder()
            var writers = try (0..<3).map { try Writer.start(folder.file, "\($0)", 1_000_000, options) }
            if options.contains("unprotected") { writers.append(try Writer.start(folder.file, "c", 0, options)) }
            sleep(isLong ? 12 : 4)
            for writer in writers { writer.process.terminate() }
            let results = try writers.map { try Writer.lines($0.output) }
            let errors = results.compactMap(\.last).filter { $0.hasPrefix("error") }
            // SQLITE_CORRUPT, plain or extended.
            let isMalformed = errors.contains { $0.contains("database disk image is malformed") }
            let isSound = (try? folder.open().isSound) ?? false
            if isMalformed || !isSound { unsound += 1 } else if !errors.isEmpty { otherErrors += 1 }
            let isAtWork = options.contains("unprotected") || results.allSatisfy { $0.count > 1 }
            require(isAtWork, "a writer wrote nothing")
        }
        let name =
            options.contains("unprotected") ? "passive and automatic checkpoints, for comparison" : "our checkpoints"
        print("WAL reset, \(name): \(unsound) of \(rounds) files unsound, \(otherErrors) with other errors")
        if !options.contains("unprotected") {
            require(unsound == 0 && otherErrors == 0, "a file is unsound")
        } else if isLong, sqlite3_libversion_number() < 3_051_003 {
            require(unsound > 0, "no file is unsound, so this tests nothing")
        }
    }
}

/// Every file is 0600, whatever the umask; a program that may not read or write is told so.
func modesCheck(isLong: Bool) throws {
    for option in ["umask-0", "umask-777"] {
        let folder = Folder(onDisk: true)
        let writer = try Writer.start(folder.file, "a", 1_000_000, [option, "slow"])
        var looks = 0
        let start = ContinuousClock.now
        while looks < 300, ContinuousClock.now - start < .seconds(20) {
            for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
                var status = stat()
                guard stat(folder.path + "/" + name, &status) == 0 else { continue }
                // Under umask 777 a file is born with less and then given to its owner.
                require(status.st_mode & 0o177 == 0, "\(name) is \(String(status.st_mode & 0o777, radix: 8))")
                looks += 1
            }
            usleep(1000)
        }
        writer.process.terminate()
        require(try Writer.lines(writer.output).last?.hasPrefix("error") == false, "it did not write")
        require(looks >= 300, "no file was seen")
        var status = stat()
        require(stat(folder.file, &status) == 0 && status.st_mode & 0o777 == 0o600, "the file is not its owner's alone")
    }
    guard geteuid() == 0, FileManager.default.fileExists(atPath: "/usr/bin/setpriv") else {
        return print("modes: 0600 under umask 0 and 777; not root, so not as another user")
    }
    let nobody = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    let folder = Folder(onDisk: true)
    do { try folder.open().createSession("support") }
    let before = try Data(contentsOf: URL(filePath: folder.file))
    // Not even to be read; the owner's, but read-only; in a folder that nobody may write to.
    for (owner, mode, folderMode) in [(0, 0o600, 0o755), (65534, 0o400, 0o777), (65534, 0o600, 0o555)]
        as [(UInt32, UInt32, UInt32)]
    {
        chown(folder.file, owner, owner)
        chmod(folder.file, mode)
        chmod(folder.path, folderMode)
        let writer = try Writer.start(folder.file, "b", 1, under: nobody)
        let line = try Writer.lines(writer.output).last ?? ""
        print("modes: file \(String(mode, radix: 8)) of user \(owner), folder \(String(folderMode, radix: 8)): \(line)")
        require(line.hasPrefix("error SQLite error"), line)
        require(try Data(contentsOf: URL(filePath: folder.file)) == before, "the file was changed")
    }
    chmod(folder.path, 0o755)
    chmod(folder.file, 0o600)
    require(try folder.open().sessionExists("support"), "the session is gone")
}

/// Sixteen managers drop codes as fast as a slow disk lets them: whenever a page is moved into the file, the one who moves it
/// holds the write lock. For comparison the same with SQLite's own TRUNCATE, which goes on without the lock after its wait.
func checkpointsCheck(isLong: Bool) throws {
    faults_install_disk()
    for isControl in [false, true] {
        let folder = Folder()
        let managers = try (0..<16).map { _ in try folder.open() }
        for number in 0..<16 { try managers[number].createSession("\(number)") }
        var (pages, unlocked): (Int32, Int32) = (0, 0)
        faults_count_page_writes(&pages, &unlocked)
        faults_slow_disk(20_000)
        let end = ContinuousClock.now + .seconds(isLong ? 60 : 8)
        let threads = managers.enumerated().map { number, manager in
            Thread {
                for round in 0... {
                    guard ContinuousClock.now < end else { return }
                    do {
                        try manager.updateSession(
                            "\(number)",
                            SessionUpdates(status: .qrWaiting, qrCode: .set("2@\(round)"))
                        )
                        guard isControl else { continue }
                        // As a manager did before: a TRUNCATE that waits for a while, here a short one.
                        let shell = try PlainConnection(folder.file)
                        // Without a read it does not know of the log.
                        _ = try shell.query("SELECT count(*) FROM sessions")
                        sqlite3_busy_timeout(shell.handle, 20)
                        sqlite3_wal_checkpoint_v2(shell.handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
                    } catch {
                        require(isControl, "\(error)")
                    }
                }
            }
        }
        for thread in threads { thread.start() }
        while !threads.allSatisfy(\.isFinished) { usleep(10_000) }
        faults_slow_disk(0)
        faults_count_page_writes(&pages, &unlocked)
        let name = isControl ? "SQLite's own TRUNCATE, for comparison" : "ours"
        print("checkpoints of 16 managers, \(name): \(pages) pages moved, \(unlocked) of them without the write lock")
        if !isControl { require(pages > 0 && unlocked == 0, "a page was moved beside a writer") }
        if isControl { require(unlocked > 0, "none was moved without the lock, so this tests nothing") }
    }
}

/// A backup is killed at random moments: what it leaves has a known name, and the next one to that path replaces it.
func backupsCheck(isLong: Bool) throws {
    let folder = Folder(onDisk: true)
    let manager = try folder.open()
    for number in 0..<2_000 {
        try manager.createSession("\(number)")
    }
    var leftovers = 0
    for round in 0..<(isLong ? 300 : 30) {
        let writer = try Writer.start(folder.file, "a", 0, ["backups"])
        usleep(.random(in: 20_000...80_000))
        kill(writer.process.processIdentifier, SIGKILL)
        writer.process.waitUntilExit()
        require(!(try Writer.lines(writer.output)).contains { $0.hasPrefix("error") }, "a backup failed")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            .filter { !["", "-wal", "-shm"].map { "sessions.sqlite" + $0 }.contains($0) }
        for name in names {
            let path = folder.path + "/" + name
            if name.hasSuffix(".partial") {
                leftovers += 1
                try manager.backUp(to: String(path.dropLast(8)))
                require(!FileManager.default.fileExists(atPath: path), "\(name) is still there")
            } else if !name.hasSuffix(".partial-journal") {
                require(
                    try SessionManager(storage: .file(path: path)).getAllSessions().count == 2_000,
                    "\(name) is not whole"
                )
            }
        }
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.contains("partial") }
        require(left.isEmpty, "round \(round): \(left)")
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) where name.contains("copy") {
            unlink(folder.path + "/" + name)
        }
    }
    print("killed backups: \(leftovers) left a partial file, each replaced by the next backup; every copy was whole")
    require(leftovers > 0, "nothing was killed at work")
}

/// What operators do to a file: another program drops SQLite's locks on it, a single file is mounted, a recovery is large.
func operatorsCheck(isLong: Bool) throws {
    // The host reads its own database, which drops its locks, and a shell that takes itself for the last deletes the log.
    let folder = Folder(onDisk: true)
    let manager = try folder.open()
    try manager.createSession("before")
    _ = try Data(contentsOf: URL(filePath: folder.file))
    let shell = try Writer.start(["/bin/sh", "-c", "sqlite3 \(folder.file) 'SELECT count(*) FROM sessions'"])
    let answer = try Writer.lines(shell.output)
    do {
        try manager.createSession("after")
        require(FileManager.default.fileExists(atPath: folder.file + "-wal"), "saved in a log that is gone")
        print("operators: the shell left the log in its place: \(answer)")
    } catch let error as DatabaseError {
        print("operators: a log that was deleted was noticed: \(error.message)")
    }

    // 2,000 sessions after a crash, 400 of which have a code: nothing goes to a temporary file.
    faults_install_disk()
    let large = Folder()
    let crowd = try large.open()
    for number in 0..<2_000 {
        try crowd.createSession("\(number)")
        if number % 5 == 0 {
            let code = "2@" + String(repeating: "x", count: 240)
            try crowd.updateSession("\(number)", SessionUpdates(status: .qrWaiting, qrCode: .set(code)))
        }
    }
    require(try crowd.recoverSessions().count == 2_000, "sessions are missing")
    require(faults_temporary_files() == 0, "SQLite opened \(faults_temporary_files()) temporary files")
    print("operators: 2,000 sessions recovered without a temporary file")

    let mounted = Folder(onDisk: true)
    do { try mounted.open().createSession("support") }
    let target = Folder(onDisk: true)
    let mount = try Writer.start([
        "/bin/sh", "-c", "touch \(target.file) && mount --bind \(mounted.file) \(target.file)",
    ])
    guard try Writer.lines(mount.output).isEmpty else { return print("operators: not root, so no file was mounted") }
    defer { _ = try? Writer.lines(Writer.start(["/bin/sh", "-c", "umount \(target.file)"]).output) }
    do {
        _ = try target.open()
        require(false, "a mounted file was opened")
    } catch let error as DatabaseError {
        print("operators: \(error.message)")
        require(error.message.contains("is mounted by itself"), "\(error)")
    }
}

/// Under strace: a new file's folder is synced, and a copy is synced before it gets its name and its folder after.
func syncsCheck(isLong: Bool) throws {
    guard FileManager.default.fileExists(atPath: "/usr/bin/strace") else {
        return print("syncs: not tried, there is no strace")
    }
    let folder = Folder(onDisk: true)
    let trace = folder.path + "/trace"
    let writer = try Writer.start(
        folder.file,
        "a",
        30,
        ["one-backup", "busy", "slow"],
        under: ["/usr/bin/strace", "-f", "-y", "-o", trace, "-e", "trace=openat,fsync,fdatasync,renameat2,futex"]
    )
    let lines = try Writer.lines(writer.output)
    require(!lines.contains { $0.hasPrefix("error") }, "\(lines)")
    let calls = try String(contentsOfFile: trace, encoding: .utf8).split(separator: "\n").map(String.init)
    func first(_ parts: String..., after index: Int = 0) -> Int {
        calls.indices.first { call in call >= index && parts.allSatisfy { calls[call].contains($0) } } ?? -1
    }
    // Codes were dropped, and the log is erased once a second at most.
    require(first("futex(", "FUTEX_WAIT", "tv_sec") >= 0, "nothing waited for a time")
    require(first("FUTEX_CLOCK_REALTIME", "tv_sec") < 0, "a wait lasts longer when the clock is set back")
    let created = first("openat", "sessions.sqlite\"", "O_CREAT|O_EXCL")
    let folderSync = first("fsync(", "<\(folder.path)>", after: created)
    let copySync = first("fsync(", ".copy.partial>")
    let renamed = first("renameat2", ".copy.partial")
    let lastSync = first("fsync(", "<\(folder.path)>", after: renamed)
    let order = [created, folderSync, copySync, renamed, lastSync]
    require(!order.contains(-1) && order == order.sorted(), "the calls came as \(order)")
    print("syncs: a new file's folder; a copy before it gets its name, and its folder after")

    var failures = 0
    for number in 1...calls.count(where: { $0.contains("fsync(") }) {
        let folder = Folder(onDisk: true)
        let writer = try Writer.start(
            folder.file,
            "a",
            0,
            ["one-backup"],
            under: [
                "/usr/bin/strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e",
                "inject=fsync:error=EIO:when=\(number)",
            ]
        )
        let failed = try Writer.lines(writer.output).contains { $0.hasPrefix("error") }
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.contains("copy") }
        require(left == (failed ? [] : ["sessions.sqlite.copy"]), "after the sync \(number): \(left)")
        if failed { failures += 1 }
    }
    require(failures >= 3, "only \(failures) syncs failed")
    print("syncs: \(failures) of them failed, and no part of a copy was left")
}

/// A forked child uses its parent's managers, and opens some of its own.
func forkCheck(isLong: Bool) throws {
    let folder = Folder(onDisk: true)
    // Before the first manager a child may do everything.
    try requireInChild("a child of a parent without a manager") {
        try SessionManager().createSession("child")
        try folder.open().createSession("child")
        return true
    }
    let memory = try SessionManager()
    func isRefused(_ open: () throws -> SessionManager) throws -> Bool {
        do {
            try open().createSession("child")
            return false
        } catch let error as DatabaseError {
            return error.message.contains("forked while a database was open")
        }
    }
    // The lock of SQLite's allocator may be held by a thread that the child doesn't have.
    try requireInChild("a child of a parent with a manager in memory") { try isRefused { try SessionManager() } }
    try requireInChild("a child's call, in memory") { refuses(memory) }
    let manager = try folder.open()
    try manager.createSession("parent")
    try requireInChild("a child's call") { refuses(manager) }
    try requireInChild("a child that opens a file") { try isRefused { try Folder(onDisk: true).open() } }
    let log = Folder(onDisk: true)
    var ended: SessionManager? = try log.open()
    try ended?.createSession("parent")
    try requireInChild("a child's end of the parent's manager") {
        ended = nil
        return FileManager.default.fileExists(atPath: log.file + "-wal")
    }
    // Threads that the child does not have are inside calls, and hold locks.
    for subject in [memory, manager] {
        let followers = try (0..<100).map { _ in try Followed(subject) }
        let threads = (0..<4).map { number in
            Thread {
                while !Thread.current.isCancelled { _ = try? subject.createSession("\(number)-\(UUID())") }
            }
        }
        for thread in threads { thread.start() }
        for _ in 0..<(isLong ? 1000 : 100) { try requireInChild("a child of busy threads") { refuses(subject) } }
        for thread in threads { thread.cancel() }
        while !threads.allSatisfy(\.isFinished) { usleep(1000) }
        for follower in followers { follower.stop() }
    }
    // What a child did not do to the parent's file: SQLite in the child would have taken no lock.
    let count = try manager.getAllSessions().count
    ended = nil
    try manager.createSession("after")
    require(try manager.isSound, "unsound")
    try manager.close()
    require(try folder.open().getAllSessions().count == count + 1, "a child changed the file")
    print("fork: children were refused at every call, none hung, the parent goes on")
}

private func refuses(_ manager: SessionManager) -> Bool {
    do {
        try manager.createSession("child")
        return false
    } catch {
        return (try? manager.getAllSessions()) == nil && (try? manager.recoverSessions()) == nil
            && (try? manager.close()) == nil
    }
}

private func requireInChild(_ what: String, _ body: () throws -> Bool) throws {
    // Swift hides `fork`, since a child can do little; little is what these do.
    let fork = unsafeBitCast(dlsym(nil, "fork"), to: (@convention(c) () -> Int32).self)
    fflush(nil)
    let child = fork()
    if child == 0 {
        // A child that hangs is ended.
        alarm(20)
        let isRight = (try? body()) ?? false
        // Not `_exit`, so that what the child covered is kept where coverage is measured.
        exit(isRight ? 42 : 1)
    }
    var status: Int32 = 0
    waitpid(child, &status, 0)
    require(status >> 8 == 42, "\(what) ended with \(status)")
}
