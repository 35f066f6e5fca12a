import Foundation

/// A database in a file. Reads have connections of their own and never wait for the disk; changes have one, and share its
/// commits.
final class FileDatabase: Sendable {
    let file: DatabaseFile
    private let schema: Schema
    private let owner = Fork.Owner()
    private let openFile: Fork.OpenFile
    /// How long a call waits for the locks of other connections.
    let patience: Duration

    private let identity: DatabaseFile.Identity
    let writer: Lock<FileConnection?>
    private let readers: Readers
    private let checkpointer = Lock<FileConnection?>(nil)
    private let waiting = Lock<[any WaitingChange]>([])
    let upkeep = Lock(LogUpkeepSchedule())
    /// Changes and upkeep take turns here, first come, first served. A synchronous caller's turn runs on its own thread.
    private let turns = DispatchQueue(label: "whatsapp-sessions.changes")

    init(_ path: String, schema: Schema, patience: Duration = .seconds(60)) throws {
        let openFile = try Fork.OpenFile()
        let file = try DatabaseFile(path)
        try file.createIfMissing()
        // A process that died may have left a QR code in the log.
        let owesErasure = file.logSize > 0
        let writer = try FileConnection(file)
        try writer.prepare(schema, deadline: .now + patience)
        self.openFile = openFile
        self.file = file
        self.schema = schema
        self.patience = patience
        identity = file.identity
        guard identity.isComplete else { throw DatabaseError.moved }
        self.writer = Lock(writer)
        readers = Readers(file, identity)
        if owesErasure { owe(.erase) }
    }

    // MARK: Reads

    func read<Value: Sendable>(_ body: @Sendable (Connection) throws -> Value) throws -> Value {
        try owner.requireThisProcess()
        return try readers.read(until: .now + patience, body)
    }

    func read<Value: Sendable>(_ body: @escaping @Sendable (Connection) throws -> Value) async throws -> Value {
        try owner.requireThisProcess()
        return try await readers.read(until: .now + patience, body)
    }

    /// A number that is another one after each commit by whatever process, and sometimes after upkeep.
    ///
    /// - Throws: ``DatabaseError`` also when the file is no longer in its place, where nothing changes any more.
    func version() async throws -> Int64 {
        try owner.requireThisProcess()
        return try await readers.version(until: .now + patience)
    }

    // MARK: Changes

    func change<Value: Sendable>(_ body: @escaping @Sendable (Connection) throws -> Changed<Value>) throws -> Value {
        try owner.requireThisProcess()
        let change = QueuedChange(deadline: .now + patience, body: body)
        waiting.withLock { $0.append(change) }
        turns.sync { takeTurn(of: change) }
        return try change.outcome.get()
    }

    func change<Value: Sendable>(
        _ body: @escaping @Sendable (Connection) throws -> Changed<Value>
    ) async throws -> Value {
        try owner.requireThisProcess()
        return try await withCheckedThrowingContinuation { continuation in
            // Resumed by whichever turn commits it.
            let change = QueuedChange(deadline: .now + patience, body: body, continuation)
            waiting.withLock { $0.append(change) }
            turns.async { self.takeTurn(of: change) }
        }
    }

    var waitingChanges: Int { waiting.withLock(\.count) }

    /// Commits this change together with all that wait by now, unless an earlier turn did.
    private func takeTurn(of change: any WaitingChange) {
        guard !change.isDone else { return }
        let owed: Set<LogUpkeep> = writer.withLock { writer in
            do {
                guard let writer else { throw DatabaseError.closed }
                try begin(on: writer, until: change.deadline)
                let changes = waiting.withLock { waiting in
                    defer { waiting = [] }
                    return waiting
                }
                return commit(changes, on: writer)
            } catch {
                // Those behind this one have their own turns, and their own deadlines.
                waiting.withLock { $0.removeAll { $0 === change } }
                change.fail(error)
                return []
            }
        }
        for upkeep in owed { owe(upkeep) }
    }

    private func begin(on writer: FileConnection, until deadline: ContinuousClock.Instant) throws {
        try writer.begin(until: deadline)
        do {
            // Don't write to a file that was moved away.
            try requireFileInPlace()
        } catch {
            try? writer.connection.rollBack()
            throw error
        }
    }

    /// Runs the changes in the transaction that has begun, and commits it. Each has its own outcome: SQLite undoes a
    /// statement that fails and goes on with the transaction. After an error that takes the whole transaction back, each
    /// change is run again alone.
    ///
    /// - Returns: The upkeep that the log needs.
    private func commit(_ changes: [any WaitingChange], on writer: FileConnection) -> Set<LogUpkeep> {
        let connection = writer.connection
        do {
            for change in changes {
                change.run(on: connection)
                guard connection.isInTransaction else { throw DatabaseError.transactionLost }
            }
            try connection.prepared("COMMIT").execute()
        } catch {
            try? connection.rollBack()
            if changes.count == 1 {
                changes[0].fail(changes[0].error ?? error)
                return []
            }
            return changes.reduce(into: []) { owed, change in
                do {
                    try begin(on: writer, until: change.deadline)
                    owed.formUnion(commit([change], on: writer))
                } catch {
                    change.fail(error)
                }
            }
        }
        do {
            // The file may have been moved during the commit; then don't report success.
            try requireFileInPlace()
            var owed: Set<LogUpkeep> = writer.logPages > LogUpkeep.longLog ? [.startOver] : []
            for change in changes where change.finish() { owed.insert(.erase) }
            return owed
        } catch {
            for change in changes { change.fail(error) }
            return []
        }
    }

    private func requireFileInPlace() throws {
        guard file.identity == identity else { throw DatabaseError.moved }
    }

    // MARK: Upkeep of the log

    private func owe(_ due: LogUpkeep) {
        planTurn(at: upkeep.withLock { $0.owe(due, now: .now) })
    }

    private func planTurn(at instant: ContinuousClock.Instant?) {
        guard let instant else { return }
        let delay = max(.zero, instant - .now) / .nanoseconds(1)
        turns.asyncAfter(deadline: .now() + .nanoseconds(Int(delay))) { [weak self] in
            // The two clocks need not agree.
            self?.takeTurnOfUpkeep(now: max(instant, .now))
        }
    }

    private func takeTurnOfUpkeep(now: ContinuousClock.Instant) {
        writer.withLock { writer in
            if let writer, let due = upkeep.withLock({ $0.due(now: now) }) { maintainLog(due, writer) }
        }
    }

    /// Tries upkeep, and comes back later where it fails.
    private func maintainLog(_ due: LogUpkeep, _ writer: FileConnection) {
        let deadline = ContinuousClock.now + .seconds(1)
        let isDone = try? checkpointer.withLock { checkpointer in
            try requireFileInPlace()
            let connection = try checkpointer ?? FileConnection(readerOf: file, identity, until: deadline)
            checkpointer = connection
            return try writer.maintainLog(
                due,
                identity: identity,
                checkpointer: connection,
                deadline: deadline,
                drain: readers.drain
            )
        }
        planTurn(at: upkeep.withLock { $0.tried(due, success: isDone ?? false, now: .now) })
    }

    // MARK: Copies

    /// Copies the database from a connection of its own, so that nobody waits for it.
    func copy(to copy: FileCopy) throws {
        // Throws where the database is closed.
        try read { _ in }
        let connection = try FileConnection(readerOf: file, identity, until: .now + patience)
        try copy.create { target in
            try connection.wait(until: .now + patience) { try $0.copy(to: target, renewing: schema) }
        }
    }

    // MARK: The end

    func close() throws {
        try owner.requireThisProcess()
        try turns.sync { try end() }
    }

    func close() async throws {
        try owner.requireThisProcess()
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            turns.async { continuation.resume(with: Result { try self.end() }) }
        }
    }

    /// Does what is owed to the log, and closes all connections. The last connection to a file deletes its log, unless
    /// that may be another file's by now.
    private func end() throws {
        try writer.withLock { writer in
            guard let connection = writer else { return }
            defer { writer = nil }
            if let owed = upkeep.withLock(\.owed) { maintainLog(owed, connection) }
            readers.close()
            checkpointer.withLock { $0 = nil }
            try requireFileInPlace()
            connection.setDeletesLogAtEnd(true)
        }
    }
}

extension DatabaseError {
    static var moved: DatabaseError {
        DatabaseError(
            resultCode: .misuse,
            message: "the file or its log was moved, replaced or deleted while it was open: open it again"
        )
    }

    fileprivate static var transactionLost: DatabaseError {
        DatabaseError(resultCode: .error, message: "the transaction ended before its commit")
    }
}
