import WhatsAppSessionsSQLite

/// A connection to a database. It cannot be copied, so whoever holds it is alone with it.
struct Connection: ~Copyable {
    let handle: OpaquePointer?

    private init(handle: OpaquePointer?) {
        self.handle = handle
    }

    /// Opens the database at `path`; `:memory:` is a new and private one.
    /// `NOMUTEX`, because the owner's lock keeps other threads out: <https://sqlite.org/threadsafe.html>.
    ///
    /// `sqlite3_open_v2`
    static func open(_ path: String) throws -> Connection {
        var handle: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        let code = sqlite3_open_v2(path, &handle, flags, nil)
        // Owned before it is checked: a failed open leaves a handle that must be closed too.
        let connection = Connection(handle: handle)
        try connection.check(code)
        return connection
    }

    deinit {
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

    /// How many rows the last INSERT, UPDATE or DELETE changed.
    ///
    /// `sqlite3_changes`
    var changes: Int { Int(sqlite3_changes(handle)) }

    private func check(_ code: Int32, sql: String? = nil) throws {
        guard code == SQLITE_OK else { throw DatabaseError(code, on: handle, sql: sql) }
    }
}
