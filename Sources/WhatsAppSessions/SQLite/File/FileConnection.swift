import Foundation
import WhatsAppSessionsSQLite

/// A connection to a database in a file, with a write-ahead log: <https://sqlite.org/wal.html>.
final class FileConnection {
    let connection: Connection
    let file: DatabasePath
    /// When to stop waiting for a lock that another connection holds.
    private(set) var deadline = ContinuousClock.now
    /// How many pages of the log were in use after this connection's last commit.
    private(set) var logPages = 0
    /// How many commits this connection has made.
    private(set) var commits = 0

    /// Opens the file as its writer, which is prepared before it is used.
    init(_ file: DatabasePath, flags: Int32 = SQLITE_OPEN_READWRITE) throws {
        self.file = file
        do {
            connection = try Connection.open(file.path, flags: flags | SQLITE_OPEN_NOFOLLOW)
        } catch let error as DatabaseError {
            throw error.explained { "cannot open \(file.path): \($0)" }
        }
        installHandlers()
        set(SQLITE_DBCONFIG_DEFENSIVE, true)
        set(SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)
        set(SQLITE_DBCONFIG_DQS_DML, false)
        set(SQLITE_DBCONFIG_DQS_DDL, false)
        setDeletesLogAtEnd(false)
    }

    /// Opens the file beside its writer, to read or to checkpoint.
    ///
    /// - Throws: ``DatabaseError`` when the file or its log is no longer the one that the writer has.
    convenience init(
        readerOf file: DatabasePath,
        _ identity: FileIdentity,
        until deadline: ContinuousClock.Instant
    ) throws {
        try file.requireInPlace(identity)
        try self.init(file)
        try wait(until: deadline) { connection in
            try connection.execute(Self.settings)
            // Opens the log.
            try connection.prepared("SELECT count(*) FROM sqlite_schema").execute()
        }
        try file.requireInPlace(identity)
    }

    /// Makes the file a database with this schema and a write-ahead log, if it is not one yet. Nothing is written to a
    /// file that belongs to another program.
    func prepare(_ schema: Schema = .sessions, until deadline: ContinuousClock.Instant) throws {
        do {
            try wait(until: deadline) { connection in
                try connection.readTransaction {
                    try connection.requireObjects(of: schema, version: connection.version(of: schema))
                }
                // SQLite opens a file that it may not write to for reading, and says so only at the first change.
                guard sqlite3_db_readonly(connection.handle, "main") == 0 else {
                    throw DatabaseError(resultCode: .readOnly, message: "the file is read-only")
                }
                try file.restrict()
                try connection.execute(Self.settings)
                let mode = try connection.row(of: "PRAGMA journal_mode = WAL") { try $0.text(0) }
                try Self.requireWriteAheadLog(mode)
                try connection.migrate(to: schema)
            }
        } catch let error as DatabaseError {
            throw error.explained { "cannot open \(file.path): \($0)" }
        }
    }

    /// A call that returned is on disk (`synchronous`), and what was dropped is overwritten in the file (`secure_delete`).
    ///
    /// EXTRA is FULL once there is a write-ahead log. Before, while the file is being created, it also waits until the
    /// rollback journal is gone for good, which would come back after a power loss and undo the file. Temporary tables
    /// stay in memory, since they may hold codes. The last two settings matter
    /// on macOS.
    private static let settings = """
        PRAGMA synchronous = EXTRA;
        PRAGMA secure_delete = ON;
        PRAGMA temp_store = MEMORY;
        PRAGMA cell_size_check = ON;
        PRAGMA mmap_size = 0;
        PRAGMA fullfsync = ON;
        PRAGMA checkpoint_fullfsync = ON;
        """

    /// Whether SQLite, when this is the last connection, moves the log into the file and deletes it by name.
    func setDeletesLogAtEnd(_ deletes: Bool) {
        set(SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !deletes)
    }

    /// The corresponding C function is `sqlite3_db_config`.
    private func set(_ option: Int32, _ value: Bool) {
        _ = whatsapp_sessions_db_config(connection.handle, option, value ? 1 : 0)
    }

    /// Checks the mode that SQLite could set.
    static func requireWriteAheadLog(_ mode: String) throws {
        guard mode == "wal" else {
            throw DatabaseError(
                resultCode: .cannotOpen,
                message: "no write-ahead log is possible here (the journal mode stays \(mode)), as on a network drive"
            )
        }
    }

    /// Runs `body`, waiting for the locks of other connections until `deadline`. It is run again after an error that only
    /// says "not now", so it must have changed nothing by then.
    ///
    /// An update that is alone reads before it writes, so SQLite refuses at once when another connection has written between.
    /// Other errors never ask the busy handler, either: `PRAGMA journal_mode` beside a writer, and "locking protocol"
    /// while another process opens the log.
    func wait<Value>(
        until deadline: ContinuousClock.Instant,
        _ body: (Connection) throws -> Value
    ) throws -> Value {
        self.deadline = deadline
        var failure: any Error
        repeat {
            do { return try body(connection) } catch { failure = error }
        } while pauses(after: failure)
        throw failure
    }

    /// Pauses after an error that only says "not now", unless it is too late.
    ///
    /// - Returns: Whether it has paused.
    private func pauses(after error: any Error) -> Bool {
        guard let code = (error as? DatabaseError)?.resultCode, .busy ~= code || .lockingProtocol ~= code,
            .now < deadline
        else { return false }
        Self.pause()
        return true
    }
}

extension FileConnection {
    /// Begins a transaction as a writer.
    func begin(until deadline: ContinuousClock.Instant) throws {
        try wait(until: deadline) { connection in
            try connection.rollBack()
            do {
                try connection.prepared("BEGIN IMMEDIATE").execute()
            } catch {
                // One that ran out of memory may have begun all the same.
                try? connection.rollBack()
                throw error
            }
        }
    }

    /// A commit that rewrites the header unchanged.
    func commitHeader(until deadline: ContinuousClock.Instant, _ body: () -> Void = {}) throws {
        try begin(until: deadline)
        do {
            body()
            let version = try connection.row(of: "PRAGMA user_version") { try $0.integer(0) }
            try connection.execute("PRAGMA user_version = \(version)")
            try connection.prepared("COMMIT").execute()
        } catch {
            try? connection.rollBack()
            throw error
        }
    }

    /// Has SQLite ask this connection how long to wait, and tell it how long the log is instead of making checkpoints of
    /// its own: <https://sqlite.org/c3ref/wal_hook.html>.
    ///
    /// SQLite's own busy handler sleeps ever longer between two polls, up to 100 ms, so the connection that has waited longest
    /// polls least often and starves among busy writers. Here all poll equally often, at random moments. A deadline, because
    /// signals cut sleeps short, and a count of polls would run out.
    ///
    /// The corresponding C functions are `sqlite3_busy_handler` and `sqlite3_wal_hook`.
    private func installHandlers() {
        let this = Unmanaged.passUnretained(self).toOpaque()
        sqlite3_busy_handler(
            connection.handle,
            { this, _ in
                guard .now < Unmanaged<FileConnection>.fromOpaque(this!).takeUnretainedValue().deadline else {
                    return 0
                }
                FileConnection.pause()
                return 1
            },
            this
        )
        sqlite3_wal_hook(
            connection.handle,
            { this, _, _, pages in
                let connection = Unmanaged<FileConnection>.fromOpaque(this!).takeUnretainedValue()
                connection.logPages = Int(pages)
                connection.commits += 1
                return SQLITE_OK
            },
            this
        )
    }

    private static func pause() { usleep(pauseLength()) }

    /// In microseconds.
    static func pauseLength() -> useconds_t { .random(in: 500...1500) }
}
