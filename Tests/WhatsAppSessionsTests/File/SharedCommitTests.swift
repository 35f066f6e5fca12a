import Foundation
import Testing
import WhatsAppSessionsSQLite

@testable import WhatsAppSessions

/// Changes that wait at the same time share one commit, and stay independent.
@Suite struct SharedCommitTests {
    let folder = TemporaryFolder()

    /// Has the changes wait together, then lets them go.
    private func together<Value: Sendable>(
        on manager: SessionManager,
        _ changes: [@Sendable () async throws -> Value]
    ) async throws -> [Result<Value, any Error>] {
        await (manager.store as! FileDatabase).commits.hold(until: changes.count)
        let results = Task {
            await withTaskGroup(of: (Int, Result<Value, any Error>).self) { group in
                for (index, change) in changes.enumerated() {
                    group.addTask {
                        do { return (index, .success(try await change())) } catch { return (index, .failure(error)) }
                    }
                }
                return await group.reduce(into: [:]) { $0[$1.0] = $1.1 }
            }
        }
        let byIndex = await results.value
        return changes.indices.map { byIndex[$0]! }
    }

    @Test func `changes that wait together are one transaction`() async throws {
        let manager = try folder.open()
        let hook = CommitHook { _ in false }
        let results = try await hook.during(manager) {
            try await together(
                on: manager,
                (0..<50).map { number in
                    {
                        if number % 2 == 0 { return try await manager.createSession("\(number)").id }
                        return try await onThread { try manager.createSession("\(number)").id }
                    }
                }
            )
        }
        #expect(try results.map { try $0.get() } == (0..<50).map { "\($0)" })
        #expect(hook.commits == 1)
        #expect(try await manager.getAllSessions().count == 50)
    }

    @Test func `one that is refused, finds nothing or is too long hurts nobody else`() async throws {
        let manager = try folder.open()
        let online = try await manager.createSession("online").id
        try await manager.updateSession(online, SessionUpdates(status: .connected))
        try manager.withHandle { _ = sqlite3_limit($0, SQLITE_LIMIT_LENGTH, 10_000) }
        let long = String(repeating: "x", count: 10_001)
        let changes: [@Sendable () async throws -> Void] = [
            { try await manager.createSession("first") },
            { try await manager.updateSession(online, SessionUpdates(status: .qrWaiting)) },
            { try await manager.createSession(online) },
            { try await manager.updateSession("missing", SessionUpdates(name: .set("Ana"))) },
            { try await manager.updateSession(online, SessionUpdates(name: .set(long))) },
            { try await manager.updateSession(online, SessionUpdates(name: .set("Ana"))) },
            { try await manager.recoverSessions() },
        ]
        let hook = CommitHook { _ in false }
        let errors = try await hook.during(manager) { try await together(on: manager, changes) }.map { result in
            if case .failure(let error) = result { "\(type(of: error))" } else { "" }
        }
        // It isn't made again without those that were refused.
        #expect(hook.commits == 1)
        #expect(
            errors == [
                "", "InvalidSessionUpdateError", "SessionAlreadyExistsError", "SessionNotFoundError", "DatabaseError",
                "", "",
            ]
        )
        #expect(try await manager.getSession(online)?.name == "Ana")
        #expect(try await manager.sessionExists("first"))
    }

    @Test func `when the whole transaction is lost, each change is run again alone`() async throws {
        let manager = try folder.open()
        try manager.execute(
            """
            CREATE TRIGGER takes_all_back BEFORE INSERT ON sessions WHEN NEW.id = 'bad'
            BEGIN SELECT RAISE(ROLLBACK, 'all is lost'); END
            """
        )
        let results = try await together(
            on: manager,
            ["a", "bad", "b", "c"].map { id in { try await manager.createSession(id).id } }
        )
        #expect(results.filter { (try? $0.get()) != nil }.count == 3)
        let error = #expect(throws: DatabaseError.self) { _ = try results[1].get() }
        #expect(error?.message == "all is lost")
        #expect(Set(try await manager.getAllSessions().map(\.id)) == ["a", "b", "c"])
        // Alone it has its own error too.
        let alone = await #expect(throws: DatabaseError.self) { try await manager.createSession("bad") }
        #expect(alone?.message == "all is lost")
        // A savepoint inside a lost transaction: beside a damaged row a recovery has more than one statement.
        try manager.execute(
            """
            UPDATE sessions SET name = CAST(x'ff' AS TEXT) WHERE id = 'a';
            CREATE TRIGGER recovery BEFORE UPDATE ON sessions WHEN NEW.id = 'b'
            BEGIN SELECT RAISE(ROLLBACK, 'all is lost'); END
            """
        )
        await #expect(throws: DatabaseError.self) { try await manager.recoverSessions() }
        #expect(try await manager.getSession("c")?.status == .initializing)
    }

    @Test func `when the commit fails, each change is run again alone and hears its own outcome`() async throws {
        let manager = try folder.open()
        // The first commit, of all, fails; so does the third, of one.
        let hook = CommitHook { $0 == 1 || $0 == 3 }
        let results = try await hook.during(manager) {
            try await together(
                on: manager,
                (0..<4).map { number in { try await manager.createSession("\(number)").id } }
            )
        }
        let failures = results.compactMap { result in
            if case .failure(let error) = result { error as? DatabaseError } else { nil }
        }
        #expect(failures.count == 1)
        #expect(try .constraint ~= #require(failures.first).resultCode)
        #expect(Set(try await manager.getAllSessions().map(\.id)) == Set(results.compactMap { try? $0.get() }))
        #expect(hook.commits == 5)
    }

    @Test func `when the file is taken away while each is run again, each hears that`() async throws {
        let manager = try folder.open()
        let path = folder.file
        let hook = CommitHook { _ in
            rename(path, path + ".gone")
            return true
        }
        let results = try await hook.during(manager) {
            try await together(
                on: manager,
                (0..<3).map { number in { try await manager.createSession("\(number)").id } }
            )
        }
        for result in results {
            let error = #expect(throws: DatabaseError.self) { _ = try result.get() }
            #expect(error?.resultCode == .misuse)
        }
    }

    @Test func `a read that begins after a change returned sees it, on every thread`() async throws {
        let manager = try folder.open()
        try await withThrowingTaskGroup { group in
            for task in 0..<16 {
                group.addTask {
                    for round in 0..<20 {
                        let id = "\(task)-\(round)"
                        try await manager.createSession(id)
                        #expect(try await manager.sessionExists(id))
                        #expect(try await onThread { try manager.getSession(id) }?.id == id)
                        if round % 2 == 0 {
                            #expect(try await manager.deleteSession(id))
                            #expect(try await manager.getSession(id) == nil)
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try await manager.getAllSessions().count == 160)
    }

    @Test func `tasks that wait for the locks of other programs block no thread of Swift's pool`() async throws {
        // One more than the pool has threads.
        let folders = (0...ProcessInfo.processInfo.activeProcessorCount).map { _ in TemporaryFolder() }
        let managers = try folders.map { try $0.open(patience: .seconds(10)) }
        let shells = try folders.map { try Connection.shell($0.file) }
        for shell in shells { try shell.execute("BEGIN IMMEDIATE") }
        let changes = managers.map { manager in Task { try await manager.createSession("support") } }
        for manager in managers {
            let commits = (manager.store as! FileDatabase).commits
            try await until { commits.alone(within: 0, { _ in }) == nil }
        }
        // The pool runs this task all the same.
        for shell in shells { try shell.execute("COMMIT") }
        for change in changes { #expect(try await change.value.id == "support") }
    }

    @Test func `a thousand tasks that wait for a lock block no thread of Swift's pool`() async throws {
        let manager = try folder.open()
        let commits = (manager.store as! FileDatabase).commits
        let isReleased = Lock(false)
        await commits.hold(until: 1000) { isReleased.withLock { $0 } }
        let beats = Lock(0)
        let heart = Task {
            while !Task.isCancelled {
                try await Task.sleep(for: .milliseconds(1))
                beats.withLock { $0 += 1 }
            }
        }
        async let changes: Void = withThrowingTaskGroup { group in
            for number in 0..<1000 { group.addTask { _ = try await manager.createSession("\(number)") } }
            try await group.waitForAll()
        }
        try await until { commits.waiting == 1000 }
        // All wait, and the pool, which has as many threads as cores, still runs tasks.
        let before = beats.withLock { $0 }
        try await until { beats.withLock { $0 } >= before + 20 }
        #expect(try await manager.getAllSessions().isEmpty)
        isReleased.withLock { $0 = true }
        try await changes
        heart.cancel()
        #expect(try await manager.getAllSessions().count == 1000)
    }
}
