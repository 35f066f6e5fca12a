#if Postgres
import Foundation
import WhatsAppSessions

/// Load on sessions in PostgreSQL, for `Benchmarks/postgres.py`, which measures the servers meanwhile.
enum PostgresLoad {
    private static let sessions = 1000

    /// What came of it, as JSON.
    private struct Result: Encodable {
        var count = 0
        var seconds = 0.0
        /// Processor time of this process for each operation.
        var clientMicroseconds = 0.0
        /// Of a follower of another host: how long a change takes to reach it.
        var medianMilliseconds: Double?
    }

    /// - Parameter arguments: The address, `update`, `get`, `create`, `latency` or `follow`, how many callers, and for how many seconds.
    static func run(_ arguments: [String]) async throws {
        let (address, operation) = (arguments[0], arguments[1])
        let (callers, seconds) = (Int(arguments[2])!, Double(arguments[3])!)
        let manager = try SessionManager(storage: .postgres(address))
        let result =
            switch operation {
            case "latency": try await latency(manager, address, seconds: seconds)
            case "follow": try await follow(manager, followers: callers, seconds: seconds)
            default: try await load(manager, operation, callers: callers, seconds: seconds)
            }
        print(String(decoding: try JSONEncoder().encode(result), as: UTF8.self))
    }

    private static func load(
        _ manager: SessionManager,
        _ operation: String,
        callers: Int,
        seconds: Double
    ) async throws -> Result {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<sessions {
                group.addTask {
                    if try await !manager.sessionExists("session-\(number)") {
                        try await manager.createSession("session-\(number)")
                    }
                }
            }
            try await group.waitForAll()
        }
        // The first second fills caches and opens connections.
        _ = try await round(manager, operation, callers: callers, seconds: 1)
        // What the servers have done so far is not measured.
        FileHandle.standardOutput.write(Data("ready\n".utf8))
        return try await round(manager, operation, callers: callers, seconds: seconds)
    }

    private static func round(
        _ manager: SessionManager,
        _ operation: String,
        callers: Int,
        seconds: Double
    ) async throws -> Result {
        let (start, startTime) = (Scale.ownMicroseconds(), ContinuousClock.now)
        let end = startTime + .seconds(seconds)
        let count = try await withThrowingTaskGroup(of: Int.self) { group in
            for caller in 0..<callers {
                group.addTask {
                    var turn = caller
                    while .now < end {
                        let id = "session-\((turn &* 7919) % sessions)"
                        switch operation {
                        case "get": _ = try await manager.getSession(id)
                        case "create": try await manager.createSession()
                        default: try await manager.updateSession(id, SessionUpdates(name: .set("Ana \(turn)")))
                        }
                        turn += callers
                    }
                    return (turn - caller) / callers
                }
            }
            return try await group.reduce(0, +)
        }
        return Result(
            count: count,
            seconds: startTime.duration(to: .now) / .seconds(1),
            clientMicroseconds: (Scale.ownMicroseconds() - start) / Double(count)
        )
    }

    /// A change by one host until a follower of another has it.
    private static func latency(
        _ manager: SessionManager,
        _ address: String,
        seconds: Double
    ) async throws -> Result {
        let other = try SessionManager(storage: .postgres(address))
        let id = "latency"
        if try await !manager.sessionExists(id) { try await manager.createSession(id) }
        var times: [Double] = []
        let end = ContinuousClock.now + .seconds(seconds)
        var next = try await other.snapshot().cursor
        while .now < end {
            // At any moment between two looks.
            try await Task.sleep(for: .milliseconds(Int.random(in: 0..<100)))
            let after = next
            async let arrived: (ChangeCursor, ContinuousClock.Instant)? = {
                for try await change in other.changes(after: after) { return (change.cursor, .now) }
                return nil
            }()
            try await Task.sleep(for: .milliseconds(Int.random(in: 20..<220)))
            try await manager.updateSession(id, SessionUpdates(name: .set("\(times.count)")))
            let made = ContinuousClock.now
            guard let (cursor, instant) = try await arrived else { break }
            next = cursor
            times.append(max(0, made.duration(to: instant) / .milliseconds(1)))
        }
        times.sort()
        return Result(count: times.count, seconds: seconds, medianMilliseconds: times[times.count / 2])
    }

    /// A host with followers, to whom nothing comes.
    private static func follow(_ manager: SessionManager, followers: Int, seconds: Double) async throws -> Result {
        let start = try await manager.snapshot().cursor
        let began = Scale.ownMicroseconds()
        let tasks = (0..<followers).map { _ in Task { for try await _ in manager.changes(after: start) {} } }
        try await Task.sleep(for: .seconds(seconds))
        for task in tasks { task.cancel() }
        return Result(
            count: followers,
            seconds: seconds,
            clientMicroseconds: (Scale.ownMicroseconds() - began) / seconds
        )
    }
}
#endif
