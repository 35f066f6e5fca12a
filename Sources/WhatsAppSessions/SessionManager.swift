import Foundation

/// The sessions of a gateway: one for each WhatsApp account, by id.
///
/// For example:
/// ```swift
/// let manager = try SessionManager()
/// try manager.createSession("support")
/// try manager.updateSession("support", SessionUpdates(status: .qrWaiting, qrCode: .set(code)))
/// try manager.updateSession("support", SessionUpdates(status: .connected))
/// ```
///
/// The rows are in an SQLite database, whose schema holds the rules (<doc:SessionRules>): what would break one is refused
/// with an error, and changes nothing.
///
/// Every call is synchronous and may come from any thread. In memory it holds a lock for microseconds and waits for
/// nothing else, so `async` code may call it directly. In a file a change also waits for the disk and for the locks of
/// other processes (<doc:Durability>), at worst for about a minute.
///
/// Besides the errors that a method names, each may throw ``DatabaseError`` when SQLite
/// cannot do its work: memory has run out, a text is longer than SQLite's limit (a thousand million bytes), or a row
/// was damaged.
public final class SessionManager: Sendable {
    /// The manager of a program that needs only one. Its rows are in memory and end with the process.
    ///
    /// Opening a database in memory fails only when memory has run out, which ends the process here.
    public static let shared = try! SessionManager()

    let table: Lock<SessionTable>

    /// Opens a new, empty and private database in memory. It ends with this manager.
    ///
    /// - Throws: ``DatabaseError`` when memory has run out.
    public convenience init() throws {
        try self.init(storage: .memory)
    }

    /// Opens the sessions in memory or in a file (<doc:Durability>).
    ///
    /// - Throws: ``DatabaseError`` with the reason in a sentence when the file cannot be opened or created, belongs to
    ///   another program or a newer version of this one, is damaged, or cannot have a write-ahead log.
    public init(storage: Storage) throws {
        table = Lock(try SessionTable.open(storage))
    }

    /// Creates a session that is ``Session/Status/initializing``.
    ///
    /// - Parameter sessionID: Any text, kept byte for byte. `nil` or `""` generates a version 4 UUID in lowercase.
    /// - Returns: The new session.
    /// - Throws: ``SessionAlreadyExistsError`` when the id is taken.
    @discardableResult
    public func createSession(_ sessionID: String? = nil) throws -> Session {
        let id = if let sessionID, !sessionID.isEmpty { sessionID } else { UUID().uuidString.lowercased() }
        let createdAt = Date.millisecondsNow
        try write(id) { table in
            do {
                try table.insert.run(id) {
                    try $0.bind(createdAt, at: 2)
                    try $0.step()
                }
            } catch let error as DatabaseError where error.isUniqueViolation {
                throw SessionAlreadyExistsError(sessionID: id)
            }
        }
        return Session(id: id, status: .initializing, createdAt: Date(milliseconds: createdAt))
    }

    /// The session with this id, or `nil`.
    public func getSession(_ sessionID: String) throws -> Session? {
        try read { table in
            try table.select.run(sessionID) { try $0.step() ? Session(id: sessionID, row: $0) : nil }
        }
    }

    /// All sessions, in order of creation.
    public func getAllSessions() throws -> [Session] {
        try read { try $0.sessions($0.selectAll) }
    }

    /// Changes some fields of a session, all of them or none.
    ///
    /// Becoming connected stamps ``Session/connectedAt`` unless the update sets it; leaving `qr_waiting` drops the QR code.
    ///
    /// - Returns: The session after the update.
    /// - Throws: ``SessionNotFoundError`` when there is no such session; it is not created.
    ///   ``InvalidSessionUpdateError`` when the update would break a rule, which it names.
    @discardableResult
    public func updateSession(_ sessionID: String, _ updates: SessionUpdates) throws -> Session {
        let connectedAt = try updates.connectedAt.newValue.map { date in
            guard let milliseconds = date.milliseconds else {
                throw InvalidSessionUpdateError(sessionID: sessionID, reason: .dateOutOfRange)
            }
            return milliseconds
        }
        let now = Date.millisecondsNow
        func bind(_ statement: borrowing Statement) throws {
            try statement.bind(updates.status?.rawValue, at: 2)
            try statement.bind(updates.phoneNumber.isChange, at: 3)
            try statement.bind(updates.phoneNumber.newValue, at: 4)
            try statement.bind(updates.name.isChange, at: 5)
            try statement.bind(updates.name.newValue, at: 6)
            try statement.bind(updates.connectedAt.isChange, at: 7)
            try statement.bind(connectedAt, at: 8)
            try statement.bind(updates.qrCode.isChange, at: 9)
            try statement.bind(updates.qrCode.newValue, at: 10)
            try statement.bind(now, at: 11)
        }
        return try write(sessionID) { table in
            do {
                let session = try table.selectUpdated.run(sessionID) { row in
                    try bind(row)
                    return try row.step() ? (seq: row.integer(7), value: Session(id: sessionID, row: row)) : nil
                }
                guard let session else { throw SessionNotFoundError(sessionID: sessionID) }
                try table.update.run {
                    try $0.bind(session.seq, at: 1)
                    try bind($0)
                    try $0.step()
                }
                return session.value
            } catch let error as DatabaseError {
                guard let rule = error.brokenRule else { throw error }
                throw InvalidSessionUpdateError(sessionID: sessionID, reason: .init(description: rule))
            }
        }
    }

    /// Deletes a session.
    ///
    /// - Returns: Whether there was one.
    @discardableResult
    public func deleteSession(_ sessionID: String) throws -> Bool {
        try write(sessionID) { table in
            try table.delete.run(sessionID) { try $0.step() }
            return table.connection.changes > 0
        }
    }

    /// Whether there is a session with this id.
    public func sessionExists(_ sessionID: String) throws -> Bool {
        try read { table in
            try table.exists.run(sessionID) { try $0.step() }
        }
    }

    private func read<Result: Sendable>(_ body: (borrowing SessionTable) throws -> Result) throws -> Result {
        try table.withLock { table in
            try table.connection.requireReady()
            return try body(table)
        }
    }

    /// Runs `body`, which changes the session with this id. A QR code that it drops leaves the log of a file too.
    private func write<Result: Sendable>(
        _ sessionID: String,
        _ body: (borrowing SessionTable) throws -> Result
    ) throws -> Result {
        try table.withLock { table in
            try table.connection.requireReady()
            // In memory a statement is a transaction already, and there is no log.
            guard table.connection.file != nil else { return try body(table) }
            var dropsQRCode = false
            let result = try table.connection.write {
                let qrCode = try table.qrCode(sessionID)
                let result = try body(table)
                dropsQRCode = try qrCode != nil && qrCode != table.qrCode(sessionID)
                return result
            }
            table.connection.checkpointIfDue(isUrgent: dropsQRCode)
            return result
        }
    }
}
