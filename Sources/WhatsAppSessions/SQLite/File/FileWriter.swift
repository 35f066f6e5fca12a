import WhatsAppSessionsSQLite

/// The connection to a file that writes. One thread at a time may use it.
final class FileWriter: CallTarget {
    let connection: FileConnection
    let file: DatabasePath
    /// The files that the database was opened with. Nothing else is written to.
    let identity: FileIdentity
    let pageSize: Int
    private let keeper: LogKeeper

    /// The length that the log must have since this connection's last commit, and SQLite's data version by then.
    private var log: (size: Int, dataVersion: UInt32, commits: Int) = (0, 0, 0)

    /// - Parameter opened: The files before the connection was opened; another one may have taken the name since.
    init(_ connection: FileConnection, _ opened: FileIdentity, _ keeper: LogKeeper) throws {
        self.connection = connection
        self.keeper = keeper
        file = connection.file
        identity = file.look()
        guard identity.isComplete, identity.isSameFile(as: opened) else { throw DatabaseError.moved }
        pageSize = try connection.connection.row(of: "PRAGMA page_size") { try Int($0.integer(0)) }
    }

    func make(_ writes: [SessionWrite], until deadline: ContinuousClock.Instant) throws -> [Outcome] {
        try requireSoundFile(until: deadline)
        let outcomes =
            writes.count == 1 && writes[0].isOneStatement
            ? [try commitStatement(of: writes[0], until: deadline)]
            : try commitTransaction(of: writes, until: deadline)
        // Nothing was written, so there is nothing to look for.
        guard connection.commits != log.commits else { return outcomes }
        noteLog()
        // If the file was moved during the commit, the writes are in the moved file.
        guard file.look() == identity else { throw DatabaseError.moved.withUnknownOutcome }
        if connection.logPages > LogUpkeep.longLog { keeper.owe(.startOver) }
        if outcomes.contains(where: { (try? $0.get().dropsQRCode) == true }) { keeper.owe(.erase) }
        return outcomes
    }

    /// A statement that is alone needs no BEGIN and COMMIT, which take an eighth of a creation.
    private func commitStatement(
        of write: SessionWrite,
        until deadline: ContinuousClock.Instant
    ) throws -> Outcome {
        do {
            return .success(
                try connection.wait(until: deadline) { connection in
                    try connection.rollBack()
                    return try SQLiteSessions(connection).make(write)
                }
            )
        } catch let error as DatabaseError where error.mayHaveCommitted {
            throw settle(error, until: deadline)
        } catch {
            return .failure(error)
        }
    }

    /// Makes the writes in one transaction. SQLite undoes a statement that fails, and goes on with the transaction.
    private func commitTransaction(
        of writes: [SessionWrite],
        until deadline: ContinuousClock.Instant
    ) throws -> [Outcome] {
        try connection.begin(until: deadline)
        let connection = connection.connection
        var outcomes: [Outcome] = []
        do {
            for write in writes {
                do {
                    outcomes.append(.success(try SQLiteSessions(connection).make(write)))
                } catch {
                    // It may have taken back the whole transaction.
                    guard connection.isInTransaction else { throw error }
                    outcomes.append(.failure(error))
                }
            }
        } catch {
            try? connection.rollBack()
            throw error
        }
        do {
            try connection.prepared("COMMIT").execute()
        } catch let error as DatabaseError {
            try? connection.rollBack()
            throw error.mayHaveCommitted ? settle(error, until: deadline) : error
        }
        return outcomes
    }

    /// What a commit that failed has written to the log would come back after a crash. The next commit overwrites it.
    private func settle(_ failure: DatabaseError, until deadline: ContinuousClock.Instant) -> DatabaseError {
        do {
            try connection.connection.rollBack()
            try connection.commitHeader(until: deadline)
            return failure
        } catch {
            return failure.withUnknownOutcome
        }
    }

    // MARK: The file

    /// Looks at the file before a write: afterwards a log that was cut is as long as before, with a hole.
    private func requireSoundFile(until deadline: ContinuousClock.Instant) throws {
        let look = file.look()
        guard look == identity else { throw DatabaseError.moved }
        guard look.logSize < log.size else { return }
        // A log that another connection started over may be shorter. Then the data version is another one.
        try connection.begin(until: deadline)
        defer { try? connection.connection.rollBack() }
        guard dataVersion != log.dataVersion else {
            throw DatabaseError(
                resultCode: .corrupt,
                message:
                    "another program cut the log \(file.log), and with it what was not in the file yet: restore a backup"
            )
        }
    }

    /// Notes how long the log must be at least, if something was committed.
    func noteLog() {
        guard connection.commits != log.commits else { return }
        log = (Self.logSize(pages: connection.logPages, pageSize), dataVersion, connection.commits)
    }

    /// How long a log of so many pages is: a header, then pages with a header each.
    ///
    /// <https://sqlite.org/fileformat.html#the_write_ahead_log>
    static func logSize(pages: Int, _ pageSize: Int) -> Int { 32 + pages * (24 + pageSize) }

    /// Another number once any connection has committed something, as far as this one knows.
    ///
    /// The corresponding C function is `sqlite3_file_control` with `SQLITE_FCNTL_DATA_VERSION`.
    private var dataVersion: UInt32 {
        var version: UInt32 = 0
        sqlite3_file_control(connection.connection.handle, "main", SQLITE_FCNTL_DATA_VERSION, &version)
        return version
    }
}

extension SessionWrite {
    /// Whether SQLite makes it with one statement that writes.
    fileprivate var isOneStatement: Bool {
        switch self {
        case .create, .update, .delete, .renewLease, .closeLease, .keepCursor: true
        case .recover, .renewHistory, .openLease, .claim, .claimUnserved, .release, .restore: false
        }
    }
}

extension DatabaseError {
    /// Whether a commit that ended with this error may be in the log all the same.
    fileprivate var mayHaveCommitted: Bool {
        .ioError ~= resultCode || .full ~= resultCode || .outOfMemory ~= resultCode
    }
}
