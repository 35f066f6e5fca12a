public import Foundation
import WhatsAppSessionsSQLite

/// An error reported by SQLite or PostgreSQL, or by this library where a database or its file is not what it must be.
///
/// It prints the result code, the message and the beginning of the SQL text, never a value bound to the statement. For a damaged row it
/// names the row, never the malformed value.
public struct DatabaseError: Error, Hashable, Sendable, CustomStringConvertible, LocalizedError {
    /// The kind of error, as specific as SQLite knows it; for PostgreSQL the one that says the same. Compare it with a `switch` or `~=`:
    ///
    /// ```swift
    /// catch let error as DatabaseError where .busy ~= error.resultCode
    /// ```
    public let resultCode: ResultCode
    /// What went wrong, in English.
    public let message: String
    /// The SQL text with its parameters in place of values; `nil` when no statement was involved.
    public let sql: String?
    /// Whether the change may have been made all the same. Ask for the session, or make the change again where that does no
    /// harm.
    ///
    /// When it is `false`, the change was not made.
    public let isOutcomeUnknown: Bool
    /// The [SQLSTATE](https://www.postgresql.org/docs/current/errcodes-appendix.html) of an error of PostgreSQL; `nil` otherwise.
    public let sqlState: String?

    /// Creates an error, in a test for instance.
    public init(
        resultCode: ResultCode,
        message: String,
        sql: String? = nil,
        isOutcomeUnknown: Bool = false,
        sqlState: String? = nil
    ) {
        self.resultCode = resultCode
        self.message = message
        self.sql = sql
        self.isOutcomeUnknown = isOutcomeUnknown
        self.sqlState = sqlState
    }

    /// `SQLite error 5: database is locked`, and the beginning of the SQL text if there is one; in one line. For PostgreSQL
    /// `PostgreSQL error 57P03: the database system is starting up`.
    public var description: String {
        let statement = sql.map {
            let line = $0.split(whereSeparator: \.isWhitespace).joined(separator: " ")
            return line.utf8.count > 300 ? "\(line.prefix(300))…" : line
        }
        return (sqlState.map { "PostgreSQL error \($0)" } ?? "SQLite error \(resultCode.rawValue)") + ": \(message)"
            + (statement.map { " - while executing `\($0)`" } ?? "")
            + (isOutcomeUnknown ? " - the change may have been made" : "")
    }

    public var errorDescription: String? { description }
}

extension DatabaseError {
    /// A result code of SQLite: <https://sqlite.org/rescode.html>.
    ///
    /// A primary code matches itself and its extended codes: `.constraint ~= code` for `SQLITE_CONSTRAINT_UNIQUE` too.
    /// `==` compares the exact code.
    public struct ResultCode: RawRepresentable, Hashable, Sendable {
        /// The number that SQLite uses.
        public let rawValue: Int32

        public init(rawValue: Int32) { self.rawValue = rawValue }

        /// `SQLITE_ERROR`: SQL that SQLite cannot run.
        public static let error = ResultCode(rawValue: SQLITE_ERROR)
        /// `SQLITE_BUSY`: another connection held a lock for longer than a call waits.
        public static let busy = ResultCode(rawValue: SQLITE_BUSY)
        /// `SQLITE_NOMEM`: out of memory.
        public static let outOfMemory = ResultCode(rawValue: SQLITE_NOMEM)
        /// `SQLITE_READONLY`: the file may not be written to.
        public static let readOnly = ResultCode(rawValue: SQLITE_READONLY)
        /// `SQLITE_IOERR`: the disk reported an error.
        public static let ioError = ResultCode(rawValue: SQLITE_IOERR)
        /// `SQLITE_CORRUPT`: the file, or a row in it, is damaged.
        public static let corrupt = ResultCode(rawValue: SQLITE_CORRUPT)
        /// `SQLITE_FULL`: the disk is full.
        public static let full = ResultCode(rawValue: SQLITE_FULL)
        /// `SQLITE_CANTOPEN`: the file cannot be opened or created, or is not one for this library.
        public static let cannotOpen = ResultCode(rawValue: SQLITE_CANTOPEN)
        /// `SQLITE_PROTOCOL`: another connection is in the middle of opening the write-ahead log.
        public static let lockingProtocol = ResultCode(rawValue: SQLITE_PROTOCOL)
        /// `SQLITE_TOOBIG`: a text is longer than SQLite's limit.
        public static let tooBig = ResultCode(rawValue: SQLITE_TOOBIG)
        /// `SQLITE_CONSTRAINT`: a constraint of the schema was violated.
        public static let constraint = ResultCode(rawValue: SQLITE_CONSTRAINT)
        /// `SQLITE_MISUSE`: the manager cannot be used any more, because it was closed, its file was moved, or its process
        /// forked; or a call makes no sense, such as one with a limit below 1.
        public static let misuse = ResultCode(rawValue: SQLITE_MISUSE)
        /// `SQLITE_NOTADB`: the file is not an SQLite database.
        public static let notADatabase = ResultCode(rawValue: SQLITE_NOTADB)

        /// The primary code of this one: its low byte.
        public var primary: ResultCode { ResultCode(rawValue: rawValue & 0xff) }

        public static func ~= (pattern: ResultCode, code: ResultCode) -> Bool {
            pattern == code || pattern == code.primary
        }
    }

    /// The same error, with more words around its message.
    func explained(_ explain: (String) -> String) -> DatabaseError {
        DatabaseError(
            resultCode: resultCode,
            message: explain(message),
            sql: sql,
            isOutcomeUnknown: isOutcomeUnknown,
            sqlState: sqlState
        )
    }

    /// The same error, after which the change may have been made.
    var withUnknownOutcome: DatabaseError {
        DatabaseError(
            resultCode: resultCode,
            message: message,
            sql: sql,
            isOutcomeUnknown: true,
            sqlState: sqlState
        )
    }
}
