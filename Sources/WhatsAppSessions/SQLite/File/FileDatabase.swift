/// A database in a file. Reads have connections of their own and never wait for the disk; writes have one, and share its
/// commits.
final class FileDatabase: SessionStore {
    private let openDatabase: Fork.OpenDatabase
    private let owner = Fork.Owner()
    private let file: DatabasePath
    private let identity: FileIdentity
    /// How long a call waits for the locks of other connections.
    let patience: Duration

    let commits: SharedCalls<FileWriter>
    private let shortReads, longReads: Readers
    let keeper = LogKeeper()
    private let checkpointer = Lock<FileConnection?>(nil)

    init(_ path: String, patience: Duration = .seconds(60)) throws {
        openDatabase = try Fork.OpenDatabase()
        let file = try DatabasePath(path)
        try file.createIfMissing()
        let opened = file.look()
        let connection = try FileConnection(file)
        try connection.prepare(until: .now + patience)
        let writer = try FileWriter(connection, opened, keeper)
        self.file = file
        self.patience = patience
        identity = writer.identity
        // A read takes microseconds: a few connections serve many threads. A list takes longer, and has its own.
        shortReads = Readers(file, identity, count: 4, patience: patience)
        longReads = Readers(file, identity, count: 2, patience: patience)
        commits = SharedCalls(on: writer, patience: patience)
        keeper.begin { [weak self] upkeep in self?.maintainLog(upkeep) != false }
        // A process that died may have left a QR code in the log.
        if opened.logSize > 0 { keeper.owe(.erase) }
    }

    var isShared: Bool { true }

    // MARK: Reads

    func session(_ id: String) throws -> Session? {
        try owner.requireThisProcess()
        return try shortReads.use { try SQLiteSessions($0).session(id) }
    }

    func session(_ id: String) async throws -> Session? {
        try owner.requireThisProcess()
        return try await shortReads.use { try SQLiteSessions($0).session(id) }
    }

    func exists(_ id: String) throws -> Bool {
        try owner.requireThisProcess()
        return try shortReads.use { try SQLiteSessions($0).exists(id) }
    }

    func exists(_ id: String) async throws -> Bool {
        try owner.requireThisProcess()
        return try await shortReads.use { try SQLiteSessions($0).exists(id) }
    }

    func read(_ read: SessionRead) throws -> Found {
        try owner.requireThisProcess()
        do {
            return try readers(for: read).use { try self.find(read, on: $0) }
        } catch is HistoryOfAnotherDatabase {
            _ = try write(.renewHistory)
            return try readers(for: read).use { try self.find(read, on: $0, isRenewed: true) }
        }
    }

    func read(_ read: SessionRead) async throws -> Found {
        try owner.requireThisProcess()
        do {
            return try await readers(for: read).use { try self.find(read, on: $0) }
        } catch is HistoryOfAnotherDatabase {
            _ = try await write(.renewHistory)
            return try await readers(for: read).use { try self.find(read, on: $0, isRenewed: true) }
        }
    }

    private func readers(for read: SessionRead) -> Readers { read.isLong ? longReads : shortReads }

    /// The journal's history belongs to the database that this one was copied from, with `.restore` for instance.
    private struct HistoryOfAnotherDatabase: Error {}

    /// - Throws: ``HistoryOfAnotherDatabase`` when a new history must be begun first.
    private func find(_ read: SessionRead, on connection: Connection, isRenewed: Bool = false) throws -> Found {
        let sessions = SQLiteSessions(connection)
        switch read {
        case .list, .page, .counts, .lease, .leases, .keptCursor: return try sessions.find(read)
        case .contents: return try connection.readTransaction { try sessions.find(read) }
        case .snapshot, .sessionAndPlace, .newestPlace, .changes, .history:
            // In a file that was moved away nothing changes any more.
            if case .newestPlace = read { try file.requireInPlace(identity) }
            return try connection.readTransaction {
                if try !sessions.hasOwnHistory() {
                    guard isRenewed else { throw HistoryOfAnotherDatabase() }
                    throw DatabaseError(
                        resultCode: .corrupt,
                        message:
                            "another program keeps the journal from a new history: remove its trigger on the table journal"
                    )
                }
                return try sessions.find(read)
            }
        }
    }

    // MARK: Writes

    func write(_ write: SessionWrite) throws -> Written {
        try owner.requireThisProcess()
        return try commits.make(write)
    }

    func write(_ write: SessionWrite) async throws -> Written {
        try owner.requireThisProcess()
        return try await commits.make(write)
    }

    // MARK: Upkeep of the log

    /// - Returns: Whether it was done; otherwise a reader or a writer is in the way.
    private func maintainLog(_ upkeep: LogUpkeep) -> Bool {
        // Lists pause before the write lock is taken, so that no write waits for their end; and only for a moment longer, so that no
        // list waits for a writer.
        defer { longReads.resume() }
        return longReads.pause(upTo: 10)
            && commits.alone(within: 0.1) { $0.map { maintainLog(upkeep, $0) } != false } == true
    }

    private func maintainLog(_ upkeep: LogUpkeep, _ writer: FileWriter) -> Bool {
        let deadline = ContinuousClock.now + .milliseconds(250)
        let isDone = try? checkpointer.withLock { checkpointer in
            try file.requireInPlace(identity)
            let connection = try checkpointer ?? FileConnection(readerOf: file, identity, until: deadline)
            checkpointer = connection
            return try writer.maintainLog(
                upkeep,
                checkpointer: connection,
                until: deadline,
                drain: shortReads.drain,
                isCopied: longReads.resume
            )
        }
        return isDone == true
    }

    // MARK: Copies

    /// Copies the pages, and writes them out when no read is under way any more that the log would have to wait for.
    func copy(to path: String) throws {
        try owner.requireThisProcess()
        let copy = try PageCopy()
        _ = try longReads.use { try copy.addPages(of: $0, atMost: -1) }
        try copy.write(to: path)
    }

    // MARK: The end

    /// Finishes the writes and reads that are under way or wait, does what is owed to the log, and closes all connections. The
    /// last connection to a file deletes its log, unless that may be another file's by now.
    func close() throws {
        try owner.requireThisProcess()
        _ = try commits.alone { writer in
            guard let last = writer else { return }
            defer { writer = nil }
            longReads.close()
            shortReads.close()
            if let owed = keeper.end() { _ = maintainLog(owed, last) }
            checkpointer.withLock { $0 = nil }
            try file.requireInPlace(identity)
            last.connection.setDeletesLogAtEnd(true)
        }
    }
}
