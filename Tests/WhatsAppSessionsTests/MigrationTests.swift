import Foundation
import Testing

@testable import WhatsAppSessions

@Suite struct MigrationTests {
    @Test func `the list in Swift is the folder migrations, in the order of its numbers`() throws {
        let folder = URL(filePath: #filePath).appending(path: "../../../migrations").standardized
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        #expect(!names.isEmpty)
        for (index, name) in names.enumerated() {
            #expect(name.wholeMatch(of: /[0-9]{4}_[a-z0-9_]+\.sql/) != nil, "\(name)")
            #expect(Int(name.prefix(4)) == index + 1, "\(name)")
        }
        #expect(try names.map { try Data(contentsOf: folder.appending(path: $0)) } == migrations.map { Data($0) })
    }

    @Test func `a new manager has run them all`() throws {
        #expect(try version(SessionManager().table) == Int64(migrations.count))
    }

    @Test func `only those that have not run are run, each once`() throws {
        let connection = try Connection.open(":memory:")
        try connection.migrate(scripts(1))
        #expect(try columns(connection) == 1)
        try connection.migrate(scripts(3))
        try connection.migrate(scripts(3))
        #expect(try columns(connection) == 3)
    }

    @Test func `one that fails takes back those before it, and the version`() throws {
        let connection = try Connection.open(":memory:")
        try connection.migrate(scripts(1))
        let error = #expect(throws: DatabaseError.self) {
            try connection.migrate(scripts(2) + [Array("CREATE TABLE broken (".utf8)])
        }
        #expect(error?.message == "incomplete input")
        #expect(try columns(connection) == 1)
        try connection.migrate(scripts(2))
        #expect(try columns(connection) == 2)
    }

    @Test func `a database that is newer than the library is refused`() throws {
        let connection = try Connection.open(":memory:")
        try connection.migrate(scripts(3))
        let error = #expect(throws: DatabaseError.self) { try connection.migrate(scripts(2)) }
        #expect(error?.description == "SQLite error 1: the database has schema version 3, newer than this library's 2")
        #expect(try columns(connection) == 3)
    }

    private func scripts(_ count: Int) -> [[UInt8]] {
        ["CREATE TABLE t (a)", "ALTER TABLE t ADD b", "ALTER TABLE t ADD c"].prefix(count).map { Array($0.utf8) }
    }

    private func columns(_ connection: borrowing Connection) throws -> Int64? {
        try connection.prepare("SELECT count(*) FROM pragma_table_info('t')").run(row: { try $0.integer(0) })
    }

    private func version(_ table: Lock<SessionTable>) throws -> Int64? {
        try table.withLock { try $0.connection.prepare("PRAGMA user_version").run(row: { try $0.integer(0) }) }
    }
}
