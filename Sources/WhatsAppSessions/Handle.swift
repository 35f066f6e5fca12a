extension SessionManager {
    /// Runs `body` with the writer's `sqlite3` handle. For the checks of this package only: it
    /// can break every promise.
    package func withHandle<Value: Sendable>(_ body: (OpaquePointer?) throws -> Value) throws -> Value {
        switch database {
        case .memory(let memory): try memory.use { try body($0.handle) }
        case .file(let file): try file.writer.withLock { try body($0?.connection.handle) }
        }
    }
}
