import Foundation
import Testing
import WhatsAppSessionsSQLite

@testable import WhatsAppSessions

@Suite struct MigrationTests {
    /// The scripts of a folder, in the order of their numbers.
    private func scripts(_ folder: String) throws -> [Data] {
        let folder = URL(filePath: #filePath).appending(path: "../../../../\(folder)").standardized
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().filter {
            $0.hasSuffix(".sql")
        }
        #expect(!names.isEmpty)
        for (index, name) in names.enumerated() {
            #expect(name.wholeMatch(of: /[0-9]{4}_[a-z0-9_]+\.sql/) != nil, "\(name)")
            #expect(Int(name.prefix(4)) == index + 1, "\(name)")
        }
        return try names.map { try Data(contentsOf: folder.appending(path: $0)) }
    }

    @Test func `the list in Swift is the folder migrations, in the order of its numbers`() throws {
        #expect(try scripts("migrations") == Schema.sessions.migrations.map { Data($0) })
        #if Postgres
        #expect(try scripts("migrations/postgres") == PostgresConnection.migrations.map { Data($0) })
        #endif
    }

    @Test func `a database carries the mark WSes`() throws {
        let mark = try SessionManager().withConnection { try $0.pragma("application_id") }
        #expect(Int(mark) == 0x5753_6573)
    }

    @Test func `a new manager has run them all`() throws {
        #expect(
            try SessionManager().withConnection { try $0.pragma("user_version") }
                == "\(Schema.sessions.migrations.count)"
        )
    }

    /// SQLite 3.37 checks a new column by a statement of its own with a text in double quotes, and then fails where those are names only.
    @Test func `migrations run where double quotes are names only, as they are in a file`() throws {
        let connection = try Connection.openInMemory()
        try connection.with(SQLITE_DBCONFIG_DQS_DML, 0) {
            let script = "CREATE TABLE texts (text TEXT); INSERT INTO texts VALUES (\"quoted\")"
            try connection.migrate(to: Schema(applicationID: 7, migrations: [Array(script.utf8)]))
            #expect(throws: DatabaseError.self) { try connection.execute("SELECT \"quoted\"") }
        }
        #expect(try connection.row(of: "SELECT text FROM texts") { try $0.text(0) } == "quoted")
    }

    @Test func `only those that have not run are run, each once`() throws {
        let connection = try Connection.openInMemory()
        try connection.migrate(to: schema(1))
        #expect(try columns(connection) == 1)
        try connection.migrate(to: schema(3))
        try connection.migrate(to: schema(3))
        #expect(try columns(connection) == 3)
    }

    @Test func `one that fails takes back those before it, and the version`() throws {
        let connection = try Connection.openInMemory()
        try connection.migrate(to: schema(1))
        let error = #expect(throws: DatabaseError.self) {
            try connection.migrate(to: schema(2, then: "CREATE TABLE x ("))
        }
        #expect(
            error?.message == """
                migration 3 does not fit this database, which says that it has had 1 (PRAGMA user_version): incomplete input
                """
        )
        #expect(error?.sql == nil)
        #expect(try columns(connection) == 1)
        try connection.migrate(to: schema(2))
        #expect(try columns(connection) == 2)
    }

    @Test func `a database that is newer than the library is refused`() throws {
        let connection = try Connection.openInMemory()
        try connection.migrate(to: schema(3))
        let error = #expect(throws: DatabaseError.self) { try connection.migrate(to: schema(2)) }
        #expect(
            error?.description == "SQLite error 14: the schema version is 3, and this library knows versions up to 2"
        )
        #expect(try columns(connection) == 3)
    }

    @Test func `a damaged version is refused`() throws {
        let connection = try Connection.openInMemory()
        try connection.migrate(to: schema(1))
        try connection.execute("PRAGMA user_version = -1")
        #expect(throws: DatabaseError.self) { try connection.migrate(to: schema(1)) }
    }

    @Test(arguments: ["CREATE TABLE theirs (a)", "PRAGMA user_version = 1", "PRAGMA application_id = 8"])
    func `a database that another program has begun is refused`(begin: String) throws {
        let connection = try Connection.openInMemory()
        try connection.execute(begin + "; CREATE TABLE theirs_too (a)")
        let error = #expect(throws: DatabaseError.self) { try connection.migrate(to: schema(1)) }
        #expect(error?.message == "the database belongs to another program")
        #expect(try connection.query("SELECT count(*) FROM sqlite_schema WHERE name = 't'") == "0")
    }

    @Test func `the tables of Litestream do not make a new database another program's`() throws {
        let connection = try Connection.openInMemory()
        try connection.execute("CREATE TABLE _litestream_seq (id); CREATE TABLE _litestream_lock (id)")
        try connection.migrate(to: schema(1))
        #expect(try columns(connection) == 1)
    }

    private func schema(_ count: Int, then last: String? = nil) -> Schema {
        let scripts =
            ["CREATE TABLE t (a)", "ALTER TABLE t ADD b", "ALTER TABLE t ADD c"].prefix(count)
            + [last].compactMap(\.self)
        return Schema(applicationID: 7, migrations: scripts.map { Array($0.utf8) })
    }

    private func columns(_ connection: Connection) throws -> Int? {
        try connection.query("SELECT count(*) FROM pragma_table_info('t')").flatMap(Int.init)
    }
}
