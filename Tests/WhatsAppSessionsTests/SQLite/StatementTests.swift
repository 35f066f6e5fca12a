import Testing
import WhatsAppSessionsSQLite

@testable import WhatsAppSessions

@Suite struct StatementTests {
    let connection: Connection

    init() throws { connection = try Connection.openInMemory() }

    @Test func `nothing stays bound or under way from one run to the next`() throws {
        let statement = try connection.prepared("SELECT ?1, :b UNION ALL SELECT 1, 1")
        func run(_ key: String?, _ bind: (Parameters) throws -> Void = { _ in }) throws -> [String?]? {
            try statement.first(key, bind: bind) { row in try [row.textIfPresent(0), row.textIfPresent(1)] }
        }
        #expect(try run("2@code") { try $0.bind("b", to: ":b") } == ["2@code", "b"])
        #expect(try run(nil) == [nil, nil])
        #expect(try run("") { try $0.bind("", to: ":b") } == ["", ""])
        let error = #expect(throws: DatabaseError.self) { _ = try run("2@code") { try $0.bind(3, to: ":none") } }
        #expect(error?.message == "column index out of range")
        #expect(try run(nil) == [nil, nil])
        // An empty text without an address is no NULL.
        func bindEmpty(_ parameters: Parameters) throws {
            try parameters.bind(UnsafeBufferPointer(start: nil, count: 0), at: 1, nil)
        }
        let empty = try statement.first(bind: bindEmpty) { try $0.text(0) }
        #expect(empty == "")
        try connection.execute("BEGIN; COMMIT")
    }

    @Test func `a statement is prepared once, and known by its literal`() throws {
        func count() -> Int {
            var (count, statement) = (0, sqlite3_next_stmt(connection.handle, nil))
            while statement != nil {
                count += 1
                statement = sqlite3_next_stmt(connection.handle, statement)
            }
            return count
        }
        let before = count()
        for _ in 0..<3 { #expect(try connection.prepared("SELECT 7").only { try $0.integer(0) } == 7) }
        #expect(count() == before + 1)
    }

    @Test func `every row is read, in order, and an error ends the reading`() throws {
        let statement = try connection.prepared("SELECT column1 FROM (VALUES (1), (2), (NULL), (4))")
        #expect(try statement.all { try $0.integerIfPresent(0) } == [1, 2, nil, 4])
        let error = #expect(throws: DatabaseError.self) { try statement.all { try $0.integer(0) } }
        #expect(error?.message == "malformed column1")
        #expect(throws: DatabaseError.self) { try connection.prepared("SELECT 1 WHERE 0").only { _ in } }
        // An empty text is no statement: https://sqlite.org/c3ref/prepare.html
        #expect(throws: DatabaseError.self) { try connection.prepared("") }
    }

    @Test func `a savepoint undoes its own work, inside a transaction and outside`() throws {
        try connection.execute("CREATE TABLE t (a)")
        struct Refused: Error {}
        #expect(throws: Refused.self) {
            try connection.savepoint {
                try connection.execute("INSERT INTO t VALUES (1)")
                throw Refused()
            }
        }
        try connection.transaction {
            try connection.execute("INSERT INTO t VALUES (2)")
            #expect(throws: Refused.self) {
                try connection.savepoint {
                    try connection.execute("INSERT INTO t VALUES (3)")
                    throw Refused()
                }
            }
            try connection.savepoint { try connection.execute("INSERT INTO t VALUES (4)") }
        }
        #expect(try connection.query("SELECT group_concat(a) FROM t") == "2,4")
        #expect(!connection.isInTransaction)
    }

    @Test func `a primary result code matches itself and its extended codes`() {
        let unique = DatabaseError.ResultCode(rawValue: 2067)
        #expect(.constraint ~= unique)
        #expect(unique != .constraint)
        #expect(unique ~= unique)
        #expect(!(unique ~= DatabaseError.ResultCode.constraint))
        #expect(!(DatabaseError.ResultCode.busy ~= unique))
        #expect(unique.primary == .constraint)
    }
}
