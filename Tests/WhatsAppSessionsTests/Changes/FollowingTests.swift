import Foundation
import Testing

@testable import WhatsAppSessions

/// Following the journal, and waiting for a session.
@Suite(.timeLimit(.minutes(5))) struct FollowingTests {
    let folder = TemporaryFolder()

    // MARK: changes(after:)

    @Test(arguments: Engine.allCases)
    func `a follower gets what was there before, and what comes while it waits`(engine: Engine) async throws {
        let (manager, _) = try engine.watched()
        let start = try await manager.snapshot().cursor
        try await manager.createSession("before")
        var changes = manager.changes(after: start).makeAsyncIterator()
        #expect(try await changes.next()?.sessionID == "before")
        for number in 0..<(engine == .file ? 40 : 4000) {
            let next = Task { [changes] in try await follow(changes) }
            // At any moment of its read and its wait.
            let moment = ContinuousClock.now + .microseconds(.random(in: 0..<50))
            while .now < moment {}
            try await manager.createSession("\(number)")
            let (change, iterator) = try await next.value
            #expect(change?.sessionID == "\(number)")
            changes = iterator
        }
    }

    private func follow(
        _ iterator: SessionChanges.Iterator
    ) async throws -> (SessionChange?, SessionChanges.Iterator) {
        var iterator = iterator
        let change = try await iterator.next()
        return (change, iterator)
    }

    private func next(_ manager: SessionManager, after cursor: ChangeCursor) async throws -> SessionChange? {
        var changes = manager.changes(after: cursor).makeAsyncIterator()
        return try await changes.next()
    }

    /// Waits until so many followers have found nothing more to read, and wait or are about to.
    private func untilAllIsRead(_ store: SpyStore, by count: Int = 1) async throws {
        try await until { store.counts.emptyChanges >= count }
    }

    @Test(arguments: Engine.allCases)
    func `many followers beside many writers each get every change once and in order`(engine: Engine) async throws {
        let (manager, _) = try engine.watched()
        let start = try await manager.snapshot().cursor
        let (writers, changes) = (4, engine == .file ? 50 : 500)
        try await withThrowingTaskGroup { group in
            for _ in 0..<8 {
                group.addTask {
                    var numbers: [Int64] = []
                    for try await change in manager.changes(after: start) {
                        numbers.append(change.cursor.number)
                        if numbers.count == writers * changes { break }
                    }
                    #expect(numbers == Array(1...Int64(writers * changes)))
                }
            }
            for writer in 0..<writers {
                group.addTask {
                    for number in 0..<changes { try await manager.createSession("\(writer) \(number)") }
                }
            }
            try await group.waitForAll()
        }
    }

    @Test func `those who wait at places that are more than a page apart all get what comes`() async throws {
        let (manager, store) = try Engine.memory.watched()
        let start = try await manager.snapshot().cursor
        let behind = Task {
            var numbers: [Int64] = []
            for try await change in manager.changes(after: start) {
                numbers.append(change.cursor.number)
                if change.sessionID == "last" { break }
            }
            return numbers
        }
        try await untilAllIsRead(store)
        try manager.execute(
            """
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 600)
            INSERT INTO sessions (id, created_at) SELECT n, 0 FROM numbers
            """
        )
        let newest = try await manager.snapshot().cursor
        let ahead = Task { try await next(manager, after: newest) }
        try await untilAllIsRead(store, by: 2)
        try await manager.createSession("last")
        #expect(try await ahead.value?.sessionID == "last")
        #expect(try await behind.value == Array(1...601))
    }

    @Test func `a damaged change is an expired cursor for the followers that come to it, and holds up no other`()
        async throws
    {
        let (manager, store) = try Engine.memory.watched()
        let start = try await manager.snapshot().cursor
        let behind = Task {
            var ids: [String] = []
            do {
                for try await change in manager.changes(after: start) { ids.append(change.sessionID) }
            } catch let error as ChangeCursorExpiredError {
                ids += [error.damage ?? "", "expired"]
            }
            return ids
        }
        try await untilAllIsRead(store)
        try manager.execute(
            """
            INSERT INTO sessions (id, created_at) VALUES ('good', 0), ('bad', 0), ('beyond', 0);
            DROP TRIGGER session_changes_are_not_edited;
            UPDATE session_changes SET status = 'gone' WHERE session_id = 'bad'
            """
        )
        let newest = try await manager.snapshot().cursor
        let ahead = Task { try await next(manager, after: newest) }
        try await untilAllIsRead(store, by: 2)
        try await manager.createSession("last")
        #expect(try await ahead.value?.sessionID == "last")
        #expect(try await behind.value == ["good", "malformed status in the change with the number 2", "expired"])
    }

    @Test func `what another process changes is noticed, also by a thousand who wait`() async throws {
        let (manager, store) = try Engine.file.watched()
        let start = try await manager.snapshot().cursor
        let shell = try Connection.shell(store.folder!.file)
        try await withThrowingTaskGroup { group in
            for _ in 0..<1000 {
                group.addTask { try await next(manager, after: start) }
            }
            try await until { manager.feed.waiting >= 1000 }
            let before = store.counts.changes
            try shell.execute("INSERT INTO sessions (id, created_at) VALUES ('support', 0)")
            for try await change in group { #expect(change?.sessionID == "support") }
            // One read for all of them, and perhaps one for nothing.
            #expect(store.counts.changes - before <= 2)
        }
        #expect(ChangeFeed.pollInterval <= .milliseconds(200))
    }

    @Test(arguments: Engine.allCases)
    func `a thousand that follow on and on read each change once, or twice, or three times`(engine: Engine) async throws
    {
        let (manager, store) = try engine.watched()
        let start = try await manager.snapshot().cursor
        let (followers, changes) = (1000, 20)
        let counts = Lock(Array(repeating: 0, count: changes + 1))
        try await withThrowingTaskGroup { group in
            for _ in 0..<followers {
                group.addTask {
                    for try await change in manager.changes(after: start) {
                        counts.withLock { $0[Int(change.cursor.number)] += 1 }
                        if change.cursor.number == changes { break }
                    }
                }
            }
            try await until { manager.feed.waiting >= followers }
            let before = store.counts.changes
            for number in 1...changes {
                try await manager.createSession("\(number)")
                try await until { counts.withLock { $0[number] } == followers }
            }
            #expect(store.counts.changes - before <= 3 * changes)
            try await group.waitForAll()
        }
    }

    @Test func `the file is looked at while a follower waits, and a database in memory never`() async throws {
        let (inFile, inMemory) = (try Engine.file.watched(), try Engine.memory.watched())
        let followers = try [inFile, inMemory].map { manager, _ in
            let start = try manager.snapshot().cursor
            return Task { for try await _ in manager.changes(after: start) {} }
        }
        try await until { inFile.store.counts.looks >= 3 }
        try await untilAllIsRead(inMemory.store)
        #expect(inMemory.store.counts.looks == 0)
        for follower in followers { follower.cancel() }
        for follower in followers { try await follower.value }
        try await untilNobodyLooks(at: inFile.store)
    }

    /// Waits until two looks for changes would have come, and none has.
    private func untilNobodyLooks(at store: SpyStore) async throws {
        var last = -1
        while last != store.counts.looks {
            last = store.counts.looks
            try await Task.sleep(for: ChangeFeed.pollInterval * 3)
        }
    }

    @Test func `nobody's task-local values are kept for others who follow`() async throws {
        let (manager, store) = try Engine.file.watched()
        let start = try await manager.snapshot().cursor
        weak var kept: Request?
        let first = Request.$current.withValue(Request()) {
            kept = Request.current
            return Task { for try await _ in manager.changes(after: start) {} }
        }
        try await untilAllIsRead(store)
        let second = Task { for try await _ in manager.changes(after: start) {} }
        try await untilAllIsRead(store, by: 2)
        #expect(kept != nil)
        first.cancel()
        _ = await first.result
        try await until { kept == nil }
        second.cancel()
    }

    private final class Request: Sendable {
        @TaskLocal static var current: Request?
    }

    @Test(arguments: Engine.allCases)
    func `a follower ends when its task is cancelled`(engine: Engine) async throws {
        let (manager, store) = try engine.watched()
        let start = try await manager.snapshot().cursor
        let waiting = Task { try await next(manager, after: start) }
        try await untilAllIsRead(store)
        waiting.cancel()
        #expect(try await waiting.value == nil)
        try await manager.createSession("support")
        let cancelled = Task {
            while !Task.isCancelled { await Task.yield() }
            return try await next(manager, after: start)
        }
        cancelled.cancel()
        #expect(try await cancelled.value == nil)
    }

    @Test func `a follower that is cancelled between its read and its wait ends too`() async throws {
        let store = SpyStore(try MemoryDatabase()) { withUnsafeCurrentTask { $0?.cancel() } }
        let manager = SessionManager(store)
        let start = try await manager.snapshot().cursor
        let follower = Task { try await next(manager, after: start) }
        #expect(try await follower.value == nil)
    }

    @Test(arguments: Engine.allCases)
    func `closing the manager ends a follower with an error`(engine: Engine) async throws {
        let (manager, store) = try engine.watched()
        let start = try await manager.snapshot().cursor
        let follower = Task { for try await _ in manager.changes(after: start) {} }
        try await untilAllIsRead(store)
        try await manager.close()
        let error = await #expect(throws: DatabaseError.self) { try await follower.value }
        #expect(error?.message == "the database was closed: open it again")
    }

    @Test func `a file that is moved away ends a follower with an error`() async throws {
        let (manager, store) = try Engine.file.watched()
        let start = try await manager.snapshot().cursor
        let follower = Task { for try await _ in manager.changes(after: start) {} }
        try await untilAllIsRead(store)
        // By now the file has been looked at once, and is looked at again.
        try await until { store.counts.looks >= 1 }
        try FileManager.default.moveItem(atPath: store.folder!.file, toPath: store.folder!.path + "/moved.sqlite")
        let error = await #expect(throws: DatabaseError.self) { try await follower.value }
        #expect(error?.message == DatabaseError.moved.message)
    }

    @Test func `a follower whose cursor has expired is told so`() async throws {
        let manager = try SessionManager()
        let cursor = try await SessionManager().snapshot().cursor
        await #expect(throws: ChangeCursorExpiredError.self) { try await next(manager, after: cursor) }
    }

    @Test func `a follower that waits while the history becomes another one is told so`() async throws {
        let (manager, store) = try Engine.memory.watched()
        let start = try await manager.snapshot().cursor
        let follower = Task { for try await _ in manager.changes(after: start) {} }
        try await untilAllIsRead(store)
        try manager.execute("UPDATE journal SET history = 7")
        try await manager.createSession("a")
        await #expect(throws: ChangeCursorExpiredError.self) { try await follower.value }
    }

    @Test func `a follower never gets the changes of another history`() async throws {
        // By chance, one or the other is served first.
        for _ in 0..<20 {
            let (manager, store) = try Engine.memory.watched()
            let old = try await manager.snapshot().cursor
            let followerOfOld = Task { for try await _ in manager.changes(after: old) { break } }
            try await untilAllIsRead(store)
            try manager.execute("UPDATE journal SET history = 7")
            let new = try await manager.snapshot().cursor
            let followerOfNew = Task { try await next(manager, after: new) }
            try await untilAllIsRead(store, by: 2)
            try await manager.createSession("support")
            await #expect(throws: ChangeCursorExpiredError.self) { _ = try await followerOfOld.value }
            #expect(try await followerOfNew.value?.sessionID == "support")
        }
    }

    @Test func `a kept cursor goes on in another manager where the first one stopped`() async throws {
        let kept: String
        do {
            let manager = try folder.open()
            try await manager.createSession("seen")
            kept = try await manager.snapshot().cursor.description
            try await manager.createSession("missed")
            try await manager.close()
        }
        let manager = try folder.open()
        let cursor = try #require(ChangeCursor(kept))
        #expect(try await next(manager, after: cursor)?.sessionID == "missed")
    }

    @Test func `nobody's read is held open between two changes, and nothing is asked while nobody follows`()
        async throws
    {
        let (manager, store) = try Engine.file.watched()
        let start = try await manager.snapshot().cursor
        let follower = Task { for try await _ in manager.changes(after: start) {} }
        try await untilAllIsRead(store)
        try await manager.createSession("support")
        try await manager.updateSession("support", SessionUpdates(status: .qrWaiting, qrCode: .set("2@SECRET")))
        try await manager.updateSession("support", SessionUpdates(status: .connected))
        try await until { !store.folder!.contents.contains("2@SECRET") }
        follower.cancel()
        try await follower.value
        try await untilNobodyLooks(at: store)
        let before = store.counts.changes
        try await manager.createSession("sales")
        #expect(store.counts.changes == before)
    }

    @Test func `a backup has a history of its own`() async throws {
        for manager in [try folder.open(), try SessionManager()] {
            try await manager.createSession("support")
            let path = folder.path + "/\(UUID()).sqlite"
            try await manager.backUp(to: path)
            let copy = try SessionManager(storage: .file(path: path))
            let (old, new) = (try await manager.snapshot(), try await copy.snapshot())
            #expect(new.sessions == old.sessions)
            #expect(new.cursor.number == old.cursor.number && new.cursor.history != old.cursor.history)
            await #expect(throws: ChangeCursorExpiredError.self) { try await copy.getChanges(after: old.cursor) }
        }
    }

    @Test(arguments: Engine.allCases)
    func `asking without blocking answers the same`(engine: Engine) async throws {
        let (manager, _) = try engine.watched()
        let start = try await manager.snapshot().cursor
        let session = try await manager.createSession("support")
        #expect(try await manager.getSessions(status: .initializing) == [session])
        #expect(try await manager.countSessions()[.initializing] == 1)
        #expect(try await manager.snapshot().sessions == [session])
        #expect(try await manager.sessionExists("support"))
        #expect(try await !manager.sessionExists("sales"))
        #expect(try await manager.getSession("support") == session)
        #expect(try await manager.getChanges(after: start).map(\.kind) == [.created])
    }

    // MARK: waitForSession

    @Test(arguments: Engine.allCases)
    func `waiting ends when the session has one of the statuses, at once if it has it already`(engine: Engine)
        async throws
    {
        let (manager, store) = try engine.watched()
        try await manager.createSession("support")
        for timeout in [nil, Duration.zero, .seconds(-1)] {
            let session = try await manager.waitForSession("support", toBecome: [.initializing], timeout: timeout)
            #expect(session.status == .initializing)
        }
        async let waiting = manager.waitForSession(
            "support",
            toBecome: [.connected, .disconnected],
            timeout: .seconds(Int64.max)
        )
        try await untilAllIsRead(store)
        try await manager.updateSession("support", SessionUpdates(status: .qrWaiting))
        try await manager.createSession("sales")
        try await manager.updateSession("sales", SessionUpdates(status: .connected))
        try await manager.updateSession("support", SessionUpdates(status: .connected))
        #expect(try await waiting.status == .connected)
    }

    @Test func `a status that lasted for a moment only ends the wait`() async throws {
        let (manager, store) = try Engine.memory.watched()
        try await manager.createSession("support")
        async let waiting = manager.waitForSession("support", toBecome: [.connected])
        try await untilAllIsRead(store)
        try manager.execute(
            """
            UPDATE sessions SET status = 'connected', connected_at = 0;
            UPDATE sessions SET status = 'disconnected'
            """
        )
        try await manager.createSession("wakes it")
        #expect(try await waiting.status == .disconnected)
    }

    @Test func `waiting for a session that does not exist, or is deleted meanwhile, is an error`() async throws {
        let (manager, store) = try Engine.memory.watched()
        for timeout in [nil, Duration.zero] {
            await #expect(throws: SessionNotFoundError(sessionID: "support")) {
                try await manager.waitForSession("support", toBecome: [.connected], timeout: timeout)
            }
        }
        try await manager.createSession("support")
        let waiting = Task { try await manager.waitForSession("support", toBecome: [.connected]) }
        try await untilAllIsRead(store)
        try await manager.deleteSession("support")
        await #expect(throws: SessionNotFoundError(sessionID: "support")) { try await waiting.value }
    }

    @Test func `a session that is gone by the time it is read is an error too`() async throws {
        let (manager, store) = try Engine.memory.watched()
        try await manager.createSession("support")
        let waiting = Task { try await manager.waitForSession("support", toBecome: [.connected]) }
        try await untilAllIsRead(store)
        try manager.execute(
            "UPDATE sessions SET status = 'connected', connected_at = 0; DELETE FROM sessions WHERE id = 'support'"
        )
        try await manager.createSession("wakes it")
        await #expect(throws: SessionNotFoundError(sessionID: "support")) { try await waiting.value }
    }

    @Test func `waiting ends with an error when the time is over, and when the task is cancelled`() async throws {
        let (manager, store) = try Engine.memory.watched()
        try await manager.createSession("support")
        for timeout in [Duration.milliseconds(5), .seconds(-1), Duration(attoseconds: .min)] {
            let error = await #expect(throws: SessionWaitTimeoutError.self) {
                try await manager.waitForSession(
                    "support",
                    toBecome: [.disconnected, .connected],
                    timeout: timeout
                )
            }
            #expect(error?.description == "Session support did not become connected or disconnected in time")
            #expect(error?.localizedDescription == error?.description)
        }
        for timeout in [nil, Duration.seconds(60)] {
            let waiting = Task { try await manager.waitForSession("support", toBecome: [.connected], timeout: timeout) }
            try await untilAllIsRead(store)
            waiting.cancel()
            await #expect(throws: CancellationError.self) { try await waiting.value }
        }
    }

    @Test func `waiting for no status is refused`() async throws {
        let manager = try SessionManager()
        let session = try await manager.createSession()
        let error = await #expect(throws: DatabaseError.self) {
            try await manager.waitForSession(session.id, toBecome: [])
        }
        #expect(error?.resultCode == .misuse)
        #expect(error?.message == "there is no status to wait for: name at least one")
    }

    @Test func `waiting goes on after a damaged change of another session`() async throws {
        let (manager, store) = try Engine.memory.watched()
        for id in ["support", "damaged"] { try await manager.createSession(id) }
        async let waiting = manager.waitForSession("support", toBecome: [.connected])
        try await untilAllIsRead(store)
        try await onThread {
            try manager.execute(
                "UPDATE sessions SET status = 'disconnected', disconnect_text = CAST(x'ff' AS TEXT) WHERE id = 'damaged'"
            )
        }
        try await wakeUntilItWaitsAgain(manager, store)
        try await manager.updateSession("support", SessionUpdates(status: .connected))
        #expect(try await waiting.status == .connected)
    }

    /// Wakes a follower whose place is lost, until it has looked at the session again and waits at the newest one.
    private func wakeUntilItWaitsAgain(_ manager: SessionManager, _ store: SpyStore) async throws {
        let before = store.counts.emptyChanges
        try await manager.createSession("wakes it")
        try await until { store.counts.emptyChanges > before }
    }

    @Test func `waiting goes on when its place in the journal has expired`() async throws {
        for connectsBefore in [true, false] {
            let (manager, store) = try Engine.memory.watched()
            try await manager.createSession("support")
            async let waiting = manager.waitForSession("support", toBecome: [.connected])
            try await untilAllIsRead(store)
            let connect = "UPDATE sessions SET status = 'connected', connected_at = 0 WHERE id = 'support'"
            if connectsBefore { try manager.execute(connect) }
            try manager.execute("UPDATE journal SET history = 7")
            if connectsBefore {
                try await manager.createSession("wakes it")
            } else {
                try await wakeUntilItWaitsAgain(manager, store)
                try await manager.updateSession("support", SessionUpdates(status: .connected))
            }
            #expect(try await waiting.status == .connected)
        }
    }

    @Test(arguments: Engine.allCases)
    func `a thousand wait at once, each for its own session`(engine: Engine) async throws {
        let manager = try engine.open()
        for number in 0..<1000 { try await manager.createSession("\(number)") }
        try await withThrowingTaskGroup { group in
            for number in 0..<1000 {
                group.addTask {
                    try await manager.waitForSession("\(number)", toBecome: [.connected], timeout: .seconds(300))
                }
            }
            try await until { manager.feed.waiting >= 1000 }
            for number in 0..<1000 {
                group.addTask { try await manager.updateSession("\(number)", SessionUpdates(status: .connected)) }
            }
            for try await session in group { #expect(session.status == .connected) }
        }
    }
}
