import Foundation
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

    /// Runs the statement once: `body` sets its parameters, those left out are NULL, steps, and reads the rows.
    /// Afterwards it is reset and nothing stays bound, whether `body` succeeded or not.
    @discardableResult
    func run<Value>(_ body: (borrowing Statement) throws -> Value) throws -> Value {
        defer {
            reset()
            sqlite3_clear_bindings(handle)
        }
        return try body(self)
    }

    /// Runs the statement with this text as its first parameter. SQLite reads it where it is, without a copy of its own
    /// (`SQLITE_STATIC`, a NULL destructor), since it stays there for the run.
    @discardableResult
    func run<Value>(_ text: String, _ body: (borrowing Statement) throws -> Value) throws -> Value {
        var text = text
        return try text.withUTF8 { bytes in
            try run { statement in
                try bytes.withMemoryRebound(to: CChar.self) { characters in
                    let count = UInt64(characters.count)
                    try check(sqlite3_bind_text64(handle, 1, characters.baseAddress, count, nil, UInt8(SQLITE_UTF8)))
                }
                return try body(statement)
            }
        }
    }

    /// Ends a run that was not done; SQLite is content when there is none.
    ///
    /// `sqlite3_reset`
    func reset() {
        sqlite3_reset(handle)
    }

    /// Goes on to the next row; `false` when there is none, and all is done.
    ///
    /// `sqlite3_step`
    @discardableResult
    func step() throws -> Bool {
        let code = sqlite3_step(handle)
        guard code == SQLITE_ROW || code == SQLITE_DONE else { throw error(code) }
        return code == SQLITE_ROW
    }

    /// Binds every byte of the text, a NUL among them. SQLite owns the copy and frees it; to let SQLite make it
    /// (`SQLITE_TRANSIENT`) goes through an allocator that counts, and made an update up to a tenth slower.
    ///
    /// `sqlite3_bind_text64`
    func bind(_ text: String?, at index: Int32) throws {
        guard var text else { return }
        let code = text.withUTF8 { bytes in
            let copy = malloc(bytes.count + 1)!.assumingMemoryBound(to: CChar.self)
            memcpy(copy, bytes.baseAddress!, bytes.count)
            return sqlite3_bind_text64(handle, index, copy, UInt64(bytes.count), free, UInt8(SQLITE_UTF8))
        }
        try check(code)
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
// Through its `sqlite3_value`, since each `sqlite3_column_` function looks the column up anew. No other thread may use the
// connection meanwhile, and none does: https://sqlite.org/c3ref/column_blob.html
extension Statement {
    /// The text in a column; throws when it is something else, or not valid UTF-8.
    ///
    /// `sqlite3_value_text`
    func text(_ column: Int32) throws -> String {
        guard let text = try textIfPresent(column) else { throw malformed(column) }
        return text
    }

    /// The same, where a column may be NULL.
    func textIfPresent(_ column: Int32) throws -> String? {
        let value = sqlite3_column_value(handle, column)
        let type = sqlite3_value_type(value)
        guard type != SQLITE_NULL else { return nil }
        guard type == SQLITE_TEXT, let start = sqlite3_value_text(value) else { throw malformed(column) }
        let count = Int(sqlite3_value_bytes(value))
        // The quick way ends at a NUL, which a text may have; then the slow one takes every byte.
        if let text = String(validatingCString: UnsafeRawPointer(start).assumingMemoryBound(to: CChar.self)),
            text.utf8.count == count
        {
            return text
        }
        let bytes = UnsafeBufferPointer(start: start, count: count)
        guard let text = String(validating: bytes, as: UTF8.self) else { throw malformed(column) }
        return text
    }

    /// The integer in a column; throws when it is something else.
    ///
    /// `sqlite3_value_int64`
    func integer(_ column: Int32) throws -> Int64 {
        guard let integer = try integerIfPresent(column) else { throw malformed(column) }
        return integer
    }

    /// The same, where a column may be NULL.
    func integerIfPresent(_ column: Int32) throws -> Int64? {
        let value = sqlite3_column_value(handle, column)
        let type = sqlite3_value_type(value)
        guard type != SQLITE_NULL else { return nil }
        guard type == SQLITE_INTEGER else { throw malformed(column) }
        return sqlite3_value_int64(value)
    }

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
