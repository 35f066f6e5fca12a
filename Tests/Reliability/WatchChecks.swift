import Foundation
import WhatsAppSessions

/// Changes that are followed while writers and followers are killed: none is missed, they come in order, and only the last
/// one before a kill may come again.
func watchCheck(isLong: Bool) throws {
    try followWithKills(changes: isLong ? 10_000 : 1_000, kills: isLong ? 100 : 20)
    try followKilledWriters(kills: isLong ? 1_000 : 60)
}

/// Eight processes write; a ninth follows, keeps its cursor, is killed and started again.
private func followWithKills(changes: Int, kills: Int) throws {
    let folder = Folder(onDisk: true)
    let manager = try folder.open()
    let start = try manager.snapshot().cursor
    try start.description.write(toFile: folder.path + "/cursor", atomically: true, encoding: .utf8)
    let writers = try (0..<8).map { try Writer.start(folder.file, "\($0)", changes, ["slow"]) }
    for _ in 0..<kills {
        let follower = try Writer.start([CommandLine.arguments[0], "follower", folder.file])
        usleep(.random(in: 0...200_000))
        kill(follower.process.processIdentifier, SIGKILL)
        follower.process.waitUntilExit()
        try follower.output.close()
    }
    for writer in writers {
        let last = try Writer.lines(writer.output).last
        require(last?.hasPrefix("slowest") == true, "a writer ended with \(last ?? "nothing")")
    }
    let end = try manager.snapshot().cursor
    let last = try Writer.start([CommandLine.arguments[0], "follower", folder.file, end.description])
    last.process.waitUntilExit()

    // One line for each change; a new follower begins with "start".
    var (numbers, ids, again, lives) = ([Int](), Set<String>(), 0, 0)
    var isFirst = false
    for line in try String(contentsOfFile: folder.path + "/followed", encoding: .utf8).split(separator: "\n") {
        if line == "start" {
            isFirst = true
            continue
        }
        let parts = line.split(separator: " ")
        let number = Int(parts[0].split(separator: "-")[1])!
        if isFirst, number == numbers.last {
            again += 1
        } else {
            require(number == (numbers.last ?? 0) + 1, "\(number) came after \(numbers.last ?? 0)")
            numbers.append(number)
            ids.insert(String(parts[1]))
        }
        if isFirst { lives += 1 }
        isFirst = false
    }
    require(numbers.count == 8 * changes && ids.count == 8 * changes, "\(numbers.count) changes, \(ids.count) sessions")
    require(lives > kills / 4, "only \(lives) followers saw a change")
    print(
        "followers: 8 processes made \(8 * changes) changes, a follower was killed \(kills) times, \(lives) saw some of them: 0 missed, 0 out of order, \(again) came again after a kill"
    )
}

/// The program that is killed: follows from the kept cursor on, and keeps the cursor of each change that it has noted.
func runFollower(_ arguments: [String]) async throws {
    let folder = URL(filePath: arguments[0]).deletingLastPathComponent().path
    let manager = try SessionManager(storage: .file(path: arguments[0]))
    let kept = try String(contentsOfFile: folder + "/cursor", encoding: .utf8)
    let followed = open(folder + "/followed", O_CREAT | O_WRONLY | O_APPEND, 0o600)
    func note(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        require(write(followed, bytes, bytes.count) == bytes.count, "cannot write")
    }
    note("start")
    if kept == arguments.dropFirst().first { return }
    for try await change in manager.changes(after: ChangeCursor(kept)!) {
        note("\(change.cursor) \(change.sessionID)")
        try change.cursor.description.write(toFile: folder + "/cursor", atomically: true, encoding: .utf8)
        if change.cursor.description == arguments.dropFirst().first { return }
    }
}

/// What a follower in this process was handed.
final class Followed: @unchecked Sendable {
    private let lock = NSLock()
    private var (changes, last): ([SessionChange], ChangeCursor?) = ([], nil)
    private var task: Task<Void, any Error>?

    var all: [SessionChange] { lock.withLock { changes } }

    /// Follows until it is stopped, and keeps what it is handed unless it is noted.
    init(_ manager: SessionManager, noting note: (@Sendable (SessionChange) -> Void)? = nil) throws {
        let start = try manager.snapshot().cursor
        task = Task { [weak self] in
            for try await change in manager.changes(after: start) {
                note?(change)
                self?.lock.withLock {
                    self?.last = change.cursor
                    if note == nil { self?.changes.append(change) }
                }
            }
        }
    }

    /// Waits for the change that a snapshot came after.
    func wait(for cursor: ChangeCursor) {
        for _ in 0..<6000 {
            if lock.withLock({ last == cursor }) { return }
            usleep(10_000)
        }
        require(false, "the change \(cursor) did not arrive")
    }

    func stop() { task?.cancel() }
}

extension ChangeCursor {
    var number: Int { Int(description.split(separator: "-")[1])! }
}

extension SessionManager {
    /// Whether the journal holds this change.
    func keeps(_ change: SessionChange) throws -> Bool {
        let before = ChangeCursor("\(change.cursor.description.split(separator: "-")[0])-\(change.cursor.number - 1)")!
        // One that it never had is in the future.
        return (try? getChanges(after: before, limit: 1)) == [change]
    }
}

/// kill −9 of writers beside a follower: what it saw is what the journal holds, and tells what became of each session.
private func followKilledWriters(kills: Int) throws {
    let folder = Folder(onDisk: true)
    let manager = try folder.open()
    try manager.createSession("first")
    let start = try manager.snapshot().cursor
    let followed = try Followed(manager)
    var acknowledged: Set<String> = []
    for kill in 0..<kills {
        let writer = try Writer.start(folder.file, "\(kill)", 1_000_000, [["busy"], ["threads"]][kill % 2])
        usleep(.random(in: 0...200_000))
        Foundation.kill(writer.process.processIdentifier, SIGKILL)
        acknowledged.formUnion(try Writer.lines(writer.output).filter { !$0.hasPrefix("slowest") })
        writer.process.waitUntilExit()
    }
    try manager.createSession("last")
    followed.wait(for: try manager.snapshot().cursor)
    followed.stop()
    let changes = followed.all
    let numbers = changes.map { Int64($0.cursor.number) }
    require(numbers == Array(2..<Int64(changes.count + 2)), "a change was missed")
    // The journal keeps the last 100,000.
    let kept = changes.suffix(99_000)
    let before = kept.count == changes.count ? start : changes[changes.count - kept.count - 1].cursor
    require(try Array(kept) == manager.getChanges(after: before, limit: .max), "the journal holds something else")
    let created = Set(changes.filter { $0.kind == .created }.map(\.sessionID))
    require(acknowledged.isSubset(of: created), "an acknowledged session was not followed")
    require(try manager.isSound, "the file is unsound")
    print(
        "killed writers: \(kills) kills, \(acknowledged.count) acknowledged sessions, \(changes.count) changes followed: 0 missed, 0 out of order"
    )
}

/// A day of QR codes, or four hours in the short form: 500 sessions wait, each with a new code every 20 seconds, as fast as
/// it goes. A follower in this process and one in another are there all the time. Once the last code is dropped none is left,
/// and the log has stayed short.
func dayCheck(isLong: Bool) throws {
    let folder = Folder()
    let manager = try folder.open()
    let counts = Acknowledgements(threads: 1)
    let followed = try Followed(manager) { _ in counts.acknowledge(0) }
    let start = try manager.snapshot().cursor
    let counter = try Writer.start([CommandLine.arguments[0], "counter", folder.file, start.description])
    let hours = isLong ? 24 : 4
    let (sessions, codes, threads) = (500, hours * 60 * 3, 8)
    for number in 0..<sessions { try manager.createSession("account-\(number)") }
    var longest = 0
    let done = DispatchGroup()
    for thread in 0..<threads {
        done.enter()
        Thread {
            for code in 0..<codes {
                for number in stride(from: thread, to: sessions, by: threads) {
                    let text = "2@SECRET-\(number)-\(code)-" + String(repeating: "x", count: 220)
                    _ = try! manager.updateSession(
                        "account-\(number)",
                        SessionUpdates(status: .qrWaiting, qrCode: .set(text))
                    )
                }
            }
            done.leave()
        }.start()
    }
    while done.wait(timeout: .now() + .milliseconds(20)) == .timedOut {
        longest = max(longest, size(folder.file + "-wal"))
    }
    for number in 0..<sessions {
        try manager.updateSession("account-\(number)", SessionUpdates(status: .initializing))
    }
    var left = 0
    for _ in 0..<1000 {
        left = try [folder.file, folder.file + "-wal"].reduce(0) { try $0 + occurrences(of: "2@SECRET", in: $1) }
        if left == 0 { break }
        usleep(10_000)
    }
    try manager.createSession("end")
    followed.wait(for: try manager.snapshot().cursor)
    followed.stop()
    let changes = sessions * (codes + 2) + 1
    let counted = try Writer.lines(counter.output)
    print(
        "\(hours) hours: \(sessions * codes) new codes, \(changes) changes, \(counts.all[0]) of them followed here and \(counted.last ?? "0") by another process, \(left) codes left; the log had at most \(longest >> 20) MiB"
    )
    require(counts.all[0] == changes && counted == ["\(changes)"], "not all was followed")
    require(left == 0, "codes are left")
    require(longest < 16 << 20, "the log grew to \(longest)")
}

/// Six threads of this process list 30,000 sessions without a pause, while a code is set or dropped every 20 ms: the log stays short,
/// and no code stays in it.
func listsCheck(isLong: Bool) throws {
    let folder = Folder(onDisk: true)
    let manager = try folder.open()
    let sessions = 30_000
    try manager.execute(
        """
        WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < \(sessions))
        INSERT INTO sessions (id, created_at) SELECT 'account-' || n, 0 FROM numbers
        """
    )
    let lists = Acknowledgements(threads: 6)
    let threads = (0..<6).map { number in
        Thread {
            while !Thread.current.isCancelled {
                require(try! manager.getAllSessions().count == sessions, "a list is not whole")
                lists.acknowledge(number)
            }
        }
    }
    for thread in threads { thread.start() }
    var (longest, slowest, changes) = (0, Duration.zero, 0)
    let end = ContinuousClock.now + .seconds(isLong ? 120 : 12)
    while .now < end {
        let id = "account-\(changes / 2 % sessions + 1)"
        let code = "2@SECRET-\(changes)-" + String(repeating: "x", count: 220)
        let start = ContinuousClock.now
        try manager.updateSession(
            id,
            changes % 2 == 0
                ? SessionUpdates(status: .qrWaiting, qrCode: .set(code)) : SessionUpdates(status: .connected)
        )
        slowest = max(slowest, .now - start)
        changes += 1
        longest = max(longest, size(folder.file + "-wal"))
        usleep(20_000)
    }
    if changes % 2 == 1 { try manager.recoverSessions() }
    // While the lists go on.
    var left = 0
    for _ in 0..<500 {
        left = try [folder.file, folder.file + "-wal"].reduce(0) { try $0 + occurrences(of: "2@SECRET", in: $1) }
        if left == 0 { break }
        usleep(10_000)
    }
    for thread in threads { thread.cancel() }
    while !threads.allSatisfy(\.isFinished) { usleep(1000) }
    print(
        """
        lists: \(lists.all.reduce(0, +)) of \(sessions) sessions beside \(changes) changes, the slowest \(slowest); \
        the log had at most \(longest >> 10) KiB, \(left) codes left
        """
    )
    require(left == 0, "codes are left")
    require(longest <= 8 << 20, "the log grew to \(longest)")
}

/// Counts the changes after a cursor up to the session "end".
func runCounter(_ arguments: [String]) async throws {
    let manager = try SessionManager(storage: .file(path: arguments[0]))
    var count = 0
    for try await change in manager.changes(after: ChangeCursor(arguments[1])!) {
        count += 1
        if change.sessionID == "end" { break }
    }
    print(count)
}

private func size(_ path: String) -> Int {
    var status = stat()
    return stat(path, &status) == 0 ? Int(status.st_size) : 0
}

/// `Data.range(of:)` takes minutes for this.
private func occurrences(of text: String, in path: String) throws -> Int {
    try Data(contentsOf: URL(filePath: path)).withUnsafeBytes { bytes in
        var (count, rest) = (0, bytes)
        while let found = memchr(rest.baseAddress!, Int32(text.utf8.first!), rest.count).map({ UnsafeRawPointer($0) }) {
            let left = rest.baseAddress! + rest.count - found
            if left >= text.utf8.count, memcmp(found, text, text.utf8.count) == 0 { count += 1 }
            rest = UnsafeRawBufferPointer(start: found + 1, count: left - 1)
        }
        return count
    }
}
