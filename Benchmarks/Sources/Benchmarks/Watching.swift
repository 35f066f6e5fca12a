import Foundation
import WhatsAppSessions

/// What it takes to follow the changes.
struct Watching {
    /// Median, from the call that changes until a follower in the same process has it, in memory.
    var microsecondsInProcess = 0.0
    /// The same for a change by another process: median and worst.
    var millisecondsBetweenProcesses: [Double] = []
    var changesPerSecond = 0.0
    /// Of an idle follower of a file, a second.
    var systemCalls = 0.0
    var idleMilliseconds = 0.0
    /// Time to `getAllSessions` with 1,000 sessions, a tenth of them connected.
    var getConnected = 0.0
    var count = 0.0

    /// Takes about half a minute.
    static func measure(folder: String) async throws -> Watching {
        var result = Watching()
        result.microsecondsInProcess = try await measureInProcess()
        result.changesPerSecond = try await measureFollowing()
        result.millisecondsBetweenProcesses = try await measureBetweenProcesses(folder + "/watched.sqlite")
        (result.systemCalls, result.idleMilliseconds) = try measureIdle(folder + "/idle.sqlite")
        (result.getConnected, result.count) = try await measureAsking()
        return result
    }

    private static func measureInProcess() async throws -> Double {
        let manager = try SessionManager()
        try await manager.createSession("a")
        let start = try await manager.snapshot().cursor
        let (arrivals, arrived) = AsyncStream.makeStream(of: UInt64.self)
        let follower = Task {
            for try await _ in manager.changes(after: start) { arrived.yield(DispatchTime.now().uptimeNanoseconds) }
        }
        var times: [Double] = []
        var iterator = arrivals.makeAsyncIterator()
        for round in 0..<2000 {
            // Time to begin to wait.
            try await Task.sleep(for: .microseconds(200))
            let start = DispatchTime.now().uptimeNanoseconds
            try await manager.updateSession("a", SessionUpdates(name: .set("\(round)")))
            times.append(Double(await iterator.next()! - start) / 1000)
        }
        follower.cancel()
        return times.median
    }

    /// Follows a full journal.
    private static func measureFollowing() async throws -> Double {
        let manager = try SessionManager()
        let start = try await manager.snapshot().cursor
        for id in randomIDs(100_000) { try await manager.createSession(id) }
        var rates: [Double] = []
        for _ in 0..<5 {
            let (nanoseconds, _) = try await time {
                var followed = 0
                for try await _ in manager.changes(after: start) {
                    followed += 1
                    if followed == 100_000 { break }
                }
            }
            rates.append(100_000 / nanoseconds * 1e9)
        }
        return rates.median
    }

    private static func measureBetweenProcesses(_ path: String) async throws -> [Double] {
        let manager = try SessionManager(storage: .file(path: path))
        try await manager.createSession("a")
        let start = try await manager.snapshot().cursor
        let changes = 60
        let process = Process()
        process.executableURL = Bundle.main.executableURL
        process.arguments = ["change", path, "\(changes)"]
        try process.run()
        var times: [Double] = []
        for try await _ in manager.changes(after: start) {
            let now = DispatchTime.now().uptimeNanoseconds
            // The clock is the same for all processes.
            let sent = try await manager.getSession("a").flatMap { UInt64($0.name ?? "") }!
            times.append(Double(now - sent) / 1e6)
            if times.count == changes { break }
        }
        process.waitUntilExit()
        return [times.median, times.max()!]
    }

    /// Changes a session at random moments, and writes the moment into its name. What `measureBetweenProcesses` starts.
    static func change(_ path: String, count: Int) throws {
        let manager = try SessionManager(storage: .file(path: path))
        for _ in 0..<count {
            usleep(.random(in: 200_000...400_000))
            let now = DispatchTime.now().uptimeNanoseconds
            try manager.updateSession("a", SessionUpdates(name: .set("\(now)")))
        }
    }

    /// Follows a file in which nothing happens, for some seconds. What `measureIdle` starts.
    static func idle(_ path: String, seconds: Int) async throws {
        let manager = try SessionManager(storage: .file(path: path))
        let start = try await manager.snapshot().cursor
        let follower = Task { for try await _ in manager.changes(after: start) {} }
        try await Task.sleep(for: .seconds(seconds))
        follower.cancel()
        try await follower.value
    }

    /// System calls and milliseconds of processor time, a second. The difference of two runs leaves out what starts and ends.
    private static func measureIdle(_ path: String) throws -> (Double, Double) {
        func measure(seconds: Int) throws -> (calls: Double, milliseconds: Double) {
            let output = try run(
                "strace",
                "-f",
                "-c",
                "-U",
                "calls",
                Bundle.main.executablePath!,
                "idle",
                path,
                "\(seconds)"
            )
            let calls = output.split(separator: "\n").last.flatMap { Double($0.split(separator: " ")[0]) }!
            let start = childrenMilliseconds()
            try run(Bundle.main.executablePath!, "idle", path, "\(seconds)")
            return (calls, childrenMilliseconds() - start)
        }
        let (short, long) = (try measure(seconds: 1), try measure(seconds: 6))
        return ((long.calls - short.calls) / 5, (long.milliseconds - short.milliseconds) / 5)
    }

    private static func childrenMilliseconds() -> Double {
        var usage = rusage()
        getrusage(RUSAGE_CHILDREN.rawValue, &usage)
        let seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec
        let microseconds = usage.ru_utime.tv_usec + usage.ru_stime.tv_usec
        return Double(seconds) * 1000 + Double(microseconds) / 1000
    }

    private static func measureAsking() async throws -> (Double, Double) {
        let manager = try SessionManager()
        for (number, id) in randomIDs(1000).enumerated() {
            try await manager.createSession(id)
            let code = SessionUpdates(status: .qrWaiting, qrCode: .set(randomQRCode()))
            try await manager.updateSession(id, number % 10 == 0 ? SessionUpdates(status: .connected) : code)
        }
        var ratios: [[Double]] = [[], []]
        for _ in 0..<101 {
            let all = try await time { _ = try await manager.getAllSessions() }.nanoseconds
            ratios[0].append(try await time { _ = try await manager.getSessions(status: .connected) }.nanoseconds / all)
            ratios[1].append(try await time { _ = try await manager.countSessions() }.nanoseconds / all)
        }
        return (ratios[0].median, ratios[1].median)
    }
}
