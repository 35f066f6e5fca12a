import Foundation
import Testing
import WhatsAppSessionsSQLite

@testable import WhatsAppSessions

/// Callers on threads, queues and tasks, as many as there may be.
@Suite(.timeLimit(.minutes(3))) struct ThreadTests {
    let folder = TemporaryFolder()

    @Test func `a thousand queues, a thousand threads and a thousand tasks each get their change`() async throws {
        let manager = try folder.open()
        try await manager.createSession("support")
        try await withThrowingTaskGroup { group in
            for number in 0..<1000 {
                group.addTask {
                    // Dispatch has 255 threads for queues that block.
                    try await withCheckedThrowingContinuation { continuation in
                        DispatchQueue(label: "account \(number)").async {
                            continuation.resume(with: Result { try createSession("queue \(number)", manager) })
                        }
                    }
                }
                group.addTask {
                    try await onThread { _ = try manager.createSession("thread \(number)") }
                }
                group.addTask {
                    _ = try await manager.createSession("task \(number)")
                    _ = try await manager.getSession("support")
                }
            }
            try await group.waitForAll()
        }
        #expect(try await manager.getAllSessions().count == 3001)
        // Upkeep needs no thread of a pool, either.
        try await manager.updateSession("support", SessionUpdates(status: .qrWaiting, qrCode: .set("2@SECRET")))
        try await manager.updateSession("support", SessionUpdates(status: .connected))
        try await until { !folder.contents.contains("2@SECRET") }
    }

    // In a function that is not `async`, so that it calls the synchronous method.
    private func createSession(_ id: String, _ manager: SessionManager) throws { try manager.createSession(id) }

    private struct NoThread: Error {}

    @Test func `where no thread can be started, an async call ends with an error, and a blocking one is made`()
        async throws
    {
        let target = Target()
        let none = Threads(limit: 1) { _ in throw NoThread() }
        let commits = SharedCalls(on: target, patience: .seconds(60), threads: none)
        await #expect(throws: NoThread.self) { try await commits.make(.delete(id: "x")) }
        #expect(try await onThread { try commits.make(.delete(id: "x")) }.deleted == 1)
        // A task that waits behind a thread is served by that thread, or told.
        await commits.hold(until: 2)
        async let blocking = onThread { try commits.make(.delete(id: "y")) }
        async let waiting = commits.make(.delete(id: "z"))
        #expect(try await blocking.deleted == 1)
        #expect(try await waiting.deleted == 1)
    }

    private final class Target: CallTarget {
        func make(_ writes: [SessionWrite], until: ContinuousClock.Instant) -> [Result<Written, any Error>] {
            writes.map { _ in .success(Written(deleted: 1)) }
        }
    }

    @Test func `work is done in order by as many threads as may be, and a thread that can't be started is an error`()
        async throws
    {
        let starts = Lock(0)
        let threads = Threads(limit: 1) { body in
            starts.withLock { $0 += 1 }
            try Threads.start(body)
        }
        let order = Lock<[Int]>([])
        try addWork(100, to: threads) { number in order.withLock { $0.append(number) } }
        try await until { order.withLock(\.count) == 100 }
        #expect(order.withLock { $0 } == Array(0..<100))
        #expect(starts.withLock { $0 } == 1)
        let none = Threads(limit: 1) { _ in throw NoThread() }
        #expect(throws: NoThread.self) { try addWork(1, to: none) { _ in } }
        await #expect(throws: NoThread.self) { try await none.run { 1 } }
        // A second one isn't needed where there is a first.
        let few = Lock(0)
        let one = Threads(limit: 2) { body in
            guard
                few.withLock({ count in
                    count += 1
                    return count == 1
                })
            else { throw NoThread() }
            try Threads.start(body)
        }
        let both = Lock(0)
        try addWork(2, to: one) { _ in both.withLock { $0 += 1 } }
        try await until { both.withLock { $0 } == 2 }
    }

    @Test func `what no thread could be started for is not done later`() throws {
        let starts = Lock(false)
        let threads = Threads(limit: 1) { body in
            guard starts.withLock({ $0 }) else { throw NoThread() }
            try Threads.start(body)
        }
        let done = Lock<[Int]>([])
        #expect(throws: NoThread.self) { try threads.run { done.withLock { $0.append(1) } } }
        starts.withLock { $0 = true }
        try threads.run { done.withLock { $0.append(2) } }
        #expect(eventually { done.withLock { $0.contains(2) } })
        #expect(done.withLock { $0 } == [2])
    }

    @Test func `a system that cannot start a thread says why`() {
        let error = #expect(throws: DatabaseError.self) { try Threads.start({}, using: { _, _ in EAGAIN }) }
        #expect(error?.message == "no thread can be started: Resource temporarily unavailable")
    }

    private func addWork(_ count: Int, to threads: Threads, _ body: @escaping @Sendable (Int) -> Void) throws {
        for number in 0..<count { try threads.run { body(number) } }
    }

    @Test func `a get beside a list in memory ends before the list does`() async throws {
        let manager = try SessionManager()
        let sessions = 30_000
        try manager.execute(
            """
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < \(sessions))
            INSERT INTO sessions (id, created_at) SELECT n, 0 FROM numbers
            """
        )
        let progress = Progress()
        try manager.withHandle { handle in
            let this = Unmanaged.passUnretained(progress).toOpaque()
            sqlite3_trace_v2(
                handle,
                UInt32(SQLITE_TRACE_ROW),
                { _, this, _, _ in
                    Unmanaged<Progress>.fromOpaque(this!).takeUnretainedValue().addRow()
                    return 0
                },
                this
            )
        }
        async let early = onThread {
            var early = 0
            while progress.awaitsGet() {
                _ = try manager.getSession("7")
                if progress.endGet() < sessions { early += 1 }
            }
            return early
        }
        #expect(try await onThread { try manager.getAllSessions().count } == sessions)
        progress.end()
        #expect(try await early > 0)
    }

    /// How far a list is. At each thousandth row it waits until a get has begun, unless one waits already.
    private final class Progress: Sendable {
        private struct State {
            enum Call { case none, awaited, begun }
            var rows = 0
            var call = Call.none
            var isOver = false

            var isBegun: Bool { call != .awaited }
            var mayGoOn: Bool { call == .awaited || isOver }
        }

        private let state = Lock(State())

        func addRow() {
            let waits = state.withLock { state in
                state.rows += 1
                guard state.rows % 1000 == 0, state.call == .none else { return false }
                state.call = .awaited
                return true
            }
            if waits { state.withLock(when: \.isBegun) { _ in } }
        }

        /// - Returns: `false` when the list is over.
        func awaitsGet() -> Bool {
            state.withLock(when: \.mayGoOn) { state in
                state.call = .begun
                return !state.isOver
            }
        }

        /// - Returns: How many rows there have been.
        func endGet() -> Int {
            state.withLock { state in
                state.call = .none
                return state.rows
            }
        }

        func end() { state.withLock { $0.isOver = true } }
    }

    @Test func `reads in memory go on while a list or a backup is made, and a change waits for one state`() async throws
    {
        let manager = try SessionManager()
        try manager.execute(
            """
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 30000)
            INSERT INTO sessions (id, created_at) SELECT n, 0 FROM numbers
            """
        )
        for isBackup in [false, true] {
            let path = folder.path + "/copy\(isBackup)"
            let isDone = Lock(false)
            let long = Task {
                try await onThread {
                    defer { isDone.withLock { $0 = true } }
                    if isBackup {
                        try manager.backUp(to: path)
                        return
                    }
                    for _ in 0..<5 { #expect(try manager.getAllSessions().count == 30_000) }
                }
            }
            var gets = 0
            while !isDone.withLock({ $0 }) {
                #expect(try await manager.getSession("7") != nil)
                gets += 1
            }
            try await long.value
            // One each, if they waited for its end.
            #expect(gets > 10)
        }
        // A list beside a thread that gives two sessions the same name, one after the other.
        let stop = Lock(false)
        let changes = Task {
            try await onThread {
                for number in 0... where !stop.withLock({ $0 }) {
                    for id in ["1", "29999"] {
                        try manager.updateSession(id, SessionUpdates(name: .set("\(number)")))
                    }
                    if stop.withLock({ $0 }) { return }
                }
            }
        }
        for _ in 0..<20 {
            let all = try await manager.getAllSessions()
            let names = [all[0], all[29_998]].map { $0.name.flatMap { Int($0) } ?? -1 }
            #expect((0...1).contains(names[0] - names[1]))
        }
        stop.withLock { $0 = true }
        try await changes.value
    }
}
