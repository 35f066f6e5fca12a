import Foundation
import Testing
import WhatsAppSessionsSQLite

@testable import WhatsAppSessions

/// The write-ahead log: short, and free of QR codes that were dropped.
@Suite struct LogTests {
    let folder = TemporaryFolder()
    let code = "2@SECRET" + String(repeating: "x", count: 230)

    @Test(arguments: ["scanned", "refreshed", "cleared", "deleted", "recovered"])
    func `a dropped QR code soon leaves the file and its log, without another call`(how: String) throws {
        let manager = try folder.open()
        let id = try manager.createSession().id
        try manager.updateSession(id, SessionUpdates(status: .qrWaiting, qrCode: .set(code)))
        #expect(folder.contents.contains("SECRET"))
        switch how {
        case "scanned": try manager.updateSession(id, SessionUpdates(status: .connected))
        case "refreshed": try manager.updateSession(id, SessionUpdates(qrCode: .set("2@next")))
        case "cleared": try manager.updateSession(id, SessionUpdates(qrCode: .clear))
        case "deleted": try manager.deleteSession(id)
        default: try manager.recoverSessions()
        }
        #expect(eventually { !folder.contents.contains("SECRET") })
    }

    @Test func `only a change that drops something owes an erasure`() throws {
        let manager = try folder.open()
        func owed() -> LogUpkeep? {
            let file = manager.store as! FileDatabase
            return file.keeper.owed
        }
        try manager.createSession("a")
        try manager.createSession("b")
        try manager.updateSession("a", SessionUpdates(status: .qrWaiting, name: .set("Ana"), qrCode: .set(code)))
        try manager.updateSession("a", SessionUpdates(name: .set("Ana Souza"), qrCode: .set(code)))
        try manager.deleteSession("none")
        #expect(owed() == nil)
        // The writer is held, so that what is owed cannot be done before it is seen.
        let reader = try Connection.shell(folder.file)
        try reader.execute("BEGIN; SELECT * FROM sessions")
        try manager.deleteSession("b")
        #expect(owed() == .erase)
        try reader.execute("COMMIT")
    }

    @Test func `a reader in the way delays the erasure, not the change, and the code goes later without another call`()
        throws
    {
        let manager = try folder.open()
        let id = try manager.createSession().id
        try manager.updateSession(id, SessionUpdates(status: .qrWaiting, qrCode: .set(code)))
        let reader = try Connection.shell(folder.file)
        try reader.execute("BEGIN; SELECT * FROM sessions")
        #expect(try manager.updateSession(id, SessionUpdates(status: .connected)).qrCode == nil)
        // Behind the attempt that the change made due.
        usleep(100_000)
        try manager.updateSession(id, SessionUpdates(name: .set("Ana")))
        #expect(folder.contents.contains("SECRET"))
        try reader.execute("COMMIT")
        #expect(eventually { !folder.contents.contains("SECRET") })
    }

    @Test func `a code that a dead process left in the log goes when the file is opened`() throws {
        let other = TemporaryFolder()
        do {
            let manager = try folder.open()
            let id = try manager.createSession().id
            try manager.updateSession(id, SessionUpdates(status: .qrWaiting, qrCode: .set(code)))
            let reader = try Connection.shell(folder.file)
            try reader.execute("BEGIN; SELECT * FROM sessions")
            try manager.updateSession(id, SessionUpdates(status: .connected))
            for suffix in ["", "-wal"] {
                try FileManager.default.copyItem(atPath: folder.file + suffix, toPath: other.file + suffix)
            }
        }
        #expect(other.contents.contains("SECRET"))
        let manager = try other.open()
        #expect(eventually { !other.contents.contains("SECRET") })
        #expect(try manager.getAllSessions().count == 1)
    }

    @Test func `the end erases what is owed, also beside another manager`() throws {
        let other = try folder.open()
        do {
            let manager = try folder.open()
            let id = try manager.createSession().id
            try manager.updateSession(id, SessionUpdates(status: .qrWaiting, qrCode: .set(code)))
            try manager.updateSession(id, SessionUpdates(status: .connected))
        }
        #expect(!folder.contents.contains("SECRET"))
        #expect(try other.getAllSessions().count == 1)
    }

    @Test func `a long log is started over instead of grown, and keeps its length`() throws {
        let manager = try folder.open()
        let id = try manager.createSession().id
        var largest = 0
        for number in 0..<400 {
            try manager.updateSession(id, SessionUpdates(name: .set(String(repeating: "\(number % 7)", count: 40_000))))
            largest = max(largest, size(folder.file + "-wal"))
        }
        // Before SQLite with its defaults would make a checkpoint; and the changes do not wait for upkeep.
        let limit = FileWriter.logSize(pages: 900, 4096)
        #expect(limit < 1000 * 4096)
        #expect(largest > limit)
        #expect(largest < 3 * limit)
        #expect(
            try eventually {
                try manager.updateSession(id, SessionUpdates(name: .set("short")))
                let file = manager.store as! FileDatabase
                return file.keeper.owed == nil
            }
        )
        let length = size(folder.file + "-wal")
        for number in 0..<20 { try manager.updateSession(id, SessionUpdates(name: .set("\(number)"))) }
        #expect(size(folder.file + "-wal") == length)
        #expect(length > limit)
    }

    @Test func `a long log is started over while an erasure waits`() throws {
        let manager = try folder.open()
        try manager.createSession("a")
        try manager.updateSession("a", SessionUpdates(status: .qrWaiting))
        var largest = 0
        for number in 0..<800 {
            let name = String(repeating: "\(number % 7)", count: 40_000)
            try manager.updateSession("a", SessionUpdates(name: .set(name), qrCode: .set("2@\(number)")))
            largest = max(largest, size(folder.file + "-wal"))
        }
        #expect(largest < 12 * 1024 * 1024)
    }

    @Test func `no page is moved into the file beside a writer`() throws {
        let manager = try folder.open()
        let id = try manager.createSession().id
        try manager.updateSession(id, SessionUpdates(status: .qrWaiting, qrCode: .set(code)))
        let maintenance = try Maintenance(folder)
        let other = try Connection.shell(folder.file)
        try other.execute("BEGIN IMMEDIATE")
        let before = FileManager.default.contents(atPath: folder.file)
        #expect(throws: DatabaseError.self) {
            try maintenance.run(.erase, for: .milliseconds(20))
        }
        #expect(FileManager.default.contents(atPath: folder.file) == before)
        try other.execute("COMMIT")
        #expect(try maintenance.run(.erase))
        #expect(FileManager.default.contents(atPath: folder.file) != before)
        // A reader that sees an older state keeps pages in the log.
        try other.execute("BEGIN; SELECT * FROM sessions")
        try manager.updateSession(id, SessionUpdates(name: .set("Ana")))
        #expect(try !maintenance.run(.startOver))
        #expect(try !maintenance.run(.erase))
        // One that sees the last state keeps the log from starting over.
        try other.execute("COMMIT; BEGIN; SELECT * FROM sessions")
        #expect(try !maintenance.run(.startOver))
        #expect(try !maintenance.run(.erase))
        try other.execute("COMMIT")
        #expect(try maintenance.run(.erase))
    }

    @Test func `another file's log is not erased, even if it takes the name in the middle`() throws {
        let manager = try folder.open()
        let id = try manager.createSession().id
        for number in 0..<20 { try manager.updateSession(id, SessionUpdates(name: .set("\(number)"))) }
        let other = TemporaryFolder()
        let another = try other.open()
        try another.createSession("another")
        let log = try Data(contentsOf: URL(filePath: other.file + "-wal"))
        let maintenance = try Maintenance(folder)
        var drains = 0
        #expect(throws: DatabaseError.self) {
            try maintenance.run(.erase) {
                // After the pages were copied, and before the log is started over.
                drains += 1
                guard drains == 2 else { return }
                for suffix in ["", "-wal", "-shm"] {
                    rename(folder.file + suffix, folder.file + ".old" + suffix)
                    rename(other.file + suffix, folder.file + suffix)
                }
            }
        }
        #expect(try Data(contentsOf: URL(filePath: folder.file + "-wal")) == log)
        #expect(try another.query("SELECT count(*) FROM sessions") == "1")
    }

    @Test func `reads that follow one another without a pause keep no code in the log`() throws {
        let manager = try folder.open()
        for number in 0..<500 { try manager.createSession("\(number)") }
        let stop = Lock(false)
        let threads = (0..<3).map { _ in
            Thread { while !stop.withLock({ $0 }) { _ = try? manager.getAllSessions() } }
        }
        for thread in threads { thread.start() }
        try manager.updateSession("7", SessionUpdates(status: .qrWaiting, qrCode: .set(code)))
        try manager.updateSession("7", SessionUpdates(status: .connected))
        #expect(eventually { !folder.contents.contains("SECRET") })
        stop.withLock { $0 = true }
        while !threads.allSatisfy(\.isFinished) { usleep(1000) }
    }

    @Test func `an erased log keeps its length, up to where it is long, and holds zeros`() throws {
        let manager = try folder.open()
        let id = try manager.createSession().id
        let maintenance = try Maintenance(folder)
        for (count, expected) in [(3, 0..<1_000_000), (200, 3_708_032..<3_708_033)] {
            for number in 0..<count {
                try manager.updateSession(
                    id,
                    SessionUpdates(name: .set(String(repeating: "\(number % 7)", count: 40_000)))
                )
            }
            let before = size(folder.file + "-wal")
            #expect(try maintenance.run(.erase))
            let log = try Data(contentsOf: URL(filePath: folder.file + "-wal"))
            #expect(log.count <= before && expected.contains(log.count) && log.count > 100_000)
            #expect(log.dropFirst(4152).allSatisfy { $0 == 0 })
        }
        #expect(try manager.getAllSessions().count == 1)
        #expect(try manager.withConnection { try $0.pragma("integrity_check") } == "ok")
    }

    // MARK: When

    @Test func `an erasure is due at once, then at most once a second`() {
        var schedule = LogUpkeepSchedule()
        let start = ContinuousClock.now
        #expect(schedule.begin(now: start) == nil && schedule.next == nil)
        schedule.owe(.erase, now: start)
        schedule.owe(.erase, now: start + .milliseconds(1))
        #expect(schedule.next == start)
        #expect(schedule.begin(now: start) == .erase)
        #expect(schedule.owed == .erase && schedule.next == nil)
        schedule.end(success: true, now: start)
        #expect(schedule.owed == nil && schedule.next == nil)
        #expect(schedule.begin(now: start + .seconds(9)) == nil)
        schedule.owe(.erase, now: start + .milliseconds(10))
        #expect(schedule.next == start + .seconds(1))
        #expect(schedule.begin(now: start + .milliseconds(999)) == nil)
        #expect(schedule.begin(now: start + .seconds(1)) == .erase)
        schedule.end(success: true, now: start + .seconds(1))
        schedule.owe(.erase, now: start + .seconds(7))
        #expect(schedule.next == start + .seconds(7))
    }

    @Test func `what is owed while upkeep is under way is owed anew`() {
        var schedule = LogUpkeepSchedule()
        let start = ContinuousClock.now
        schedule.owe(.erase, now: start)
        #expect(schedule.begin(now: start) == .erase)
        schedule.owe(.erase, now: start)
        schedule.end(success: true, now: start)
        #expect(schedule.owed == .erase)
        #expect(schedule.next == start + .seconds(1))
        schedule.owe(.startOver, now: start)
        #expect(schedule.begin(now: start) == .startOver)
        #expect(schedule.owed == .erase)
        schedule.owe(.startOver, now: start + .milliseconds(1))
        schedule.end(success: true, now: start + .milliseconds(2))
        #expect(schedule.next == start + .milliseconds(1))
    }

    @Test func `a long log is started over at once, also while an erasure has to wait`() {
        var schedule = LogUpkeepSchedule()
        let start = ContinuousClock.now
        schedule.owe(.erase, now: start)
        #expect(schedule.begin(now: start) == .erase)
        schedule.end(success: true, now: start)
        schedule.owe(.erase, now: start)
        let now = start + .milliseconds(100)
        schedule.owe(.startOver, now: now)
        #expect(schedule.next == now)
        #expect(schedule.owed == .erase)
        #expect(schedule.begin(now: now) == .startOver)
        schedule.end(success: true, now: now)
        #expect(schedule.next == start + .seconds(1))
        #expect(schedule.owed == .erase)
        // To erase is to start over too.
        schedule.owe(.startOver, now: start + .seconds(1))
        #expect(schedule.begin(now: start + .seconds(1)) == .erase)
        schedule.end(success: true, now: start + .seconds(1))
        #expect(schedule.next == nil)
        schedule.owe(.startOver, now: now)
        #expect(schedule.owed == .startOver)
        #expect(schedule.begin(now: now) == .startOver)
        #expect(schedule.owed == .startOver)
    }

    @Test func `after a failure the pause doubles to about a minute, and a success ends it`() {
        var schedule = LogUpkeepSchedule()
        var now = ContinuousClock.now
        schedule.owe(.erase, now: now)
        for pause in [8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 65_536] {
            #expect(schedule.begin(now: now) == .erase)
            schedule.end(success: false, now: now)
            schedule.owe(.erase, now: now)
            #expect(schedule.next == now + .milliseconds(pause))
            #expect(schedule.begin(now: now) == nil)
            now += .milliseconds(pause)
        }
        #expect(schedule.begin(now: now) == .erase)
        schedule.end(success: true, now: now)
        schedule.owe(.erase, now: now)
        #expect(schedule.next == now + .seconds(1))
        now += .seconds(1)
        #expect(schedule.begin(now: now) == .erase)
        schedule.end(success: false, now: now)
        #expect(schedule.next == now + .milliseconds(8))
        // A long log whose start is in the way of a reader is not tried at every change.
        schedule.owe(.startOver, now: now)
        #expect(schedule.begin(now: now) == .startOver)
        schedule.end(success: false, now: now)
        schedule.owe(.startOver, now: now)
        #expect(schedule.next == now + .milliseconds(16))
    }

    @Test func `an erasure that failed is tried again once the log could be started over`() {
        var schedule = LogUpkeepSchedule()
        var now = ContinuousClock.now
        schedule.owe(.erase, now: now)
        for _ in 0..<14 {
            now = schedule.next ?? now
            #expect(schedule.begin(now: now) == .erase)
            schedule.end(success: false, now: now)
        }
        #expect(schedule.begin(now: now + .seconds(60)) == nil)
        schedule.owe(.startOver, now: now)
        #expect(schedule.begin(now: now + .seconds(1)) == .startOver)
        schedule.end(success: true, now: now + .seconds(1))
        #expect(schedule.begin(now: now + .seconds(1)) == .erase)
    }
}

/// Upkeep as a manager does it, when a test wants it.
private struct Maintenance {
    let writer: FileWriter
    let checkpointer: FileConnection

    init(_ folder: TemporaryFolder) throws {
        let file = try DatabasePath(folder.file)
        writer = try FileWriter(FileConnection(file), file.look(), LogKeeper())
        checkpointer = try FileConnection(readerOf: file, file.look(), until: .now)
    }

    func run(_ upkeep: LogUpkeep, for patience: Duration = .seconds(60), drain: () -> Void = {}) throws -> Bool {
        try writer.maintainLog(upkeep, checkpointer: checkpointer, until: .now + patience, drain: drain)
    }
}
