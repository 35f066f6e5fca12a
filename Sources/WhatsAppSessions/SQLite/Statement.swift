import WhatsAppSessionsSQLite

/// A prepared statement: compiled once, then run again and again with other values.
///
/// Parameters count from 1 and columns from 0, as in SQLite.
struct Statement: ~Copyable {
    private let handle: OpaquePointer?

    init(handle: OpaquePointer?) {
        self.handle = handle
    }

    deinit {
        sqlite3_finalize(handle)
    }

    /// Runs the statement once, to its end: `bind` sets its parameters, those left out are NULL, and `row` reads each
    /// row of the result. Returns what `row` made of the last one, or `nil` when there was none.
    /// Afterwards nothing stays bound, whether it succeeded or not.
    ///
    /// `sqlite3_step`
    @discardableResult
    func run<Value>(
        bind: (borrowing Statement) throws -> Void = { _ in },
        row: (borrowing Statement) throws -> Value = { _ in }
    ) throws -> Value? {
        defer {
            sqlite3_reset(handle)
            sqlite3_clear_bindings(handle)
        }
        try bind(self)
        var value: Value?
        var code = sqlite3_step(handle)
        while code == SQLITE_ROW {
            value = try row(self)
            code = sqlite3_step(handle)
        }
        guard code == SQLITE_DONE else { throw error(code) }
        return value
    }

    /// Binds every byte of the text, a NUL among them. The pointer that Swift passes lives for this call only, so SQLite
    /// makes its own copy (`SQLITE_TRANSIENT`, a macro that the importer cannot read).
    ///
    /// `sqlite3_bind_text64`
    func bind(_ text: String?, at index: Int32) throws {
        guard let text else { return }
        let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        let count = UInt64(text.utf8.count)
        try check(sqlite3_bind_text64(handle, index, text, count, transient, UInt8(SQLITE_UTF8)))
    }

    /// `sqlite3_bind_int64`
    func bind(_ integer: Int64?, at index: Int32) throws {
        guard let integer else { return }
        try check(sqlite3_bind_int64(handle, index, integer))
    }

    func bind(_ flag: Bool, at index: Int32) throws {
        try bind(flag ? 1 : 0, at: index)
    }

    private func check(_ code: Int32) throws {
        guard code == SQLITE_OK else { throw error(code) }
    }

    private func error(_ code: Int32) -> DatabaseError {
        DatabaseError(code, on: sqlite3_db_handle(handle), sql: sql)
    }

    /// The text that was prepared, without bound values.
    private var sql: String { String(cString: sqlite3_sql(handle)) }
}

// A STRICT table holds no value of another type, but a damaged file or a hand with the checks off does, so each is
// looked at again: https://sqlite.org/stricttables.html
extension Statement {
    /// The text in a column; throws when it is something else, or not valid UTF-8.
    ///
    /// `sqlite3_column_text`
    func text(_ column: Int32) throws -> String {
        guard sqlite3_column_type(handle, column) == SQLITE_TEXT,
            let text = String(validating: bytes(column), as: UTF8.self)
        else { throw malformed(column) }
        return text
    }

    /// The integer in a column; throws when it is something else.
    ///
    /// `sqlite3_column_int64`
    func integer(_ column: Int32) throws -> Int64 {
        guard sqlite3_column_type(handle, column) == SQLITE_INTEGER else { throw malformed(column) }
        return sqlite3_column_int64(handle, column)
    }

    func textIfPresent(_ column: Int32) throws -> String? { isNull(column) ? nil : try text(column) }

    func integerIfPresent(_ column: Int32) throws -> Int64? { isNull(column) ? nil : try integer(column) }

    private func isNull(_ column: Int32) -> Bool { sqlite3_column_type(handle, column) == SQLITE_NULL }

    /// The error for a value that makes no sense. It names the row by its first column, and keeps the value to itself.
    func malformed(_ column: Int32) -> DatabaseError {
        let key = String(decoding: bytes(0), as: UTF8.self)
        return DatabaseError(
            SQLITE_CORRUPT,
            message: "malformed \(name(column)) in the row with the \(name(0)) \(key)",
            sql: sql
        )
    }

    private func bytes(_ column: Int32) -> UnsafeBufferPointer<UInt8> {
        let start = sqlite3_column_text(handle, column)
        return UnsafeBufferPointer(start: start, count: Int(sqlite3_column_bytes(handle, column)))
    }

    private func name(_ column: Int32) -> String { String(cString: sqlite3_column_name(handle, column)) }
}
