#if Postgres
import Foundation
import Synchronization
import WhatsAppSessions

/// Threads that each count the name of a session up, and a follower that keeps one cursor, while something happens to the server.
final class Load: Sendable {
    private struct State {
        var acknowledged: [Int]
        var failures: [String] = []
        var slowest = Duration.zero
        var isDone = false
        var running: Int
        /// How many changes the follower has seen, one after another, and what ended it.
        var followed = 0
        var end: String?
    }

    let manager: SessionManager
    private let state: Mutex<State>

    init(_ address: String, threads: Int = 32) throws {
        manager = try SessionManager(storage: .postgres(address))
        state = Mutex(State(acknowledged: Array(repeating: 0, count: threads), running: threads))
        for number in 0..<threads { try manager.createSession("\(number)") }
        let start = try manager.newestCursor()
        for number in 0..<threads { Thread { self.count(number) }.start() }
        Task.detached { await self.follow(start) }
    }

    private func count(_ number: Int) {
        while !state.withLock({ $0.isDone }) {
            let next = state.withLock { $0.acknowledged[number] } + 1
            let start = ContinuousClock.now
            do {
                try manager.updateSession("\(number)", SessionUpdates(name: .set("\(next)")))
                state.withLock { $0.acknowledged[number] = next }
            } catch {
                state.withLock { $0.failures.append("\(error)") }
            }
            let took = ContinuousClock.now - start
            state.withLock { $0.slowest = max($0.slowest, took) }
        }
        state.withLock { $0.running -= 1 }
    }

    private func follow(_ start: ChangeCursor) async {
        do {
            // Sessions of others are in the journal too, and the numbers have no gaps.
            var number: Int?
            for try await change in manager.changes(after: start) {
                let next = Int(change.cursor.description.split(separator: "-")[1])!
                require(number.map { $0 + 1 == next } ?? true, "the follower got \(next) after \(number ?? 0)")
                number = next
                guard Int(change.sessionID) != nil else { continue }
                state.withLock { $0.followed += 1 }
            }
        } catch {
            state.withLock { $0.end = "\(error)" }
        }
    }

    var total: Int { state.withLock { $0.acknowledged.reduce(0, +) } }

    /// Waits until each thread has been answered once more.
    func waitForAnswers() {
        let before = state.withLock { $0.acknowledged }
        for _ in 0..<1200 {
            if state.withLock({ zip($0.acknowledged, before).allSatisfy(>) }) { return }
            usleep(50_000)
        }
        require(false, "no answers for a minute: \(state.withLock { $0.failures.suffix(3) })")
    }

    struct Result {
        var acknowledged = 0, lost = 0, twice = 0, failures = 0, unseen = 0
        var slowest = Duration.zero
        var end: String?
    }

    /// Ends the load, and compares what was acknowledged with what the database has.
    func finish() throws -> Result {
        state.withLock { $0.isDone = true }
        while state.withLock({ $0.running > 0 }) { usleep(1000) }
        let ended = state.withLock { $0 }
        var result = Result(failures: ended.failures.count, slowest: ended.slowest, end: ended.end)
        var changes = 0
        for (number, acknowledged) in ended.acknowledged.enumerated() {
            let name = Int(try manager.getSession("\(number)")?.name ?? "0")!
            // Each update changes the name, so it is one change.
            let made = try manager.getChanges(of: "\(number)", limit: 1_000_000).count - 1
            result.acknowledged += acknowledged
            result.lost += max(0, acknowledged - min(name, made))
            result.twice += max(0, made - max(acknowledged, name))
            changes += made
        }
        for _ in 0..<200 where state.withLock({ $0.followed < changes && $0.end == nil }) { usleep(50_000) }
        result.unseen = state.withLock { changes - $0.followed }
        return result
    }
}

extension Load.Result: CustomStringConvertible {
    var description: String {
        """
        \(acknowledged) acknowledged, \(lost) lost, \(twice) made twice, \(failures) failed calls, slowest \
        \(Int(slowest / .milliseconds(1))) ms; one cursor: \(unseen) missing\(end.map { ", ended by \($0)" } ?? "")
        """
    }
}

/// The primary of three is killed under load, and a standby takes its place. With a synchronous standby nothing that was acknowledged is
/// lost, made twice or missed by a follower; without one something is, or this would show nothing.
func failoverCheck(isLong: Bool) throws {
    let cluster = try PostgresCluster(synchronous: true)
    let load = try Load(cluster.address)
    var longest = Duration.zero
    let count = isLong ? 10 : 2
    for _ in 0..<count {
        load.waitForAnswers()
        sleep(1)
        longest = max(longest, try cluster.failOver())
        load.waitForAnswers()
    }
    let result = try load.finish()
    print(
        "failover: \(count) times, at most \(Int(longest / .milliseconds(1))) ms until a standby was promoted: \(result)"
    )
    require(result.acknowledged > 1000, "too little happened")
    require(result.lost == 0 && result.twice == 0 && result.failures == 0, "the load lost something")
    require(result.unseen == 0 && result.end == nil, "the follower missed something")

    for attempt in 1...10 {
        let cluster = try PostgresCluster(synchronous: false)
        let load = try Load(cluster.address)
        load.waitForAnswers()
        try cluster.holdReplication()
        sleep(1)
        try cluster.failOver()
        load.waitForAnswers()
        let result = try load.finish()
        print("failover without a synchronous standby, for comparison: \(result)")
        if result.lost > 0 { return }
        require(attempt < 10, "nothing was lost without a synchronous standby either")
    }
}

/// The server is restarted, and its processes are ended, under load: nothing is lost, made twice or missed, and no call fails.
func restartCheck(isLong: Bool) throws {
    let folder = Folder(onDisk: true)
    let node = try PostgresNode.create("a", port: .random(in: 20_000...50_000), in: folder.path + "/servers")
    defer { node.killNow() }
    let load = try Load(node.address)
    for round in 0..<(isLong ? 20 : 5) {
        load.waitForAnswers()
        if round % 5 == 0 {
            try node.restart()
        } else if round % 5 == 1 {
            node.killNow()
            usleep(1_000_000)
            try node.start()
        } else {
            for _ in 0..<10 {
                try node.query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'whatsapp-sessions'"
                )
                usleep(100_000)
            }
        }
    }
    load.waitForAnswers()
    let result = try load.finish()
    print("restart: \(result)")
    require(result.acknowledged > 500, "too little happened")
    require(
        result.lost == 0 && result.twice == 0 && result.failures == 0 && result.unseen == 0,
        "the load lost something"
    )
    require(result.end == nil, "the follower ended")
}

/// A standby that never had the last changes is promoted. A cursor from before them goes on; one from among them expires, also once the
/// numbers have come that far again.
func lostFutureCheck(isLong: Bool) throws {
    let cluster = try PostgresCluster(synchronous: false)
    var manager = try SessionManager(storage: .postgres(cluster.address))
    for number in 0..<20 { try manager.createSession("kept-\(number)") }
    let kept = try manager.newestCursor()
    try cluster.waitForReplay()
    try cluster.holdReplication()
    for number in 0..<20 { try manager.createSession("lost-\(number)") }
    let lost = try manager.newestCursor()
    try cluster.failOver()

    let found = try manager.getAllSessions().map(\.id)
    require(found == (0..<20).map { "kept-\($0)" }, "the standby had \(found.count) sessions")
    for (cursor, isGood) in [(kept, true), (lost, false)] {
        require(isFollowed(cursor, by: manager) == isGood, "after the promotion: \(cursor)")
    }
    for number in 0..<40 { try manager.createSession("new-\(number)") }
    require(isFollowed(kept, by: manager) && !isFollowed(lost, by: manager), "once the numbers have come so far again")
    let changes = try manager.getChanges(after: kept, limit: 1000)
    require(changes.map(\.sessionID) == (0..<40).map { "new-\($0)" }, "the changes after the good cursor")
    // A process that comes later is told the same.
    try manager.close()
    manager = try SessionManager(storage: .postgres(cluster.address))
    require(isFollowed(kept, by: manager) && !isFollowed(lost, by: manager), "by another process")
    // And a cursor of the new history is good.
    require(isFollowed(changes[10].cursor, by: manager), "a cursor of the new history")
    print("lost-future: 20 changes were lost; the cursor before them goes on, the one among them expires")
}

private func isFollowed(_ cursor: ChangeCursor, by manager: SessionManager) -> Bool {
    do {
        _ = try manager.getChanges(after: cursor, limit: 1000)
        return true
    } catch {
        require(error is ChangeCursorExpiredError, "\(error)")
        return false
    }
}

/// The only synchronous standby is gone: a change waits, and the call says that its outcome is unknown; reads go on. Once the standby is back
/// it is made, once.
func standbyGoneCheck(isLong: Bool) throws {
    let cluster = try PostgresCluster(synchronous: true)
    // Then the server would not say that it gave up its wait.
    try cluster.primary.query("ALTER DATABASE postgres SET client_min_messages = error")
    let manager = try SessionManager(storage: .postgres(cluster.address))
    try manager.createSession("support")
    for standby in cluster.standbys { standby.killNow() }
    sleep(1)
    let answer = Mutex<String?>(nil)
    let start = ContinuousClock.now
    Thread {
        do {
            try manager.updateSession("support", SessionUpdates(name: .set("Ana")))
            answer.withLock { $0 = "made" }
        } catch {
            answer.withLock { $0 = "\(error)" }
        }
    }.start()
    sleep(3)
    require(try manager.getSession("support")?.name == nil, "a change was seen that no standby has")
    require(answer.withLock { $0 } == nil, "a change was acknowledged that no standby has")
    // Its wait is cancelled: the server answers that it is committed, with a warning.
    let cancelled = try cluster.primary.query(
        "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    )
    require(cancelled != "0", "nobody waits for the standby")
    sleep(1)
    require(answer.withLock { $0 } == nil, "a change was acknowledged whose wait for the standby was cancelled")
    if isLong {
        while answer.withLock({ $0 }) == nil { usleep(100_000) }
        let took = ContinuousClock.now - start
        let text = answer.withLock { $0 }!
        require(text.hasSuffix("the change may have been made"), text)
        require((.seconds(55)...(.seconds(70))).contains(took), "after \(took)")
        print("standby-gone: after \(took.components.seconds) s: \(text)")
    }
    for standby in cluster.standbys { try standby.start() }
    try cluster.waitForStandbys(2)
    if !isLong {
        while answer.withLock({ $0 }) == nil { usleep(10_000) }
        require(answer.withLock { $0 } == "made", answer.withLock { $0 }!)
    }
    let name = try manager.getSession("support")?.name
    require(name == "Ana", "once a standby is back: \(name ?? "no name")")
    require(try manager.getChanges(of: "support").count == 2, "it was made twice")
    print("standby-gone: no change was acknowledged or seen without a standby, and it was made once")
}

/// A host is stopped in the middle of its work, again and again: the other goes on.
func stoppedCheck(isLong: Bool) throws {
    let folder = Folder(onDisk: true)
    let node = try PostgresNode.create("a", port: .random(in: 20_000...50_000), in: folder.path + "/servers")
    defer { node.killNow() }
    let load = try Load(node.address, threads: 8)
    let other = try Writer.start([CommandLine.arguments[0], "postgres-writer", node.address]).process
    var longest = Duration.zero
    for _ in 0..<(isLong ? 20 : 4) {
        usleep(.random(in: 100_000...300_000))
        kill(other.processIdentifier, SIGSTOP)
        let start = ContinuousClock.now
        while ContinuousClock.now - start < .milliseconds(1200) {
            let before = ContinuousClock.now
            load.waitForAnswers()
            longest = max(longest, ContinuousClock.now - before)
        }
        kill(other.processIdentifier, SIGCONT)
    }
    require(other.isRunning, "the other host ended")
    kill(other.processIdentifier, SIGKILL)
    other.waitUntilExit()
    let result = try load.finish()
    print("stopped: the other host went on, its longest gap was \(Int(longest / .milliseconds(1))) ms: \(result)")
    require(longest < .seconds(1), "a host that was stopped held up the other")
    require(result.lost == 0 && result.twice == 0 && result.failures == 0, "the load lost something")
}

/// The program that is stopped: it changes a session as fast as it can, from eight threads.
func runPostgresWriter(_ address: String) throws -> Never {
    let manager = try SessionManager(storage: .postgres(address))
    for number in 0..<8 {
        try manager.createSession("other-\(number)")
        Thread {
            for turn in 0... {
                do {
                    try manager.updateSession("other-\(number)", SessionUpdates(name: .set("\(turn)")))
                } catch {
                    print(error)
                    exit(1)
                }
            }
        }.start()
    }
    while true { sleep(1000) }
}

/// What the server's log has of statements, at its most talkative: no QR code, no password.
func logsCheck(isLong: Bool) throws {
    let folder = Folder(onDisk: true)
    let node = try PostgresNode.create(
        "a",
        port: .random(in: 20_000...50_000),
        in: folder.path + "/servers",
        settings: ["log_statement": "all", "log_min_duration_statement": "0", "log_error_verbosity": "verbose"]
    )
    defer { node.killNow() }
    var refused: String?
    do {
        _ = try SessionManager(storage: .postgres(node.address))
    } catch {
        refused = "\(error)"
    }
    require(refused?.contains("QR codes") == true, "a server that logs values was opened")
    // As the documentation says.
    try node.query("ALTER DATABASE postgres SET log_parameter_max_length = 0")
    try node.query("ALTER DATABASE postgres SET log_parameter_max_length_on_error = 0")
    let manager = try SessionManager(storage: .postgres(node.address + " password=S3CRET"))
    try manager.createSession("support")
    let code = SessionUpdates(status: .qrWaiting, qrCode: .set("2@S3CRET"))
    try manager.updateSession("support", code)
    _ = try manager.getSession("support")
    _ = try? manager.updateSession("support", SessionUpdates(status: .connected, qrCode: .set("2@S3CRET")))
    _ = try? node.query("UPDATE whatsapp_sessions.sessions SET status = 'gone'")
    _ = try? node.query("UPDATE whatsapp_sessions.sessions SET wish = 'rest'")
    _ = try? node.query("INSERT INTO whatsapp_sessions.sessions (id, status, qr_code) VALUES (NULL, 'qr_waiting', 'x')")
    let log = node.log
    require(log.contains("update_sessions"), "the log has no statement")
    require(log.contains("unknown_status: "), "the log has no error")
    let lines = log.split(separator: "\n").filter { $0.contains("S3CRET") }
    require(lines.isEmpty, "the log shows \(lines.first ?? "")")
    print("logs: \(log.split(separator: "\n").count) lines, no code and no password")
}
#endif
