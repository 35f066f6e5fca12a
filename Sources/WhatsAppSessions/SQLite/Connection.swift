import Foundation
import WhatsAppSessionsSQLite

/// A connection to a database. One thread at a time may use it.
final class Connection {
    let handle: OpaquePointer
    private let owner = Fork.Owner()
    // Unchecked because the lock around the connection excludes other accesses, and the check would cost a twentieth of a read.
    @exclusivity(unchecked)
    private var statements: [(file: UnsafePointer<UInt8>, line: Int, statement: Statement)] = []

    private init(handle: OpaquePointer) {
        self.handle = handle
    }

    /// Opens a new, private database in memory.
    static func openInMemory() throws -> Connection {
        try open(":memory:", flags: SQLITE_OPEN_READWRITE)
    }

    /// Opens the database at `path`.
    ///
    /// `NOMUTEX` because a lock around the connection keeps other threads out: <https://sqlite.org/threadsafe.html>.
    /// `PRIVATECACHE` because the host may have switched on the shared cache, whose locks can't be waited for:
    /// <https://sqlite.org/sharedcache.html>. The corresponding C function is `sqlite3_open_v2`.
    static func open(_ path: String, flags: Int32) throws -> Connection {
        var handle: OpaquePointer?
        let options = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_PRIVATECACHE
        let code = sqlite3_open_v2(path, &handle, flags | options, nil)
        // Without memory for a handle there is none.
        guard let handle else { throw DatabaseError(code, on: nil) }
        // Owned before the code is checked: a failed open leaves a handle that must be closed.
        let connection = Connection(handle: handle)
        try connection.check(code)
        // Prepared now, because a transaction must end even when there is no memory left to prepare anything.
        _ = try connection.rollback
        return connection
    }

    deinit {
        // In a forked child the file is the parent's, and closing it here could delete the parent's log.
        guard owner.isThisProcess else { return }
        // Not all that `sqlite3_next_stmt` returns: those of FTS5 or R-tree belong to them, and end with the connection.
        for (_, _, statement) in statements { statement.finalize() }
        sqlite3_close_v2(handle)
    }

    /// The statement of a place in the source, which is prepared at its first use and kept.
    ///
    /// It is known by its place, because comparing the SQL would take longer than running it. So a place has one SQL.
    func prepared(
        _ sql: @autoclosure () -> String,
        file: StaticString = #fileID,
        line: Int = #line
    ) throws -> Statement {
        let start = file.utf8Start
        if let known = statements.first(where: { $0.line == line && $0.file == start }) { return known.statement }
        let statement = try prepare(sql())
        statements.append((start, line, statement))
        return statement
    }

    /// Compiles a statement.
    ///
    /// The corresponding C function is `sqlite3_prepare_v3`.
    private func prepare(_ sql: String) throws -> Statement {
        var statement: OpaquePointer?
        try check(sqlite3_prepare_v3(handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil), sql: sql)
        guard let statement else { throw DatabaseError(resultCode: .error, message: "there is no statement", sql: sql) }
        return Statement(handle: statement)
    }

    /// Prepares a statement for this once, and reads its only row.
    func row<Value>(of sql: String, read: (Row) throws -> Value) throws -> Value {
        let statement = try prepare(sql)
        defer { statement.finalize() }
        return try statement.only(read: read)
    }

    /// The same for a statement with any number of rows.
    func rows<Value>(of sql: String, read: (Row) throws -> Value) throws -> [Value] {
        let statement = try prepare(sql)
        defer { statement.finalize() }
        var values: [Value] = []
        try statement.eachRow { values.append(try read($0)) }
        return values
    }

    /// Runs a script of statements without parameters, ignoring their rows.
    ///
    /// The corresponding C function is `sqlite3_exec`.
    func execute(_ script: String) throws {
        try check(sqlite3_exec(handle, script, nil, nil, nil), sql: script)
    }

    /// How many rows the last INSERT, UPDATE or DELETE changed.
    ///
    /// The corresponding C function is `sqlite3_changes`.
    var changes: Int { Int(sqlite3_changes(handle)) }

    /// Gives the schema a version that no other database meets by counting, as those do that a backup was made to.
    ///
    /// SQLite uses it only to notice that the schema is another one: <https://sqlite.org/pragma.html#pragma_schema_version>.
    func renewSchemaVersion() throws {
        // Newer versions of SQLite do nothing while a connection is defensive.
        try with(SQLITE_DBCONFIG_DEFENSIVE, 0) {
            try execute("PRAGMA schema_version = \(Int32.random(in: 1 << 24 ... .max))")
        }
    }

    /// Runs `body` with another setting of the connection.
    func with(_ option: Int32, _ value: Int32, _ body: () throws -> Void) rethrows {
        let before = whatsapp_sessions_db_config_value(handle, option)
        _ = whatsapp_sessions_db_config(handle, option, value)
        defer { _ = whatsapp_sessions_db_config(handle, option, before) }
        try body()
    }

    private func check(_ code: Int32, sql: String? = nil) throws {
        guard code == SQLITE_OK else { throw DatabaseError(code, on: handle, sql: sql) }
    }
}

extension Connection {
    /// The corresponding C function is `sqlite3_get_autocommit`.
    var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

    /// Ends a transaction, if there is one, as if it had never begun. After some errors SQLite has done so itself.
    func rollBack() throws {
        if isInTransaction { try rollback.execute() }
    }

    fileprivate var rollback: Statement { get throws { try prepared("ROLLBACK") } }

    /// Runs `body` with all its reads at one moment.
    func readTransaction<Value>(_ body: () throws -> Value) throws -> Value {
        try prepared("BEGIN").execute()
        defer { try? rollBack() }
        return try body()
    }

    /// Runs `body` in one transaction: all of it happens, or nothing.
    ///
    /// IMMEDIATE because a transaction that begins as a reader may be unable to become a writer:
    /// <https://sqlite.org/lang_transaction.html>.
    func transaction<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            // Inside, because a BEGIN that ran out of memory may have begun all the same.
            try prepared("BEGIN IMMEDIATE").execute()
            let value = try body()
            try prepared("COMMIT").execute()
            return value
        } catch {
            try? rollBack()
            throw error
        }
    }

    /// The same inside a transaction or outside: when `body` throws, only what it did is undone.
    ///
    /// <https://sqlite.org/lang_savepoint.html>
    func savepoint<Value>(_ body: () throws -> Value) throws -> Value {
        do {
            try prepared("SAVEPOINT change").execute()
            let value = try body()
            try prepared("RELEASE change").execute()
            return value
        } catch {
            do {
                try prepared("ROLLBACK TO change").execute()
                try prepared("RELEASE change").execute()
            } catch {
                // Better to lose the whole transaction than to commit half of `body`.
                try? rollBack()
            }
            throw error
        }
    }
}
