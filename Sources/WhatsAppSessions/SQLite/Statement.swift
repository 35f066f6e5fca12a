import Foundation
import WhatsAppSessionsSQLite

/// A prepared statement. Each method binds, runs, reads and resets in one call, so nothing is left under way or bound.
///
/// Its connection owns it.
struct Statement {
    fileprivate let handle: OpaquePointer

    init(handle: OpaquePointer) {
        self.handle = handle
    }

    /// Ends the statement, which must not be used any more.
    ///
    /// The corresponding C function is `sqlite3_finalize`.
    func finalize() { sqlite3_finalize(handle) }

    /// Runs a statement to its end; rows are ignored.
    ///
    /// - Parameter key: The text of the first parameter, if any; SQLite reads it in place instead of copying it.
    func execute(_ key: String? = nil, bind: (Parameters) throws -> Void = { _ in }) throws {
        try run(key, bind) { _ in true }
    }

    /// Runs the statement up to its first row, and reads that; `nil` when there is none.
    @inline(__always)
    func first<Value>(
        _ key: String? = nil,
        bind: (Parameters) throws -> Void = { _ in },
        read: (Row) throws -> Value
    ) throws -> Value? {
        var value: Value?
        try run(key, bind) { row in
            value = try read(row)
            return false
        }
        return value
    }

    /// Runs a statement that has one row whatever the database holds, and reads it.
    func only<Value>(read: (Row) throws -> Value) throws -> Value {
        guard let value = try first(read: read) else {
            throw DatabaseError(resultCode: .error, message: "no row", sql: sqlText(of: handle))
        }
        return value
    }

    /// Runs the statement to its end, and reads every row.
    func eachRow(
        bind: (Parameters) throws -> Void = { _ in },
        read: (Row) throws -> Void
    ) throws {
        try run(nil, bind) { row in
            try read(row)
            return true
        }
    }

    /// Runs the statement, and reads rows as long as `read` returns `true`.
    func prefix(
        bind: (Parameters) throws -> Void,
        while read: (Row) throws -> Bool
    ) throws {
        try run(nil, bind, read)
    }

    /// Binds, steps, reads and resets.
    ///
    /// - Parameter read: Reads a row, and says whether to go on.
    ///
    /// The corresponding C function is `sqlite3_step`.
    @inline(__always)
    private func run(
        _ key: String?,
        _ bind: (Parameters) throws -> Void,
        _ read: (Row) throws -> Bool
    ) throws {
        defer {
            sqlite3_reset(handle)
            sqlite3_clear_bindings(handle)
        }
        func step() throws {
            while true {
                switch sqlite3_step(handle) {
                case SQLITE_ROW:
                    guard try read(Row(handle: handle)) else { return }
                case SQLITE_DONE: return
                case let code: throw DatabaseError(code, statement: handle)
                }
            }
        }
        let parameters = Parameters(handle: handle)
        guard var key else {
            try bind(parameters)
            return try step()
        }
        try key.withUTF8 { bytes in
            try parameters.bind(bytes, at: 1, nil)
            try bind(parameters)
            try step()
        }
    }
}

/// The parameters of a statement, by name. Those that are not bound are NULL.
struct Parameters {
    fileprivate let handle: OpaquePointer

    /// Binds every byte of the text, a NUL among them; SQLite keeps a copy.
    func bind(_ text: String?, to name: StaticString) throws {
        guard var text else { return }
        // `SQLITE_TRANSIENT`, a macro that the importer cannot read.
        let copies = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        try text.withUTF8 { try bind($0, at: index(name), copies) }
    }

    func bind(_ integer: Int64?, to name: StaticString) throws {
        guard let integer else { return }
        try check(sqlite3_bind_int64(handle, index(name), integer))
    }

    /// NULL counts as false.
    func bind(_ flag: Bool, to name: StaticString) throws {
        if flag { try bind(1, to: name) }
    }

    /// Binds the value in a column of another statement's row.
    func bind(_ column: Int32, of row: Row, to name: StaticString) throws {
        try bind(column, of: row, at: index(name))
    }

    /// Binds columns of another statement's row to as many parameters, from the first on. SQLite numbers parameters as it
    /// meets them. Looking each up by its name would take a twentieth of an update.
    ///
    /// A row's values are unprotected, which is safe to bind, and to read while only one thread uses the connection:
    /// <https://sqlite.org/c3ref/value.html>.
    func bind(_ columns: Range<Int32>, of row: Row) throws {
        for (index, column) in zip(Int32(1)..., columns) { try bind(column, of: row, at: index) }
    }

    /// The corresponding C function is `sqlite3_bind_value`.
    private func bind(_ column: Int32, of row: Row, at index: Int32) throws {
        try check(sqlite3_bind_value(handle, index, sqlite3_column_value(row.handle, column)))
    }

    /// An empty text may have no address, and SQLite takes a missing address for NULL.
    ///
    /// The corresponding C function is `sqlite3_bind_text64`.
    func bind(
        _ bytes: UnsafeBufferPointer<UInt8>,
        at index: Int32,
        _ destructor: sqlite3_destructor_type?
    ) throws {
        let start = UnsafeRawPointer(bytes.baseAddress ?? emptyText).assumingMemoryBound(to: CChar.self)
        try check(
            sqlite3_bind_text64(handle, index, start, UInt64(bytes.count), destructor, UInt8(SQLITE_UTF8))
        )
    }

    private var emptyText: UnsafePointer<UInt8> { ("" as StaticString).utf8Start }

    private func index(_ name: StaticString) -> Int32 {
        sqlite3_bind_parameter_index(
            handle,
            UnsafeRawPointer(name.utf8Start).assumingMemoryBound(to: CChar.self)
        )
    }

    private func check(_ code: Int32) throws {
        guard code == SQLITE_OK else { throw DatabaseError(code, statement: handle) }
    }
}

/// The row that a statement has reached, by column, counted from 0.
///
/// A STRICT table holds no value of another type, but a damaged file does, and so does one that was edited with the checks
/// off; so every value is checked: <https://sqlite.org/stricttables.html>. Values are read through `sqlite3_value`, because
/// each `sqlite3_column_` function looks the column up again.
struct Row {
    fileprivate let handle: OpaquePointer

    /// The text in a column; throws when it is anything else, or not valid UTF-8.
    ///
    /// The corresponding C function is `sqlite3_value_text`.
    func text(_ column: Int32) throws -> String {
        guard let text = try textIfPresent(column) else { throw malformed(column) }
        return text
    }

    /// The same for a column that may be NULL.
    func textIfPresent(_ column: Int32) throws -> String? {
        let value = sqlite3_column_value(handle, column)
        let type = sqlite3_value_type(value)
        guard type != SQLITE_NULL else { return nil }
        guard type == SQLITE_TEXT else { throw malformed(column) }
        guard let start = sqlite3_value_text(value) else {
            throw DatabaseError(resultCode: .outOfMemory, message: "out of memory", sql: sqlText(of: handle))
        }
        let count = Int(sqlite3_value_bytes(value))
        // The fast way stops at a NUL, which a text may contain; then the slow one takes every byte.
        if let text = String(validatingCString: UnsafeRawPointer(start).assumingMemoryBound(to: CChar.self)),
            text.utf8.count == count
        {
            return text
        }
        guard let text = String(validating: UnsafeBufferPointer(start: start, count: count), as: UTF8.self) else {
            throw malformed(column)
        }
        return text
    }

    /// The integer in a column; throws when it is anything else.
    ///
    /// The corresponding C function is `sqlite3_value_int64`.
    func integer(_ column: Int32) throws -> Int64 {
        guard let integer = try integerIfPresent(column) else { throw malformed(column) }
        return integer
    }

    /// The same for a column that may be NULL.
    func integerIfPresent(_ column: Int32) throws -> Int64? {
        let value = sqlite3_column_value(handle, column)
        let type = sqlite3_value_type(value)
        guard type != SQLITE_NULL else { return nil }
        guard type == SQLITE_INTEGER else { throw malformed(column) }
        return sqlite3_value_int64(value)
    }

    /// The corresponding C function is `sqlite3_value_type`.
    func isNull(_ column: Int32) -> Bool { sqlite3_value_type(sqlite3_column_value(handle, column)) == SQLITE_NULL }

    /// The error for a value that makes no sense. It names the column, never the value.
    func malformed(_ column: Int32) -> DatabaseError {
        let name = String(cString: sqlite3_column_name(handle, column))
        return DatabaseError(resultCode: .corrupt, message: "malformed \(name)", sql: sqlText(of: handle))
    }
}

extension DatabaseError {
    fileprivate init(_ code: Int32, statement: OpaquePointer) {
        self.init(code, on: sqlite3_db_handle(statement), sql: sqlText(of: statement))
    }
}

/// The text of a statement, without bound values.
private func sqlText(of statement: OpaquePointer) -> String { String(cString: sqlite3_sql(statement)) }
