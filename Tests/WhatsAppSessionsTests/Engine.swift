import Testing

@testable import WhatsAppSessions

/// What a manager keeps its sessions in.
enum Engine: String, CaseIterable {
    case memory, file
    #if Postgres
    case postgres
    #endif

    /// Whether it is SQLite, where a test may use SQLite's own SQL.
    var isSQLite: Bool { self == .memory || self == .file }

    /// The engine that a suite with the trait ``EachEngine`` runs with.
    @TaskLocal static var current = Engine.memory

    /// A new manager.
    func open() throws -> SessionManager { try watched().manager }

    /// A new manager, and what it asks of its store.
    func watched() throws -> (manager: SessionManager, store: SpyStore) {
        let store: SpyStore
        switch self {
        case .memory: store = SpyStore(try MemoryDatabase())
        case .file:
            let folder = TemporaryFolder()
            store = SpyStore(try FileDatabase(folder.file), in: folder)
        #if Postgres
        case .postgres:
            let database = try TestDatabase()
            store = SpyStore(try PostgresDatabase(database.address), in: database)
        #endif
        }
        return (SessionManager(store), store)
    }
}

/// Runs every test of a suite with each engine, which must pass it: `Engine.current.open()` is a new manager.
struct EachEngine: SuiteTrait, TestTrait, TestScoping {
    let engines: [Engine]

    var isRecursive: Bool { true }

    func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @Sendable () async throws -> Void
    ) async throws {
        guard testCase != nil else { return try await function() }
        for engine in engines { try await Engine.$current.withValue(engine) { try await function() } }
    }
}

extension Trait where Self == EachEngine {
    static var eachEngine: Self { EachEngine(engines: Engine.allCases) }
    /// In memory and in a file.
    static var eachSQLite: Self { EachEngine(engines: Engine.allCases.filter(\.isSQLite)) }
}

/// Leaves a test of a suite for each engine out where it isn't SQLite.
struct OnlySQLite: TestTrait, TestScoping {
    func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @Sendable () async throws -> Void
    ) async throws {
        if Engine.current.isSQLite { try await function() }
    }
}

extension Trait where Self == OnlySQLite {
    static var onlySQLite: Self { OnlySQLite() }
}
