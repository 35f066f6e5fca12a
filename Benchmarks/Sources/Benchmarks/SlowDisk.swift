import Foundation
import GRDB
import WhatsAppSessions

/// What a disk that takes a millisecond a sync makes of durable changes and of reads beside them. `Benchmarks` runs itself
/// with the library SlowDisk preloaded for it.
struct SlowDisk: Codable {
    /// By the number of threads.
    var syncsPerChange: [Int: Double] = [:]
    var changesPerSecond: [Int: Double] = [:]
    var asyncSyncsPerChange = 0.0
    var poolChangesPerSecond = 0.0
    /// `getSession` in nanoseconds, median and 99th percentile.
    var idle: [Double] = []
    var besideWriters: [Double] = []
    /// The worst delay of a task that wakes each millisecond, in milliseconds, while another process holds the write lock
    /// for 5 s and a thousand tasks want to change the file.
    var heartbeat = 0.0

    static let threads = [1, 8, 32]

    /// Has another process measure, under the preloaded library.
    static func measureInOwnProcess(onlySyncs: Bool = false) throws -> SlowDisk {
        let process = Process()
        process.executableURL = Bundle.main.executableURL
        process.arguments = ["slow-disk"] + (onlySyncs ? ["syncs"] : [])
        let library = Bundle.main.executableURL!.deletingLastPathComponent().appending(path: "libSlowDisk.so").path
        process.environment = ProcessInfo.processInfo.environment.merging(
            ["LD_PRELOAD": library, "SLOW_DISK_MICROSECONDS": "1000"]
        ) { $1 }
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return try JSONDecoder().decode(SlowDisk.self, from: data)
    }

    /// Takes about a minute; only the syncs, a few seconds.
    static func measure(onlySyncs: Bool) async throws -> SlowDisk {
        let folder = FileManager.default.temporaryDirectory.appending(path: "Benchmarks-\(UUID())").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var result = SlowDisk()

        let manager = try SessionManager(storage: .file(path: folder + "/sessions.sqlite"))
        let ids = randomIDs(128)
        for id in ids { try await manager.createSession(id) }
        let codes = (0..<64).map { _ in SessionUpdates(status: .qrWaiting, qrCode: .set(randomQRCode())) }
        // Rounds in turns, so that a noisy moment hits all alike; the median of each.
        var rates: [Int: [Double]] = [:]
        var counts: [Int: [Double]] = [:]
        var poolRates: [Double] = []
        let pool = try GRDBPool(folder + "/pool.sqlite", ids)
        for _ in 0..<(onlySyncs ? 1 : 5) {
            for count in threads {
                let before = syncs()
                let (changes, seconds) = run(threads: count, for: 1) { thread, round in
                    _ = try! manager.updateSession(ids[thread * 4 + round % 4], codes[round % 64])
                }
                rates[count, default: []].append(Double(changes) / seconds)
                counts[count, default: []].append(Double(syncs() - before) / Double(changes))
            }
            let (changes, seconds) = run(threads: 32, for: 1) { thread, round in
                try! pool.update(ids[thread * 4 + round % 4], code: codes[round % 64].qrCode.change.value!)
            }
            poolRates.append(Double(changes) / seconds)
        }
        result.changesPerSecond = rates.mapValues(\.median)
        result.syncsPerChange = counts.mapValues(\.median)
        result.poolChangesPerSecond = poolRates.median

        let before = syncs()
        try await withThrowingTaskGroup { group in
            for number in 0..<1000 {
                group.addTask { _ = try await manager.updateSession(ids[number % 128], codes[number % 64]) }
            }
            try await group.waitForAll()
        }
        result.asyncSyncsPerChange = Double(syncs() - before) / 1000
        if onlySyncs { return result }

        result.idle = reads(manager, ids)
        let stop = Flag()
        let writers = (0..<4).map { number in
            Thread {
                var round = 0
                while !stop.isSet {
                    _ = try! manager.updateSession(ids[number], codes[round % 64])
                    round += 1
                }
            }
        }
        for writer in writers { writer.start() }
        result.besideWriters = reads(manager, ids)
        stop.set()
        while !writers.allSatisfy(\.isFinished) { usleep(1000) }

        result.heartbeat = try await worstHeartbeat(manager, folder + "/sessions.sqlite", ids)
        return result
    }

    /// Median and 99th percentile of 5,000 reads, with a pause between them as a server has.
    private static func reads(_ manager: SessionManager, _ ids: [String]) -> [Double] {
        var times: [Double] = []
        for round in 0..<5000 {
            let start = DispatchTime.now().uptimeNanoseconds
            _ = try! manager.getSession(ids[round % ids.count])
            times.append(Double(DispatchTime.now().uptimeNanoseconds - start))
            usleep(100)
        }
        times.sort()
        return [times[times.count / 2], times[times.count * 99 / 100]]
    }

    /// The other process is this program again.
    private static func worstHeartbeat(_ manager: SessionManager, _ path: String, _ ids: [String]) async throws
        -> Double
    {
        let holder = Process()
        holder.executableURL = Bundle.main.executableURL
        holder.arguments = ["hold-lock", path, "5"]
        let output = Pipe()
        holder.standardOutput = output
        try holder.run()
        _ = try output.fileHandleForReading.read(upToCount: 1)
        let heart = Task {
            var worst = Duration.zero
            while !Task.isCancelled {
                let start = ContinuousClock.now
                try? await Task.sleep(for: .milliseconds(1))
                worst = max(worst, .now - start)
            }
            return worst
        }
        try await withThrowingTaskGroup { group in
            for number in 0..<1000 {
                group.addTask {
                    _ = try await manager.updateSession(ids[number % 128], SessionUpdates(name: .set("\(number)")))
                }
            }
            try await group.waitForAll()
        }
        heart.cancel()
        holder.waitUntilExit()
        return await heart.value / .milliseconds(1)
    }

    /// Holds the write lock of a file for some seconds, and says when it has it.
    static func holdLock(_ path: String, seconds: Double) throws {
        let queue = try DatabaseQueue(path: path)
        try queue.inDatabase { database in
            try database.execute(sql: "BEGIN IMMEDIATE")
            FileHandle.standardOutput.write(Data("x".utf8))
            Thread.sleep(forTimeInterval: seconds)
            try database.execute(sql: "COMMIT")
        }
    }

    /// How often `body` was run by so many threads, and in what time.
    private static func run(
        threads count: Int,
        for seconds: Double,
        _ body: @escaping @Sendable (Int, Int) -> Void
    ) -> (changes: Int, seconds: Double) {
        let stop = Flag()
        let done = DispatchGroup()
        let changes = Counter()
        let start = ContinuousClock.now
        for thread in 0..<count {
            done.enter()
            Thread {
                var round = 0
                while !stop.isSet {
                    body(thread, round)
                    round += 1
                }
                changes.add(round)
                done.leave()
            }.start()
        }
        Thread.sleep(forTimeInterval: seconds)
        stop.set()
        done.wait()
        return (changes.value, (ContinuousClock.now - start) / .seconds(1))
    }

    /// The syncs of this process so far, as the preloaded library counts them.
    private static func syncs() -> Int {
        let count = dlsym(nil, "slow_disk_syncs")!
        return unsafeBitCast(count, to: (@convention(c) () -> Int).self)()
    }
}

/// GRDB's pool, tuned by hand, doing what an update does.
private struct GRDBPool: Sendable {
    private let pool: DatabasePool

    init(_ path: String, _ ids: [String]) throws {
        var configuration = Configuration()
        configuration.prepareDatabase { try $0.execute(sql: "PRAGMA synchronous = FULL") }
        pool = try DatabasePool(path: path, configuration: configuration)
        try pool.write { database in
            try database.execute(sql: Schema.sql)
            for id in ids {
                try database.execute(sql: "INSERT INTO sessions (id, created_at) VALUES (?, 0)", arguments: [id])
            }
        }
        try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
    }

    func update(_ id: String, code: String) throws {
        try pool.writeWithoutTransaction { database in
            try database.cachedStatement(
                sql: "UPDATE sessions SET status = 'qr_waiting', qr_code = ?2 WHERE id = ?1"
            ).execute(arguments: [id, code])
        }
    }
}

private final class Flag: @unchecked Sendable {
    private let lock = NSLock()
    private var value = false
    var isSet: Bool { lock.withLock { value } }
    func set() { lock.withLock { value = true } }
}

private final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private var sum = 0
    var value: Int { lock.withLock { sum } }
    func add(_ number: Int) { lock.withLock { sum += number } }
}
