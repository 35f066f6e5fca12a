import Foundation

/// The connections that only read. With a write-ahead log they see the last commit, and neither block a change nor wait for
/// one.
final class Readers: Sendable {
    private enum State {
        case unopened, closed
        case open(FileConnection)
    }

    /// One connection, which callers use in turns, and a thread of its own for those that must not block theirs.
    private final class Reader: Sendable {
        let state = Lock(State.unopened)
        let callers = Lock(0)
        let thread = DispatchQueue(label: "whatsapp-sessions.reads")
    }

    private let file: DatabaseFile
    private let identity: DatabaseFile.Identity
    // A read takes microseconds: a few connections serve many threads.
    private let readers = (0..<4).map { _ in Reader() }
    /// Asked for the version only, which a connection counts for itself.
    private let lookout = Reader()

    init(_ file: DatabaseFile, _ identity: DatabaseFile.Identity) {
        self.file = file
        self.identity = identity
    }

    func read<Value: Sendable>(
        until deadline: ContinuousClock.Instant,
        _ body: @Sendable (Connection) throws -> Value
    ) throws -> Value {
        let reader = enter()
        defer { leave(reader) }
        return try use(reader, until: deadline, body)
    }

    func read<Value: Sendable>(
        until deadline: ContinuousClock.Instant,
        _ body: @escaping @Sendable (Connection) throws -> Value
    ) async throws -> Value {
        let reader = enter()
        defer { leave(reader) }
        return try await useAside(reader, until: deadline, body)
    }

    /// Another number once another connection has changed the file: <https://sqlite.org/pragma.html#pragma_data_version>.
    func version(until deadline: ContinuousClock.Instant) async throws -> Int64 {
        try await useAside(lookout, until: deadline) { [file, identity] connection in
            guard file.identity == identity else { throw DatabaseError.moved }
            return try connection.prepared("PRAGMA data_version").only { try $0.integer(0) }
        }
    }

    /// Waits until the reads that are under way have ended.
    func drain() {
        for reader in readers + [lookout] { reader.state.withLock { _ in } }
    }

    func close() {
        for reader in readers + [lookout] { reader.state.withLock { $0 = .closed } }
    }

    /// The reader with the fewest callers.
    private func enter() -> Reader {
        var (chosen, fewest) = (readers[0], Int.max)
        for reader in readers {
            let callers = reader.callers.withLock { $0 }
            if callers < fewest { (chosen, fewest) = (reader, callers) }
            if callers == 0 { break }
        }
        chosen.callers.withLock { $0 += 1 }
        return chosen
    }

    private func leave(_ reader: Reader) {
        reader.callers.withLock { $0 -= 1 }
    }

    /// On the reader's own thread.
    private func useAside<Value: Sendable>(
        _ reader: Reader,
        until deadline: ContinuousClock.Instant,
        _ body: @escaping @Sendable (Connection) throws -> Value
    ) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            reader.thread.async {
                continuation.resume(with: Result { try self.use(reader, until: deadline, body) })
            }
        }
    }

    private func use<Value: Sendable>(
        _ reader: Reader,
        until deadline: ContinuousClock.Instant,
        _ body: (Connection) throws -> Value
    ) throws -> Value {
        try reader.state.withLock { state in
            switch state {
            case .open(let connection): return try connection.wait(until: deadline, body)
            case .closed: throw DatabaseError.closed
            case .unopened:
                let connection = try FileConnection(readerOf: file, identity, until: deadline)
                state = .open(connection)
                return try connection.wait(until: deadline, body)
            }
        }
    }
}
