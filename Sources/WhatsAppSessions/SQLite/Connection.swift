import Foundation
import WhatsAppSessionsSQLite

/// A connection to a database. It cannot be copied, so whoever holds it is alone with it.
struct Connection: ~Copyable {
    let handle: OpaquePointer?
    /// The file that is kept durable and its log short; `nil` in memory.
    var file: DatabaseFile?
    var checkpoints = CheckpointSchedule()
    /// The process that opened it.
    var process = getpid()

    /// Prepared beforehand, since a transaction must end when there is no memory to prepare anything.
    private var rollback = Statement(handle: nil)

    /// In memory, a read that is always under way, so that no statement begins and ends a read transaction of its own:
    /// a seventh of `exists`. It holds no change back; each is committed by the statement that makes it.
    private var reader = Statement(handle: nil)

    private init(handle: OpaquePointer?) {
        self.handle = handle
    }

    /// Opens a new and private database in memory, and gives it the schema.
    static func open(schema: Schema) throws -> Connection {
        var connection = try open(":memory:")
        try connection.migrate(to: schema)
        connection.reader = try connection.prepare("SELECT 1 FROM sqlite_schema")
        try connection.reader.step()
        return connection
    }

    /// Opens the database at `path`; `:memory:` is a new and private one.
    /// `NOMUTEX`, because the owner's lock keeps other threads out: <https://sqlite.org/threadsafe.html>.
    ///
    /// `sqlite3_open_v2`
    static func open(_ path: String, flags: Int32 = SQLITE_OPEN_READWRITE) throws -> Connection {
        var handle: OpaquePointer?
        let code = sqlite3_open_v2(path, &handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
        // Owned before it is checked: a failed open leaves a handle that must be closed too.
        var connection = Connection(handle: handle)
        try connection.check(code)
        connection.rollback = try connection.prepare("ROLLBACK")
        return connection
    }

    deinit {
        // In the child of a fork the file is the parent's: closing it here would drop the parent's log.
        guard process == getpid() else { return }
        // Nor is a log touched that may have become another file's.
        if file != nil, (try? requireFileInPlace()) != nil { checkpoint() }
        // This call waits for statements that are finalized after it, so their order does not matter.
        sqlite3_close_v2(handle)
    }

    /// Compiles one statement, to be run many times.
    ///
    /// `sqlite3_prepare_v3`
    func prepare(_ sql: String) throws -> Statement {
        var statement: OpaquePointer?
        try check(sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil), sql: sql)
        return Statement(handle: statement)
    }

    /// Runs a script of statements that have no parameters and whose rows nobody needs.
    ///
    /// `sqlite3_exec`
    func execute(_ script: String) throws {
        try check(sqlite3_exec(handle, script, nil, nil, nil), sql: script)
    }

    /// The number in the first column of the only row.
    func integer(_ sql: String) throws -> Int {
        try prepare(sql).run { row in
            try row.step()
            return try Int(row.integer(0))
        }
    }

    /// How many rows the last INSERT, UPDATE or DELETE changed.
    ///
    /// `sqlite3_changes`
    var changes: Int { Int(sqlite3_changes(handle)) }

    /// Runs `body` while no read is under way, as VACUUM demands.
    func withoutReader<Value>(_ body: () throws -> Value) rethrows -> Value {
        reader.reset()
        // One that cannot start, for want of memory, costs speed and nothing else.
        defer { if file == nil { _ = try? reader.step() } }
        return try body()
    }

    private func check(_ code: Int32, sql: String? = nil) throws {
        guard code == SQLITE_OK else { throw DatabaseError(code, on: handle, sql: sql) }
    }
}

/// How a transaction begins: as a reader, or as a writer at once.
enum TransactionKind {
    case deferred, immediate
}

extension Connection {
    /// Runs `body` in one transaction: all that it does, or nothing.
    ///
    /// IMMEDIATE, since a transaction that starts as a reader may find that it can no longer become a writer:
    /// <https://sqlite.org/lang_transaction.html>.
    func transaction<Value>(_ kind: TransactionKind = .immediate, _ body: () throws -> Value) throws -> Value {
        do {
            // Inside, since a BEGIN that ran out of memory may have begun all the same.
            try execute("BEGIN \(kind)")
            let value = try body()
            try execute("COMMIT")
            return value
        } catch {
            // After some failures SQLite has rolled back by itself; then there is nothing to undo.
            _ = try? rollback.run { try $0.step() }
            throw error
        }
    }

    /// Runs `body` in one transaction. When this returns the change is on disk, in the file that has the name.
    func write<Value>(_ body: () throws -> Value) throws -> Value {
        // Before, so that nothing is written beside a file that is gone; after, so that nothing lost is called saved.
        let value = try transaction {
            try requireFileInPlace()
            return try body()
        }
        try requireFileInPlace()
        return value
    }

    /// Comes before every use.
    func requireReady() throws {
        // `fork` copies a connection but not its locks: https://sqlite.org/howtocorrupt.html, section 2.6.
        guard file == nil || process == getpid() else {
            throw DatabaseError(
                SQLITE_MISUSE,
                message: "this process is a fork of the one that opened the file: open a manager of its own"
            )
        }
        // A rollback that could not be done, for want of memory, is done now.
        if sqlite3_get_autocommit(handle) == 0 { try rollback.run { try $0.step() } }
    }

    /// `SQLITE_FCNTL_HAS_MOVED`
    private func requireFileInPlace() throws {
        var hasMoved: Int32 = 0
        sqlite3_file_control(handle, "main", SQLITE_FCNTL_HAS_MOVED, &hasMoved)
        guard hasMoved == 0 else {
            throw DatabaseError(
                SQLITE_MISUSE,
                message: "the file was moved, replaced or deleted while it was open: open it again"
            )
        }
    }
}
