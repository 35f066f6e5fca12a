public import Foundation
import WhatsAppSessionsSQLite

/// What SQLite answered when it could not do what it was asked.
///
/// It prints the answer and the statement, never the values that were bound to the statement. Of a damaged row it prints
/// which one it is, never the value that makes no sense.
public struct DatabaseError: Error, Hashable, Sendable {
    /// The extended result code, such as 2067 for `SQLITE_CONSTRAINT_UNIQUE`: <https://sqlite.org/rescode.html>.
    public let extendedResultCode: Int32
    /// SQLite's explanation in English.
    public let message: String
    /// The SQL text with its `?` in place, or `nil` when no statement was at fault.
    public let sql: String?

    /// The primary result code, such as 19 for `SQLITE_CONSTRAINT`: the low byte of the extended one.
    public var resultCode: Int32 { extendedResultCode & 0xff }
}

extension DatabaseError: CustomStringConvertible, LocalizedError {
    public var description: String {
        "SQLite error \(extendedResultCode): \(message)" + (sql.map { " - while executing `\($0)`" } ?? "")
    }

    public var errorDescription: String? { description }
}

extension DatabaseError {
    /// The error behind the result code that a call on `connection` has just returned.
    ///
    /// `sqlite3_errmsg`
    init(_ extendedResultCode: Int32, on connection: OpaquePointer?, sql: String? = nil) {
        self.extendedResultCode = extendedResultCode
        self.message = String(cString: sqlite3_errmsg(connection))
        self.sql = sql
    }

    /// An error of ours, in the terms of SQLite.
    init(_ extendedResultCode: Int32, message: String, sql: String? = nil) {
        self.extendedResultCode = extendedResultCode
        self.message = message
        self.sql = sql
    }

    /// The same error, when it came while the file at `path` was opened.
    func opening(_ path: String) -> DatabaseError {
        DatabaseError(extendedResultCode, message: "cannot open \(path): \(message)", sql: sql)
    }

    var isBusy: Bool { resultCode == SQLITE_BUSY }

    // The importer cannot read these macros: https://sqlite.org/rescode.html#extrc
    private static let checkViolation = SQLITE_CONSTRAINT | 1 << 8
    private static let triggerViolation = SQLITE_CONSTRAINT | 7 << 8
    private static let uniqueViolation = SQLITE_CONSTRAINT | 8 << 8

    var isUniqueViolation: Bool { extendedResultCode == Self.uniqueViolation }

    /// The sentence of the schema's rule that was broken: a CHECK constraint's name, or what a trigger raised.
    var brokenRule: String? {
        switch extendedResultCode {
        case Self.checkViolation: String(message.trimmingPrefix("CHECK constraint failed: "))
        case Self.triggerViolation: message
        default: nil
        }
    }
}
