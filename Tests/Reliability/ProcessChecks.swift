import Foundation
import WhatsAppSessionsSQLite

@testable import WhatsAppSessions

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
        let writer = try Writer.start(folder.file, "\(kill)", 1_000_000, kill % 2 == 0 ? ["busy"] : [])
        usleep(.random(in: 0...40_000))
        Foundation.kill(writer.process.processIdentifier, SIGKILL)
        let lines = try Writer.lines(writer.output)
        writer.process.waitUntilExit()
        require(!lines.contains { $0.hasPrefix("error") }, "\(lines)")
        let manager = try folder.open()
        for number in 0..<lines.count where try !manager.sessionExists("\(kill)-\(number)") { lost += 1 }
        acknowledged += lines.count
        if try !manager.isSound { unsound += 1 }
    }
    print("kill -9: \(kills) kills, \(acknowledged) acknowledged writes, \(lost) lost, \(unsound) files unsound")
    require(lost == 0 && unsound == 0 && acknowledged > kills, "a kill lost something, or killed nothing at work")
}

/// Eight processes write to one file, with checkpoints, and shells read it.
func companyCheck(isLong: Bool) throws {
    for options in [["busy"], ["busy", "sqlite-handler"]] {
        let folder = Folder(onDisk: true)
        // Made beforehand, so that the first shell finds the table.
        _ = try folder.open()
        let writes = 2_000
        let writers = try (0..<8).map { try Writer.start(folder.file, "\($0)", writes, options) }
        var looks = 0
        var failedLooks = 0
        while writers.contains(where: \.process.isRunning) {
            let shell = try Writer.start([
                "/bin/sh", "-c", "sqlite3 \(folder.file) 'SELECT count(*) FROM session_overview'",
            ])
            let answer = try Writer.lines(shell.output)
            if answer.count != 1 || Int(answer[0]) == nil { failedLooks += 1 }
            looks += 1
            usleep(20_000)
        }
        let results = try writers.map { try Writer.lines($0.output) }
        let errors = results.filter { $0.last?.hasPrefix("slowest") != true }.compactMap(\.last)
        let slowest = results.compactMap { $0.last?.split(separator: " ").last }.compactMap { Int($0) }.max() ?? 0
        let manager = try folder.open()
        let rows = try manager.getAllSessions().count
        let name = options.count == 1 ? "our waiting" : "SQLite's own waiting, for comparison"
        print(
            "8 processes, \(name): \(rows) of \(8 * writes) writes there, \(errors.count) errors, slowest call \(slowest) ms, \(failedLooks) of \(looks) looks by a shell failed"
        )
        if options.count == 1 {
            require(errors.isEmpty && rows == 8 * writes && failedLooks == 0, "\(errors)")
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

/// A child that was forked uses its parent's manager.
func forkCheck(isLong: Bool) throws {
    let folder = Folder(onDisk: true)
    let manager = try folder.open()
    try manager.createSession("parent")
    // Swift hides `fork`, since a child can do little; little is what this one does.
    let fork = unsafeBitCast(dlsym(nil, "fork"), to: (@convention(c) () -> Int32).self)
    let child = fork()
    if child == 0 {
        do {
            try manager.createSession("child")
            _exit(1)
        } catch {
            _exit(error is DatabaseError ? 42 : 2)
        }
    }
    var status: Int32 = 0
    waitpid(child, &status, 0)
    require(status >> 8 == 42, "the child's call ended with \(status)")
    try manager.createSession("after")
    require(try manager.getAllSessions().map(\.id) == ["parent", "after"], "the child got through")
    print("fork: the child was refused, the parent goes on")
}
