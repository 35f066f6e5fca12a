/// A database in memory: one connection, which callers use in turns.
final class MemoryDatabase: Sendable {
    private let owner = Fork.Owner()
    private let schema: Schema
    private let connection: Lock<Connection?>

    init(_ schema: Schema) throws {
        let connection = try Connection.openInMemory()
        try connection.migrate(to: schema)
        self.schema = schema
        self.connection = Lock(connection)
    }

    func use<Value: Sendable>(_ body: (Connection) throws -> Value) throws -> Value {
        try owner.requireThisProcess()
        return try connection.withLock { connection in
            guard let connection else { throw DatabaseError.closed }
            // Ends a transaction whose own rollback ran out of memory.
            try connection.rollBack()
            return try body(connection)
        }
    }

    /// Copies the database to a file; other calls wait.
    func copy(to copy: FileCopy) throws {
        try use { connection in try copy.create { try connection.copy(to: $0, renewing: schema) } }
    }

    func close() throws {
        try owner.requireThisProcess()
        connection.withLock { $0 = nil }
    }
}
