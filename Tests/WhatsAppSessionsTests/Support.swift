@testable import WhatsAppSessions

// What a hand at the database could do, from a test.
extension SessionManager {
    func execute(_ sql: String) throws {
        try table.withLock { try $0.connection.execute(sql) }
    }

    /// What changes the schema, while no statement is under way.
    func executeAlone(_ sql: String) throws {
        try table.withLock { table in try table.connection.withoutReader { try table.connection.execute(sql) } }
    }

    /// The first column of the first row, as text.
    func query(_ sql: String) throws -> String? {
        try table.withLock { try $0.connection.prepare(sql).run { try $0.step() ? $0.text(0) : nil } }
    }
}
