import Foundation
import WhatsAppSessionsSQLite

// A database in a file, with a write-ahead log: https://sqlite.org/wal.html
extension Connection {
    /// Opens the database in `file`, creating it if there is none, and brings its schema up to date. What is not ours
    /// is refused before anything is written to it.
    static func open(_ file: DatabaseFile, schema: Schema) throws -> Connection {
        try file.createIfMissing()
        var connection = try open(file.path, flags: SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW)
        do {
            connection.waitForLocks(looks: patience)
            connection.set(SQLITE_DBCONFIG_DEFENSIVE, true)
            connection.set(SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)
            connection.set(SQLITE_DBCONFIG_DQS_DML, false)
            connection.set(SQLITE_DBCONFIG_DQS_DDL, false)
            // Closing would write the log of a file that is not ours into it.
            connection.set(SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            // In one transaction, since another process may be making the schema right now.
            _ = try connection.transaction(.deferred) { try connection.version(of: schema) }
            try connection.requireWritable()
            try file.restrict()
            try connection.execute(settings)
            try connection.useWriteAheadLog()
            try connection.migrate(to: schema)
            connection.set(SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        } catch let error as DatabaseError {
            throw error.opening(file.path)
        }
        connection.file = file
        return connection
    }

    /// A call that returned is on disk (`synchronous`), and what was dropped leaves the file (`secure_delete`).
    ///
    /// EXTRA is FULL once there is a write-ahead log; before, when the file is made, it also waits until the rollback
    /// journal is gone for good, which would else come back after a power loss and undo the file.
    ///
    /// No automatic checkpoints: those of another connection's commit corrupt the file in every SQLite before 3.51.3,
    /// <https://sqlite.org/wal.html#the_wal_reset_bug>.
    private static let settings = """
        PRAGMA synchronous = EXTRA;
        PRAGMA secure_delete = ON;
        PRAGMA wal_autocheckpoint = 0;
        PRAGMA cell_size_check = ON;
        PRAGMA mmap_size = 0;
        """

    /// `sqlite3_db_config`
    private func set(_ option: Int32, _ value: Bool) {
        _ = whatsapp_sessions_db_config(handle, option, value ? 1 : 0)
    }

    /// SQLite opens what it may not write to for reading, and says so only later. `sqlite3_db_readonly`
    func requireWritable() throws {
        guard sqlite3_db_readonly(handle, "main") == 0 else {
            throw DatabaseError(SQLITE_READONLY, message: "the file is read-only")
        }
    }

    /// `PRAGMA journal_mode` answers with the mode that it could set; while another connection writes it fails at once
    /// and asks no busy handler.
    func useWriteAheadLog() throws {
        var mode = ""
        var looks = 0
        while mode.isEmpty {
            do {
                mode = try prepare("PRAGMA journal_mode = WAL").run { row in
                    try row.step()
                    return try row.text(0)
                }
            } catch let error as DatabaseError where error.isBusy && looks < Self.patience {
                looks += 1
                usleep(1000)
            }
        }
        guard mode == "wal" else {
            throw DatabaseError(
                SQLITE_CANTOPEN,
                message: "no write-ahead log can be had here (the journal mode stays \(mode)), as on a network drive"
            )
        }
    }
}

extension Connection {
    /// Looks at a lock before a caller hears that the database is locked: about a minute.
    private static let patience = 60_000

    /// Waits for the locks of other connections.
    ///
    /// SQLite's own handler sleeps ever longer between two looks, up to 100 ms, so whoever has waited longest looks least
    /// often; among writers that leave the lock free for microseconds it starves. Here all look equally often, at
    /// random moments, so that each gets its turn. `sqlite3_busy_handler`
    ///
    /// - Parameter looks: How often to look, a millisecond apart on average.
    private func waitForLocks(looks: Int) {
        let handler: @convention(c) (UnsafeMutableRawPointer?, Int32) -> Int32 = { looks, count in
            guard count < Int(bitPattern: looks) else { return 0 }
            usleep(.random(in: 500...1500))
            return 1
        }
        sqlite3_busy_handler(handle, handler, UnsafeMutableRawPointer(bitPattern: looks))
    }

    /// Moves the log into the file and empties it, if that is due: because the log has grown, or because `isUrgent`, a
    /// credential in it having been dropped.
    mutating func checkpointIfDue(isUrgent: Bool) {
        guard let file, checkpoints.isDue(isUrgent || file.logSize > 1 << 20) else { return }
        checkpoints.record(success: checkpoint())
    }

    /// TRUNCATE keeps writers out, which the modes of the WAL-reset bug do not, and leaves no byte in the log. It cannot
    /// be done while someone reads from the log; then it is given up soon, and nothing is lost but time.
    ///
    /// `sqlite3_wal_checkpoint_v2`
    @discardableResult
    func checkpoint() -> Bool {
        waitForLocks(looks: 250)
        defer { waitForLocks(looks: Self.patience) }
        return sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil) == SQLITE_OK
    }
}

/// When to try the next checkpoint. A reader that stays (Litestream is one) makes them fail, a quarter of a second each,
/// so the pause between two tries doubles with every failure, from one second to about a minute.
struct CheckpointSchedule {
    private var isDue = false
    private var pause = Duration.seconds(1)
    private var next = ContinuousClock.now

    mutating func isDue(_ isNewlyDue: Bool) -> Bool {
        isDue = isDue || isNewlyDue
        return isDue && next <= .now
    }

    mutating func record(success: Bool) {
        isDue = !success
        next = success ? .now : .now + pause
        pause = success ? .seconds(1) : min(pause * 2, .seconds(64))
    }
}
