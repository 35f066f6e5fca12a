extension SessionManager {
    /// Runs `body` with the `sqlite3` handle of the connection that writes. For the checks of this package only: it can break
    /// every promise.
    package func withHandle<Value: Sendable>(_ body: (OpaquePointer?) throws -> Value) throws -> Value {
        switch store {
        case let memory as MemoryDatabase: try memory.use { try body($0.handle) }
        case let file as FileDatabase: try file.commits.alone { try body($0?.connection.connection.handle) }
        default: try body(nil)
        }
    }
}
