import WhatsAppSessions
import WhatsAppSessionsSQLite

/// A connection without any of the library's settings, as another program has it.
final class PlainConnection {
    let handle: OpaquePointer?

    init(_ path: String) throws {
        var handle: OpaquePointer?
        let code = sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nil)
        self.handle = handle
        guard code == SQLITE_OK else { throw error(handle) }
    }

    deinit { sqlite3_close_v2(handle) }

    func execute(_ sql: String) throws { try WhatsAppSessionsReliability.execute(sql, on: handle) }
    func query(_ sql: String) throws -> String { try WhatsAppSessionsReliability.query(sql, on: handle) }
}

func execute(_ sql: String, on handle: OpaquePointer?) throws {
    guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw error(handle) }
}

/// The first column of the first row, as text.
func query(_ sql: String, on handle: OpaquePointer?) throws -> String {
    var statement: OpaquePointer?
    defer { sqlite3_finalize(statement) }
    guard sqlite3_prepare_v2(handle, sql, -1, &statement, nil) == SQLITE_OK, sqlite3_step(statement) == SQLITE_ROW
    else {
        throw error(handle)
    }
    return sqlite3_column_text(statement, 0).map { String(cString: $0) } ?? ""
}

private func error(_ handle: OpaquePointer?) -> DatabaseError {
    DatabaseError(
        resultCode: .init(rawValue: sqlite3_extended_errcode(handle)),
        message: String(cString: sqlite3_errmsg(handle))
    )
}
