import Foundation
import Testing
import WhatsAppSessionsSQLite

@testable import WhatsAppSessions

// What someone with a database shell could do, on the connection that changes.
extension SessionManager {
    /// The store without what a test put around it.
    var engine: any SessionStore { (store as? SpyStore)?.store ?? store }

    func withConnection<Value: Sendable>(_ body: (Connection) throws -> Value) throws -> Value {
        switch engine {
        case let file as FileDatabase: try file.commits.alone { try body($0!.connection.connection) }!
        default: try (engine as! MemoryDatabase).use(body)
        }
    }

    func execute(_ sql: String) throws {
        #if Postgres
        if let database { return try database.execute(sql) }
        #endif
        try withConnection { try $0.execute(sql) }
    }

    /// The first column of the first row, as text.
    func query(_ sql: String) throws -> String? {
        #if Postgres
        if let database { return try database.query(sql) }
        #endif
        return try withConnection { try $0.query(sql) }
    }

    /// Makes a write at a moment of the test's choice, which PostgreSQL has from its own clock.
    func make(_ write: SessionWrite, at now: Int64) throws -> Written {
        #if Postgres
        try database?.setClock(now)
        #endif
        return try store.write(write)
    }

    #if Postgres
    private var database: TestDatabase? { (store as? SpyStore)?.place as? TestDatabase }
    #endif
}

extension Session {
    /// The same without the times that a manager stamps it with, which no test knows beforehand.
    var unstamped: Session {
        Session(
            id: id,
            status: status,
            phoneNumber: phoneNumber,
            name: name,
            createdAt: createdAt,
            connectedAt: connectedAt,
            qrCode: qrCode,
            disconnectReason: disconnectReason,
            restriction: restriction,
            wish: wish
        )
    }
}

extension Connection {
    func query(_ sql: String) throws -> String? {
        try rows(of: "SELECT CAST((\(sql)) AS TEXT)") { try $0.textIfPresent(0) }.first ?? nil
    }

    /// The value of a pragma.
    func pragma(_ name: String) throws -> String {
        try rows(of: "PRAGMA \(name)") { row in
            try (try? row.text(0)) ?? String(row.integer(0))
        }.first ?? ""
    }

    /// Runs a script that stores what STRICT, the constraints and the triggers keep out, and puts them back.
    func damage(_ script: String) throws {
        _ = whatsapp_sessions_db_config(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        defer { _ = whatsapp_sessions_db_config(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 1) }
        try execute(
            """
            PRAGMA writable_schema = ON;
            PRAGMA ignore_check_constraints = ON;
            UPDATE sqlite_schema SET sql = substr(sql, 1, length(sql) - 7) WHERE sql LIKE '%) STRICT';
            PRAGMA writable_schema = RESET;
            \(script);
            PRAGMA writable_schema = ON;
            UPDATE sqlite_schema SET sql = sql || ' STRICT' WHERE type = 'table' AND name NOT LIKE 'sqlite_%';
            PRAGMA writable_schema = RESET;
            PRAGMA ignore_check_constraints = OFF
            """
        )
    }

    /// Opens a file as another program would, without any of this library's settings.
    static func shell(_ path: String) throws -> Connection {
        let connection = try open(path, flags: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)
        try connection.execute("PRAGMA busy_timeout = 60000")
        return connection
    }
}

/// Runs in the middle of each commit of a manager, and may have it fail: https://sqlite.org/c3ref/commit_hook.html
final class CommitHook: Sendable {
    private let count = Lock(0)
    private let fails: @Sendable (Int) -> Bool

    /// How many commits there were.
    var commits: Int { count.withLock { $0 } }

    /// A hook that is told the number of each commit, counted from 1, and says whether it fails.
    init(_ fails: @escaping @Sendable (Int) -> Bool) { self.fails = fails }

    /// Runs `body` with this hook on the manager's commits.
    func during<Value>(_ manager: SessionManager, _ body: () async throws -> Value) async throws -> Value {
        let callback: @convention(c) (UnsafeMutableRawPointer?) -> Int32 = { hook in
            let hook = Unmanaged<CommitHook>.fromOpaque(hook!).takeUnretainedValue()
            let number = hook.count.withLock { count in
                count += 1
                return count
            }
            return hook.fails(number) ? 1 : 0
        }
        try manager.withHandle { _ = sqlite3_commit_hook($0, callback, Unmanaged.passUnretained(self).toOpaque()) }
        let value = try await body()
        try manager.withHandle { _ = sqlite3_commit_hook($0, nil, nil) }
        return value
    }
}

/// Counts what a manager asks of its store.
final class SpyStore: SessionStore {
    struct Counts {
        /// Reads of changes, and those among them that found none.
        var changes = 0, emptyChanges = 0
        /// Looks for changes by other processes.
        var looks = 0
    }

    let store: any SessionStore
    /// What goes with the store, such as its folder.
    let place: (any Sendable)?
    private let state = Lock(Counts())
    /// Runs in the task that has read changes.
    private let afterChanges: @Sendable () -> Void

    init(
        _ store: any SessionStore,
        in place: (any Sendable)? = nil,
        afterChanges: @escaping @Sendable () -> Void = {}
    ) {
        self.store = store
        self.place = place
        self.afterChanges = afterChanges
    }

    var counts: Counts { state.withLock { $0 } }
    var folder: TemporaryFolder? { place as? TemporaryFolder }
    var isShared: Bool { store.isShared }

    func session(_ id: String) throws -> Session? { try store.session(id) }
    func session(_ id: String) async throws -> Session? { try await store.session(id) }
    func exists(_ id: String) throws -> Bool { try store.exists(id) }
    func exists(_ id: String) async throws -> Bool { try await store.exists(id) }
    func read(_ read: SessionRead) throws -> Found { try note(read, store.read(read)) }
    func read(_ read: SessionRead) async throws -> Found { try await note(read, store.read(read)) }
    func write(_ write: SessionWrite) throws -> Written { try store.write(write) }
    func write(_ write: SessionWrite) async throws -> Written { try await store.write(write) }
    func copy(to path: String) throws { try store.copy(to: path) }
    func close() throws { try store.close() }

    private func note(_ read: SessionRead, _ found: Found) -> Found {
        state.withLock { counts in
            switch read {
            case .changes:
                counts.changes += 1
                if found.changes.isEmpty { counts.emptyChanges += 1 }
            case .newestPlace: counts.looks += 1
            default: break
            }
        }
        if case .changes = read { afterChanges() }
        return found
    }
}

extension Statement {
    /// What every row has.
    func all<Value>(bind: (Parameters) throws -> Void = { _ in }, read: (Row) throws -> Value) throws -> [Value] {
        var values: [Value] = []
        try eachRow(bind: bind) { try values.append(read($0)) }
        return values
    }
}

extension SharedCalls {
    /// Runs `body` while no call is made, on another thread, and goes on when it has begun.
    func hold(_ body: @escaping @Sendable () -> Void) async {
        await withCheckedContinuation { continuation in
            Thread {
                _ = self.alone { _ in
                    continuation.resume()
                    body()
                }
            }.start()
        }
    }

    /// Holds the calls back until so many wait, and `isReady` says so.
    func hold(until count: Int, and isReady: @escaping @Sendable () -> Bool = { true }) async {
        await hold {
            while self.waiting < count || !isReady() { usleep(1000) }
        }
    }
}

/// A folder that goes with the test.
final class TemporaryFolder: Sendable {
    let path: String
    var file: String { path + "/sessions.sqlite" }

    init() {
        var template = Array("/tmp/whatsapp-sessions-XXXXXX".utf8CString)
        path = String(cString: mkdtemp(&template))
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func open() throws -> SessionManager { try SessionManager(storage: .file(path: file)) }

    /// A manager on the file that waits for locks this long.
    func open(patience: Duration) throws -> SessionManager {
        SessionManager(try FileDatabase(file, patience: patience))
    }

    var names: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: path).sorted() } }

    /// The bytes of the file and its log, as text.
    var contents: String {
        [file, file + "-wal"].map {
            String(decoding: FileManager.default.contents(atPath: $0) ?? Data(), as: UTF8.self)
        }.joined()
    }
}

func size(_ path: String) -> Int { Int(fileStatus(path)?.st_size ?? 0) }

func mode(_ path: String) -> UInt32 { fileStatus(path).map { UInt32($0.st_mode & 0o777) } ?? 0 }

/// Looks again until something that happens on another thread has happened, or a minute has passed.
func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
    for _ in 0..<6000 {
        if try condition() { return true }
        usleep(10_000)
    }
    return false
}

/// Waits until something that happens in another task has happened.
///
/// - Throws: When that takes more than a minute.
func until(_ condition: () throws -> Bool) async throws {
    for _ in 0..<60_000 {
        if try condition() { return }
        try await Task.sleep(for: .milliseconds(1))
    }
    throw Overdue()
}

struct Overdue: Error {}

/// Runs `body` on a thread of its own, where it may block.
func onThread<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread { continuation.resume(with: Result { try body() }) }.start()
    }
}

/// A small generator with a seed: https://prng.di.unimi.it/splitmix64.c
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
