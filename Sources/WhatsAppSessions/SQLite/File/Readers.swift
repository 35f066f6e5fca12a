/// A few connections that only read. With a write-ahead log they see the last commit, and neither block a write nor wait for
/// one.
final class Readers: Sendable {
    private struct State {
        /// The connections that no caller uses.
        var idle: [Int]
        let count: Int
        var isPaused = false
        var isClosed = false

        var mayBegin: Bool { isClosed || (!isPaused && !idle.isEmpty) }
        var isQuiet: Bool { idle.count == count }
    }

    private let file: DatabasePath
    private let identity: FileIdentity
    /// How long a read waits for another process that opens or repairs the log.
    private let patience: Duration
    /// Opened when they are first needed.
    private let connections: [Lock<FileConnection?>]
    private let state: Lock<State>
    private let threads: Threads

    init(_ file: DatabasePath, _ identity: FileIdentity, count: Int, patience: Duration) {
        self.file = file
        self.identity = identity
        self.patience = patience
        connections = (0..<count).map { _ in Lock(nil) }
        state = Lock(State(idle: Array(0..<count), count: count))
        threads = Threads(limit: count)
    }

    /// Runs `body` with a connection that no other caller uses meanwhile.
    func use<Value: Sendable>(_ body: (Connection) throws -> Value) throws -> Value {
        let number = state.withLock(when: \.mayBegin) { $0.isClosed ? nil : $0.idle.removeLast() }
        guard let number else { throw DatabaseError.closed }
        defer { state.withLock { $0.idle.append(number) } }
        return try connections[number].withLock { connection in
            let deadline = ContinuousClock.now + patience
            let opened = try connection ?? FileConnection(readerOf: file, identity, until: deadline)
            connection = opened
            return try opened.wait(until: deadline) { connection in
                // Ends a transaction whose own rollback ran out of memory.
                try connection.rollBack()
                return try body(connection)
            }
        }
    }

    /// The same for a caller that must not block its thread.
    func use<Value: Sendable>(_ body: @escaping @Sendable (Connection) throws -> Value) async throws -> Value {
        try await threads.run { try self.use(body) }
    }

    /// Lets no more reads begin, and waits until those under way have ended.
    ///
    /// - Returns: Whether they have ended within so many seconds. If not, reads go on.
    func pause(upTo seconds: Double) -> Bool {
        state.withLock { $0.isPaused = true }
        return state.withLock(when: \.isQuiet, orAfter: seconds) { state in
            state.isPaused = state.isQuiet
            return state.isPaused
        }
    }

    /// Lets reads begin again.
    func resume() {
        state.withLock { $0.isPaused = false }
    }

    /// Waits until the reads that are under way have ended, for a second at most.
    func drain() {
        if pause(upTo: 1) { resume() }
    }

    /// Lets no more reads begin, waits until those under way have ended, and closes the connections.
    func close() {
        state.withLock { $0.isClosed = true }
        state.withLock(when: \.isQuiet) { _ in }
        for connection in connections { connection.withLock { $0 = nil } }
    }
}
