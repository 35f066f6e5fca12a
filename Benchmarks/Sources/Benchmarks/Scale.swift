import Foundation
import WhatsAppSessions

/// What many sessions, callers or followers cost.
struct Scale {
    /// A start after a crash: `recoverSessions()` in a file with 100,000 live sessions, and with twice as many, in seconds.
    var recovery: [Double] = []
    /// Processor time of a durable change when 1,000 tasks make changes, in microseconds.
    var changeOfTask = 0.0
    /// From a change until 10,000 followers have it, in milliseconds, the median.
    var manyFollowers = 0.0
    /// A get in memory while a thread lists 100,000 sessions again and again, in milliseconds: the 99th percentile, and the worst.
    var getBesideLists: [Double] = []

    /// Takes about half a minute.
    static func measure(folder: String) async throws -> Scale {
        try await Scale(
            recovery: [100_000, 200_000].map { try measureRecovery($0, "\(folder)/recovered-\($0).sqlite") },
            changeOfTask: measureTasks(folder + "/tasks.sqlite"),
            manyFollowers: measureFollowers(10_000),
            getBesideLists: measureGetsBesideLists(100_000)
        )
    }

    private static func measureRecovery(_ sessions: Int, _ path: String) throws -> Double {
        try SessionManager(storage: .file(path: path)).close()
        try run(
            "sqlite3",
            path,
            """
            WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < \(sessions))
            INSERT INTO sessions (id, created_at, status, connected_at)
            SELECT 'account-' || number, 0, 'connected', 1 FROM numbers
            """
        )
        let start = ContinuousClock.now
        let manager = try SessionManager(storage: .file(path: path))
        let recovered = try manager.recoverSessions().count
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        precondition(recovered == sessions)
        return seconds
    }

    private static func measureTasks(_ path: String) async throws -> Double {
        let (tasks, changes) = (1000, 40)
        let manager = try SessionManager(storage: .file(path: path))
        let ids = randomIDs(tasks)
        for id in ids { try await manager.createSession(id) }
        let start = ownMicroseconds()
        try await withThrowingTaskGroup { group in
            for id in ids {
                group.addTask {
                    for number in 0..<changes {
                        try await manager.updateSession(id, SessionUpdates(name: .set("\(number)")))
                    }
                }
            }
            try await group.waitForAll()
        }
        return (ownMicroseconds() - start) / Double(tasks * changes)
    }

    /// The processor time of this process.
    static func ownMicroseconds() -> Double {
        var usage = rusage()
        getrusage(RUSAGE_SELF.rawValue, &usage)
        return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e6
            + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec)
    }

    private static func measureFollowers(_ count: Int) async throws -> Double {
        let manager = try SessionManager()
        try await manager.createSession("a")
        let start = try await manager.snapshot().cursor
        let (arrivals, arrived) = AsyncStream.makeStream(of: Void.self)
        let followers = (0..<count).map { _ in
            Task { for try await _ in manager.changes(after: start) { arrived.yield() } }
        }
        var iterator = arrivals.makeAsyncIterator()
        var times: [Double] = []
        for round in 0..<21 {
            // Time for all to begin to wait.
            try await Task.sleep(for: .milliseconds(200))
            let (nanoseconds, _) = try await time {
                try await manager.updateSession("a", SessionUpdates(name: .set("\(round)")))
                for _ in 0..<count { await iterator.next() }
            }
            times.append(nanoseconds / 1e6)
        }
        for follower in followers { follower.cancel() }
        return times.median
    }

    private static func measureGetsBesideLists(_ sessions: Int) async throws -> [Double] {
        let manager = try SessionManager()
        let ids = randomIDs(sessions)
        for id in ids { try await manager.createSession(id) }
        let lists = Task.detached { while !Task.isCancelled { _ = try await manager.getAllSessions() } }
        var times: [Double] = []
        for id in ids.sample(5000) {
            times.append(try await time { _ = try await manager.getSession(id) }.nanoseconds / 1e6)
            // A server has pauses too.
            if times.count % 20 == 0 { try await Task.sleep(for: .milliseconds(1)) }
        }
        lists.cancel()
        times.sort()
        return [times[times.count * 99 / 100], times[times.count - 1]]
    }
}
