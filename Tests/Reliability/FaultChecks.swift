import Foundation
import WhatsAppSessions
import WhatsAppSessionsFaults
import WhatsAppSessionsSQLite

private let steps = 14

private final class FirstError: @unchecked Sendable {
    private let lock = NSLock()
    private var errors: [any Error] = []
    var all: [any Error] { lock.withLock { errors } }
    func note(_ error: any Error) { lock.withLock { errors.append(error) } }
}

/// One run of the workload on a disk or a memory that fails: an error or success at every step, a sound file with all that
/// was acknowledged, and a manager that goes on when the fault is over.
private func tryWorkload(
    _ states: [[String]],
    threads: Int,
    arm: () -> Void,
    disarm: () -> Void
) throws -> Bool {
    let folder = Folder()
    let acknowledgements = Acknowledgements(threads: threads)
    let errors = FirstError()
    arm()
    let opened = Result { try folder.open() }
    if let manager = try? opened.get() {
        takeSteps(steps, threads: threads, on: manager) {
            acknowledgements.acknowledge($0)
        } failed: {
            errors.note($0)
        }
    } else if case .failure(let error) = opened {
        errors.note(error)
    }
    disarm()
    for error in errors.all { require(error is DatabaseError, "\(error)") }
    // The step that failed may be done after all only if its error says so. Each thread ends with its first error.
    let isUnknown = errors.all.contains { ($0 as? DatabaseError)?.isOutcomeUnknown == true }
    func check(_ manager: SessionManager, _ whose: String) throws {
        for (thread, acknowledged) in acknowledgements.all.enumerated() {
            let state = try Workload.state(manager, prefix: threads == 1 ? "" : "t\(thread)-")
            require(
                states[acknowledged...].prefix(isUnknown ? 2 : 1).contains(state),
                "\(whose): \(acknowledged) steps were acknowledged, found \(state)"
            )
        }
        require(try manager.isSound, "\(whose): unsound")
    }
    // What a crash at this moment would leave: a commit that failed must not come back.
    let crashed = Folder()
    func copyFiles() throws {
        for suffix in ["", "-wal"] where FileManager.default.fileExists(atPath: folder.file + suffix) {
            try FileManager.default.copyItem(atPath: folder.file + suffix, toPath: crashed.file + suffix)
        }
    }
    if let manager = try? opened.get() {
        // While the connection that writes is held, no upkeep moves pages from one to the other.
        try manager.withHandle { _ in try copyFiles() }
    } else {
        try copyFiles()
    }
    try check(try crashed.open(), "a manager after a crash")
    if let manager = try? opened.get() {
        try check(manager, "the same manager")
        try manager.createSession("goes on")
        try manager.deleteSession("goes on")
    }
    try check(try folder.open(), "another manager")
    return !errors.all.isEmpty
}

/// Fails the first operation of a run, then a later one of another, and so on until no run gets that far. With several
/// threads a run has more operations, so fewer moments are tried.
private func failEach(
    _ what: String,
    threads: Int,
    every step: Int32 = 1,
    arm: (Int32) -> Void,
    disarm: () -> Int32
) throws {
    let states = try Workload.states(steps: steps)
    var (runs, failures) = (0, 0)
    let step = threads == 1 ? step : 7 * step
    var moment: Int32 = 1 - step
    var operations: Int32 = 0
    repeat {
        moment += step
        let hasFailed = try tryWorkload(states, threads: threads) {
            arm(moment)
        } disarm: {
            operations = disarm()
        }
        runs += 1
        if hasFailed { failures += 1 }
    } while operations >= moment
    print(
        "\(what), \(threads) thread\(threads == 1 ? "" : "s"): at \(runs) moments, \(failures) runs with an error, 0 lost, 0 unsound"
    )
    // With several threads a fault may hit nobody: each change is run again alone.
    require(runs > 20 && (failures > 0 || threads > 1), "nothing failed")
}

/// Every read, write, truncation and sync fails once, and for good; the disk is full; a read comes up short.
func diskCheck(isLong: Bool) throws {
    faults_install_disk()
    for (name, kind) in [("I/O error", FAULT_IO_ERROR), ("disk full", FAULT_FULL), ("short read", FAULT_SHORT_READ)] {
        for (forGood, threads) in [(false, 1), (true, 1), (false, 8), (true, 8)] {
            try failEach("\(name) \(forGood ? "for good" : "once")", threads: threads) { operation in
                faults_arm_disk(Int32(kind), operation, forGood ? 1 : 0)
            } disarm: {
                let operations = faults_disk_operations()
                faults_arm_disk(Int32(FAULT_NONE), 0, 0)
                return operations
            }
        }
    }
}

/// Every allocation of SQLite fails, or every eleventh in the short form, once and for good; with the rows in a file, and in
/// memory.
func memoryCheck(isLong: Bool) throws {
    faults_install_memory()
    func disarm() -> Int32 {
        let allocations = faults_allocations()
        faults_arm_memory(0, 0)
        return allocations
    }
    for (forGood, threads) in [(false, 1), (true, 1), (false, 8), (true, 8)] {
        let name = "out of memory \(forGood ? "for good" : "once")"
        try failEach(name, threads: threads, every: isLong ? 1 : 11) { allocation in
            faults_arm_memory(allocation, forGood ? 1 : 0)
        } disarm: {
            disarm()
        }
    }
    let states = try Workload.states(steps: steps)
    var moments: Int32 = 0
    var lost = 0
    var allocations: Int32 = 0
    repeat {
        moments += 1
        let manager = try SessionManager()
        var acknowledged = 0
        faults_arm_memory(moments, 0)
        while acknowledged < steps, (try? Workload.step(acknowledged, on: manager)) != nil { acknowledged += 1 }
        allocations = disarm()
        require(try Workload.state(manager) == states[acknowledged], "in memory: lost after \(acknowledged) steps")
        for step in acknowledged..<steps { try Workload.step(step, on: manager) }
        require(try Workload.state(manager) == states[steps], "in memory: it does not go on")
        if try lostByHeldTransaction(allocation: moments) { lost += 1 }
    } while allocations >= moments
    try failBackups()
    print("out of memory, rows in memory: at each of \(moments) moments, 0 lost")
    print("the same with a write transaction held open, for comparison: all lost at \(lost) of them")
    require(moments > 50 && lost > 0, "nothing failed")
}

/// Every allocation of a backup fails once: it throws and leaves nothing, or it is whole.
private func failBackups() throws {
    let folder = Folder()
    let manager = try SessionManager()
    for number in 0..<200 { try manager.createSession("\(number)") }
    var (moment, failures, allocations): (Int32, Int, Int32) = (0, 0, 0)
    repeat {
        moment += 1
        let copy = folder.path + "/copy-\(moment)"
        faults_arm_memory(moment, 0)
        let result = Result { try manager.backUp(to: copy) }
        allocations = faults_allocations()
        faults_arm_memory(0, 0)
        if (try? result.get()) == nil {
            failures += 1
            require(!FileManager.default.fileExists(atPath: copy), "a part of a copy is left")
        } else {
            require(try SessionManager(storage: .file(path: copy)).getAllSessions().count == 200, "a copy is not whole")
        }
    } while allocations >= moment
    require(failures > 20, "nothing failed")
    print("out of memory in a backup: at each of \(moment) moments, \(failures) threw and left nothing")
}

/// Why a manager in memory holds no write transaction open, which would make a change twice as fast: an allocation
/// that fails rolls all of it back.
private func lostByHeldTransaction(allocation: Int32) throws -> Bool {
    let connection = try PlainConnection(":memory:")
    try connection.execute("CREATE TABLE t (a TEXT NOT NULL UNIQUE); BEGIN; INSERT INTO t VALUES ('acknowledged')")
    faults_arm_memory(allocation, 0)
    try? connection.execute("INSERT INTO t VALUES ('another')")
    faults_arm_memory(0, 0)
    return try connection.query("SELECT count(*) FROM t WHERE a = 'acknowledged'") == "0"
}

/// A real disk that is full: a tmpfs of 256 KiB.
func fullDiskCheck(isLong: Bool) throws {
    let folder = Folder()
    let mount = try Writer.start(["/bin/sh", "-c", "mount -t tmpfs -o size=256k none \(folder.path)"])
    let answer = try Writer.lines(mount.output)
    guard answer.isEmpty else { return print("full disk: not tried, no file system can be mounted here: \(answer)") }
    defer { _ = try? Writer.lines(Writer.start(["/bin/sh", "-c", "umount -l \(folder.path)"]).output) }
    var acknowledged = 0
    let manager = try folder.open()
    do {
        while acknowledged < 100_000 {
            try manager.createSession("session-\(acknowledged)")
            acknowledged += 1
        }
        require(false, "the disk was never full")
    } catch let error as DatabaseError {
        require(.full ~= error.resultCode || .ioError ~= error.resultCode, "\(error)")
        print("full disk: after \(acknowledged) sessions: \(error)")
    }
    require(try manager.getAllSessions().count == acknowledged, "lost")
    require(try manager.isSound, "unsound")
    require(throws: { try manager.backUp(to: folder.path + "/copy") }, "a copy was made on a full disk")
    require(
        try FileManager.default.contentsOfDirectory(atPath: folder.path).allSatisfy { $0.hasPrefix("sessions.sqlite") },
        "a part of a copy is left"
    )
}

private func require(throws body: () throws -> Void, _ message: String) {
    do {
        try body()
        require(false, message)
    } catch {
        require(error is DatabaseError, "\(error)")
    }
}

/// Files with bytes flipped or cut by chance: each opens right or throws.
func damageCheck(isLong: Bool) throws {
    let runs = isLong ? 50_000 : 2_000
    let source = Folder()
    do {
        let manager = try source.open()
        for step in 0..<120 { try Workload.step(step, on: manager) }
    }
    let whole = Array(try Data(contentsOf: URL(filePath: source.file)))
    let folder = Folder()
    var (opened, thrown) = (0, 0)
    for run in 0..<runs {
        var bytes = whole
        if run % 4 == 0 {
            bytes.removeLast(.random(in: 1..<bytes.count))
        } else {
            for _ in 0..<Int.random(in: 1...8) { bytes[.random(in: 0..<bytes.count)] ^= UInt8.random(in: 1...255) }
        }
        for suffix in ["-wal", "-shm"] { unlink(folder.file + suffix) }
        try Data(bytes).write(to: URL(filePath: folder.file))
        do {
            let manager = try folder.open()
            _ = try manager.recoverSessions()
            for session in try manager.getAllSessions() {
                _ = try manager.getSession(session.id)
                _ = try manager.updateSession(session.id, SessionUpdates(name: .set("Ana")))
            }
            opened += 1
        } catch {
            require(
                error is DatabaseError || error is SessionNotFoundError || error is InvalidSessionUpdateError,
                "\(error)"
            )
            thrown += 1
        }
    }
    print("damage: \(runs) files, \(opened) opened, \(thrown) refused or threw, 0 crashes")
    require(opened > 0 && thrown > 0, "the damage was none")
}
