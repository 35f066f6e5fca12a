extension SessionManager {
    /// Runs `body` with the `sqlite3` handle of the connection that writes. For the checks of this package only: it can break
    /// every promise.
    package func withHandle<Value: Sendable>(_ body: (OpaquePointer?) throws -> Value) throws -> Value {
        if let file = store as? FileDatabase {
            return try file.commits.alone { try body($0?.connection.connection.handle) }!
        }
        return try (store as! MemoryDatabase).use { try body($0.handle) }
    }
}
