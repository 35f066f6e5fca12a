#if Postgres
import Foundation

/// A database in PostgreSQL, which several hosts share. Reads have connections of their own; writes have one, and share its commits.
final class PostgresDatabase: SessionStore {
    private let openDatabase: Fork.OpenDatabase
    private let owner = Fork.Owner()
    private let writes: SharedCalls<PostgresWriter>
    /// A list takes long, and has its own.
    private let shortReads, longReads: [SharedCalls<PostgresReader>]

    /// - Parameter patience: How long a call may take, a failover included.
    init(
        _ address: String,
        patience: Duration = .seconds(60),
        log: @escaping PostgresLog = { _ in }
    ) throws {
        openDatabase = try Fork.OpenDatabase()
        let address = try PostgresAddress(address)
        do {
            let deadline = ContinuousClock.now + min(patience, .seconds(9))
            let connection = try PostgresConnection(to: address)
            try connection.requireSession(until: deadline) { try PostgresConnection(to: address) }
            try connection.configure(until: deadline)
            try connection.migrate(until: deadline)
        } catch let lost as PostgresConnectionLost {
            throw DatabaseError(resultCode: .cannotOpen, message: lost.message, sqlState: lost.state ?? "08001")
        } catch let refusal as PostgresRefusal {
            throw DatabaseError(resultCode: .cannotOpen, message: refusal.message, sqlState: refusal.state)
        }
        let timeline = PostgresTimeline()
        writes = SharedCalls(
            on: PostgresWriter(PostgresLine(to: address, writes: true, on: timeline, log)),
            patience: patience
        )
        func readers(_ count: Int) -> [SharedCalls<PostgresReader>] {
            (0..<count).map { _ in
                SharedCalls(on: PostgresReader(PostgresLine(to: address, on: timeline, log)), patience: patience)
            }
        }
        shortReads = readers(2)
        longReads = readers(2)
    }

    var isShared: Bool { true }

    // MARK: Reads

    func session(_ id: String) throws -> Session? { try Self.session(ask(.session(id))) }

    func session(_ id: String) async throws -> Session? { try await Self.session(ask(.session(id))) }

    func exists(_ id: String) throws -> Bool { try Self.exists(ask(.exists(id))) }

    func exists(_ id: String) async throws -> Bool { try await Self.exists(ask(.exists(id))) }

    func read(_ read: SessionRead) throws -> Found { try Self.found(ask(.other(read), isLong: read.isLong)) }

    func read(_ read: SessionRead) async throws -> Found {
        try await Self.found(ask(.other(read), isLong: read.isLong))
    }

    private func ask(_ read: PostgresRead, isLong: Bool = false) throws -> PostgresFound {
        try owner.requireThisProcess()
        try read.requireSizes()
        return try leastBusy(isLong ? longReads : shortReads).make(read)
    }

    private func ask(_ read: PostgresRead, isLong: Bool = false) async throws -> PostgresFound {
        try owner.requireThisProcess()
        try read.requireSizes()
        return try await leastBusy(isLong ? longReads : shortReads).make(read)
    }

    private func leastBusy(_ readers: [SharedCalls<PostgresReader>]) -> SharedCalls<PostgresReader> {
        readers.min { $0.load < $1.load }!
    }

    private static func session(_ found: PostgresFound) -> Session? {
        if case .session(let session) = found { session } else { nil }
    }

    private static func exists(_ found: PostgresFound) -> Bool {
        if case .exists(let exists) = found { exists } else { false }
    }

    private static func found(_ found: PostgresFound) -> Found {
        if case .other(let found) = found { found } else { Found() }
    }

    // MARK: Writes

    func write(_ write: SessionWrite) throws -> Written {
        try owner.requireThisProcess()
        try write.requireSizes()
        return try writes.make(PostgresWrite(write))
    }

    func write(_ write: SessionWrite) async throws -> Written {
        try owner.requireThisProcess()
        try write.requireSizes()
        return try await writes.make(PostgresWrite(write))
    }

    // MARK: Copies

    /// Writes the sessions, as they are at one moment, to an SQLite file.
    func copy(to path: String) throws {
        let contents = try read(.contents).contents
        let database = try Connection.openInMemory()
        try database.migrate(to: .sessions)
        _ = try SQLiteSessions(database).make(.restore(contents))
        let copy = try PageCopy()
        _ = try copy.addPages(of: database, atMost: -1)
        try copy.write(to: path)
    }

    // MARK: The end

    /// Finishes the calls that are under way or wait, and closes all connections.
    func close() throws {
        try owner.requireThisProcess()
        for readers in shortReads + longReads { _ = readers.alone { $0 = nil } }
        _ = writes.alone { $0 = nil }
    }
}
#endif
