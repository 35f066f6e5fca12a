import Foundation
import Testing
import WhatsAppSessionsSQLite

@testable import WhatsAppSessions

/// A file that others use too, or take away.
@Suite struct SharingTests {
    let folder = TemporaryFolder()

    // MARK: Locks

    @Test func `a change waits for a writer that holds the lock, then goes on, and reads do not wait`() async throws {
        let manager = try folder.open()
        let shell = try Connection.shell(folder.file)
        try shell.execute("BEGIN IMMEDIATE")
        async let change = onThread { try manager.createSession("support") }
        let commits = (manager.store as! FileDatabase).commits
        try await until { commits.alone(within: 0, { _ in }) == nil }
        async let another = manager.createSession("sales")
        try await until { commits.waiting == 1 }
        #expect(try await onThread { try manager.sessionExists("support") } == false)
        #expect(try await !manager.sessionExists("support"))
        try shell.execute("COMMIT")
        _ = try await (change, another)
        #expect(try await manager.getAllSessions().count == 2)
    }

    @Test func `each caller waits from its own call, not from its turn`() async throws {
        let manager = try folder.open(patience: .milliseconds(50))
        let commits = (manager.store as! FileDatabase).commits
        let shell = try Connection.shell(folder.file)
        try shell.execute("BEGIN IMMEDIATE")
        // Their turns come when their time is over.
        let released = Lock(ContinuousClock.now)
        await commits.hold {
            while commits.waiting < 16 { usleep(1000) }
            usleep(60_000)
            released.withLock { $0 = .now }
        }
        let calls = (0..<16).map { number in
            Task {
                if number % 2 == 0 { return try await manager.createSession("\(number)") }
                return try await onThread { try manager.createSession("\(number)") }
            }
        }
        for call in calls {
            let error = await #expect(throws: DatabaseError.self) { try await call.value }
            #expect(error?.resultCode == .busy)
            #expect(error?.message == "database is locked")
        }
        #expect(try #require(commits.alone { $0?.connection.deadline } ?? nil) < released.withLock { $0 })
        try shell.execute("COMMIT")
        #expect(try await manager.getAllSessions().isEmpty)
    }

    @Test func `the lock of another process is waited for at most about a minute`() throws {
        #expect((try folder.open().store as! FileDatabase).patience == .seconds(60))
    }

    @Test func `waiting also covers errors that no busy handler sees, and ends with the deadline`() throws {
        let connection = try FileConnection(DatabasePath(fileAt: folder))
        for code in [DatabaseError.ResultCode.busy, .lockingProtocol, .init(rawValue: SQLITE_BUSY | 1 << 8)] {
            var calls = 0
            let value = try connection.wait(until: .now + .seconds(60)) { _ in
                calls += 1
                if calls < 3 { throw DatabaseError(resultCode: code, message: "not now") }
                return calls
            }
            #expect(value == 3)
            #expect(throws: DatabaseError.self) {
                try connection.wait(until: .now) { _ in throw DatabaseError(resultCode: code, message: "never") }
            }
        }
        var calls = 0
        #expect(throws: DatabaseError.self) {
            try connection.wait(until: .now + .seconds(60)) { _ in
                calls += 1
                throw DatabaseError(resultCode: .full, message: "full")
            }
        }
        #expect(calls == 1)
    }

    @Test func `pauses between two polls are random, so that no writer keeps step with another`() {
        let pauses = (0..<100).map { _ in FileConnection.pauseLength() }
        #expect(Set(pauses).count > 10)
        #expect(pauses.allSatisfy { (500...1500).contains($0) })
    }

    @Test func `signals do not shorten the wait for a lock`() throws {
        do { _ = try folder.open() }
        let shell = try Connection.shell(folder.file)
        try shell.execute("BEGIN IMMEDIATE")
        let connection = try FileConnection(DatabasePath(folder.file))
        signal(SIGALRM) { _ in }
        ualarm(200, 200)
        defer { ualarm(0, 0) }
        let start = ContinuousClock.now
        #expect(throws: DatabaseError.self) { try connection.begin(until: start + .milliseconds(400)) }
        #expect(.now - start >= .milliseconds(400))
    }

    @Test func `a file can be opened while another connection writes to it`() async throws {
        try await folder.open().createSession("support")
        let isDone = Lock(false)
        async let writing = onThread {
            let other = try Connection.shell(folder.file)
            while !isDone.withLock({ $0 }) {
                try other.execute("BEGIN IMMEDIATE; UPDATE sessions SET name = name")
                usleep(1000)
                try other.execute("COMMIT")
                usleep(1000)
            }
        }
        for number in 0..<20 { try await onThread { _ = try folder.open().createSession("\(number)") } }
        isDone.withLock { $0 = true }
        try await writing
    }

    @Test func `a transaction that could not be ended is rolled back by the next change`() throws {
        let manager = try folder.open()
        try manager.createSession("support")
        try manager.execute("BEGIN IMMEDIATE; DELETE FROM sessions")
        try manager.createSession("sales")
        #expect(try manager.getAllSessions().map(\.id) == ["support", "sales"])
        let memory = try SessionManager()
        try memory.createSession("support")
        try memory.execute("BEGIN IMMEDIATE; DELETE FROM sessions")
        #expect(try memory.sessionExists("support"))
    }

    // MARK: A file that is taken away

    @Test(arguments: ["deleted", "replaced", "moved", "log deleted", "log replaced", "index deleted"])
    func `a file or log that is no longer in its place is noticed before a change counts as saved`(how: String)
        async throws
    {
        let manager = try folder.open()
        try await manager.createSession("before")
        let log = folder.file + "-wal"
        switch how {
        case "deleted": #expect(unlink(folder.file) == 0)
        case "moved": #expect(rename(folder.file, folder.file + ".old") == 0)
        case "log deleted": #expect(unlink(log) == 0)
        case "index deleted": #expect(unlink(folder.file + "-shm") == 0)
        case "log replaced":
            try FileManager.default.copyItem(atPath: log, toPath: log + ".copy")
            #expect(rename(log + ".copy", log) == 0)
        default:
            try await manager.backUp(to: folder.path + "/copy")
            #expect(rename(folder.path + "/copy", folder.file) == 0)
        }
        let names = try folder.names
        for _ in 0..<2 {
            let error = await #expect(throws: DatabaseError.self) { try await manager.createSession("after") }
            #expect(
                error?.message == "the file or its log was moved, replaced or deleted while it was open: open it again"
            )
            #expect(error?.resultCode == .misuse)
        }
        await #expect(throws: DatabaseError.self) { try await manager.recoverSessions() }
        await #expect(throws: DatabaseError.self) { try await manager.close() }
        // The end deletes nothing that may be another's by now.
        #expect(try folder.names.filter { !$0.hasSuffix("-shm") } == names.filter { !$0.hasSuffix("-shm") })
    }

    @Test func `a file that is taken away inside a transaction is noticed after it`() async throws {
        let manager = try folder.open()
        let log = folder.file + "-wal"
        let hook = CommitHook { _ in
            rename(log, log + ".gone")
            return false
        }
        let error = try await hook.during(manager) {
            await #expect(throws: DatabaseError.self) { try await manager.createSession("support") }
        }
        #expect(error?.resultCode == .misuse)
    }

    @Test func `a reader that would open another file's log is refused`() throws {
        let manager = try folder.open()
        defer { withExtendedLifetime(manager) {} }
        let file = try DatabasePath(folder.file)
        let readers = Readers(file, file.look(), count: 1, patience: .zero)
        let copy = TemporaryFolder()
        do { try copy.open().createSession("other") }
        #expect(rename(copy.file, folder.file) == 0)
        let error = #expect(throws: DatabaseError.self) { try readers.use { _ in } }
        #expect(error?.message == DatabaseError.moved.message)
        readers.close()
        let closed = #expect(throws: DatabaseError.self) { try readers.use { _ in } }
        #expect(closed?.message == DatabaseError.closed.message)
    }

    @Test func `each of a few readers serves one caller at a time, and a long read takes none from short ones`() throws
    {
        let manager = try folder.open()
        let file = try DatabasePath(folder.file)
        let readers = Readers(file, file.look(), count: 3, patience: .zero)
        // Each holds one, so two that shared one would wait for ever.
        try readers.use { _ in try readers.use { _ in try readers.use { _ in } } }
        _ = manager
    }

    @Test func `reads pause once those under way have ended, and go on if that takes too long`() throws {
        let manager = try folder.open()
        defer { withExtendedLifetime(manager) {} }
        let file = try DatabasePath(folder.file)
        let readers = Readers(file, file.look(), count: 2, patience: .zero)
        try readers.use { _ in
            #expect(!readers.pause(upTo: 0.01))
            try readers.use { _ in }
        }
        #expect(readers.pause(upTo: 0.01))
        let isRead = Lock(false)
        Thread {
            try? readers.use { _ in }
            isRead.withLock { $0 = true }
        }.start()
        usleep(10_000)
        #expect(!isRead.withLock { $0 })
        readers.resume()
        #expect(eventually { isRead.withLock { $0 } })
    }

    @Test func `reads that always overlap are paused all the same`() throws {
        let manager = try folder.open()
        defer { withExtendedLifetime(manager) {} }
        let file = try DatabasePath(folder.file)
        let readers = Readers(file, file.look(), count: 4, patience: .zero)
        let reads = Lock(0)
        let threads = (0..<4).map { _ in
            Thread {
                while (try? readers.use { _ in usleep(2000) }) != nil { reads.withLock { $0 += 1 } }
            }
        }
        for thread in threads { thread.start() }
        #expect(eventually { reads.withLock { $0 } > 20 })
        #expect(readers.pause(upTo: 2))
        readers.resume()
        readers.close()
        #expect(eventually { threads.allSatisfy(\.isFinished) })
    }

    @Test func `a file whose log is not there is not written to`() throws {
        let file = try DatabasePath(fileAt: folder)
        let error = #expect(throws: DatabaseError.self) {
            _ = try FileWriter(FileConnection(file), file.look(), LogKeeper())
        }
        #expect(error?.message == DatabaseError.moved.message)
    }

    @Test func `more callers than readers take turns`() async throws {
        let manager = try folder.open()
        try await withThrowingTaskGroup { group in
            for _ in 0..<64 { group.addTask { _ = try await manager.getAllSessions() } }
            try await group.waitForAll()
        }
    }

    // MARK: The end

    @Test(arguments: [false, true])
    func `a closed manager throws at every call, and closing it again does nothing`(inMemory: Bool) async throws {
        let manager = inMemory ? try SessionManager() : try folder.open()
        try await manager.createSession("support")
        if !inMemory {
            try await manager.updateSession("support", SessionUpdates(status: .qrWaiting, qrCode: .set("2@")))
        }
        try await manager.close()
        for call: () async throws -> Any in everyCall(of: manager, copy: folder.path + "/copy") {
            let error = await #expect(throws: DatabaseError.self) { _ = try await call() }
            #expect(error?.message == "the database was closed: open it again")
            #expect(error?.resultCode == .misuse)
        }
        try await manager.close()
        try closeSynchronously(manager)
        if !inMemory {
            #expect(try folder.names == ["sessions.sqlite"])
            #expect(try await folder.open().getAllSessions().count == 1)
        }
    }

    @Test(arguments: [false, true])
    func `changes that wait are committed before a close`(isAsync: Bool) async throws {
        let manager = try folder.open()
        let commits = (manager.store as! FileDatabase).commits
        let mayEnd = Lock(false)
        await commits.hold(until: 2) { mayEnd.withLock { $0 } }
        let first = Task { try await manager.createSession("support") }
        let second = Task { try await onThread { try manager.createSession("sales") } }
        try await until { commits.waiting == 2 }
        let end = Task { isAsync ? try await manager.close() : try await onThread { try manager.close() } }
        try await until { commits.waitingTurns == 1 }
        mayEnd.withLock { $0 = true }
        #expect(try await first.value.id == "support")
        #expect(try await second.value.id == "sales")
        try await end.value
        #expect(try await folder.open().getAllSessions().count == 2)
    }

    @Test func `upkeep that cannot have its turn soon gives it up, and lists don't wait for a writer`() async throws {
        let manager = try folder.open()
        try await manager.createSession("support")
        let commits = (manager.store as! FileDatabase).commits
        let mayEnd = Lock(false)
        await commits.hold { mayEnd.withLock(when: { $0 }) { _ in } }
        let write = Task { try await manager.createSession("waits") }
        try await until { commits.waiting == 1 }
        #expect(try await onThread { commits.alone(within: 0.01) { _ in true } } == nil)
        #expect(commits.waitingTurns == 0)
        // With upkeep that is owed and cannot be done.
        (manager.store as! FileDatabase).keeper.owe(.erase)
        for _ in 0..<50 { #expect(try await manager.getAllSessions().count == 1) }
        mayEnd.withLock { $0 = true }
        #expect(try await write.value.id == "waits")
        #expect(eventually { (manager.store as! FileDatabase).keeper.owed == nil })
    }

    @Test func `a file that takes the name while it is opened is noticed`() throws {
        let manager = try folder.open()
        defer { withExtendedLifetime(manager) {} }
        let file = try DatabasePath(folder.file)
        let other = TemporaryFolder()
        let opened = try DatabasePath(fileAt: other).look()
        let error = #expect(throws: DatabaseError.self) {
            _ = try FileWriter(FileConnection(file), opened, LogKeeper())
        }
        #expect(error?.message == DatabaseError.moved.message)
        _ = try FileWriter(FileConnection(file), file.look(), LogKeeper())
    }
}

/// Calls of each method, overloads for `async` code.
func everyCall(of manager: SessionManager, copy: String) -> [@Sendable () async throws -> Any] {
    [
        { try await manager.createSession("x") }, { try await manager.getSession("support") as Any },
        { try await manager.getAllSessions() }, { try await manager.updateSession("support", SessionUpdates()) },
        { try await manager.deleteSession("support") }, { try await manager.sessionExists("support") },
        { try await manager.recoverSessions() }, { try await manager.backUp(to: copy) },
        { try await manager.getSessions(status: .connected) }, { try await manager.countSessions() },
        { try await manager.snapshot() }, { try await manager.getChanges(after: manager.snapshot().cursor) },
    ]
}

// In a function that is not `async`, so that it calls the synchronous method.
private func closeSynchronously(_ manager: SessionManager) throws { try manager.close() }

extension DatabasePath {
    /// A file that is new.
    convenience init(fileAt folder: TemporaryFolder) throws {
        try self.init(folder.file)
        try create()
    }
}
