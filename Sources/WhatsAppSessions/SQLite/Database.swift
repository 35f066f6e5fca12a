import Dispatch

/// A database in memory or in a file: who may use which connection when.
///
/// Each method has an `async` twin, which in a file never blocks the thread it is called on.
enum Database: Sendable {
    case memory(MemoryDatabase)
    case file(FileDatabase)

    /// Runs `body`, which only reads. It sees every change that returned before.
    func read<Value: Sendable>(_ body: @Sendable (Connection) throws -> Value) throws -> Value {
        switch self {
        case .memory(let memory): try memory.use(body)
        case .file(let file): try file.read(body)
        }
    }

    func read<Value: Sendable>(_ body: @escaping @Sendable (Connection) throws -> Value) async throws -> Value {
        switch self {
        case .memory(let memory): try memory.use(body)
        case .file(let file): try await file.read(body)
        }
    }

    /// Runs `body`, which changes something in one statement or one savepoint: all of it or, when it throws, nothing. In a
    /// file the change is on the disk when this returns.
    func change<Value: Sendable>(_ body: @escaping @Sendable (Connection) throws -> Changed<Value>) throws -> Value {
        switch self {
        case .memory(let memory): try memory.use(body).value
        case .file(let file): try file.change(body)
        }
    }

    func change<Value: Sendable>(
        _ body: @escaping @Sendable (Connection) throws -> Changed<Value>
    ) async throws -> Value {
        switch self {
        case .memory(let memory): try memory.use(body).value
        case .file(let file): try await file.change(body)
        }
    }

    /// Copies the database to a new file.
    func copy(to path: String) throws {
        let copy = try FileCopy(to: path)
        switch self {
        case .memory(let memory): try memory.copy(to: copy)
        case .file(let file): try file.copy(to: copy)
        }
    }

    /// The same on a thread that may wait for the disk.
    func copy(to path: String) async throws {
        let copySynchronously: @Sendable () throws -> Void = { try copy(to: path) }
        try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
            DispatchQueue(label: "whatsapp-sessions.copy").async {
                continuation.resume(with: Result(catching: copySynchronously))
            }
        }
    }

    /// Ends the database. Every later call throws, another `close` excepted.
    func close() throws {
        switch self {
        case .memory(let memory): try memory.close()
        case .file(let file): try file.close()
        }
    }

    func close() async throws {
        switch self {
        case .memory(let memory): try memory.close()
        case .file(let file): try await file.close()
        }
    }
}

/// The result of a change, and whether it dropped something that must not be kept in a log.
struct Changed<Value: Sendable>: Sendable {
    let value: Value
    var erases = false
}

extension DatabaseError {
    static var closed: DatabaseError {
        DatabaseError(resultCode: .misuse, message: "the database was closed: open it again")
    }
}
