#if Postgres
import Foundation
import Testing

@testable import WhatsAppSessions

/// What cannot be opened says why, soon, and without a password.
@Suite struct OpeningTests {
    private func refusal(_ address: String) -> DatabaseError? {
        #expect(throws: DatabaseError.self) { try SessionManager(storage: .postgres(address)) }
    }

    private func grants(_ role: String) throws -> String {
        let folder = URL(filePath: #filePath).appending(path: "../../../../migrations/postgres/grants").standardized
        return try String(contentsOf: folder.appending(path: "\(role).sql"), encoding: .utf8)
    }

    @Test(arguments: [
        "host=127.0.0.1 password=S3CRET word", "postgres://ana:S3C/RET@127.0.0.1/x",
        "postgres://ana:S3C@RET@127.0.0.1/x",
        "postgresql://ana:S3C#RET@127.0.0.1/x", "postgres://ana:p?a@S3CRET@127.0.0.1:1/x",
        "postgres://ana:pa?ss@S3CRET@127.0.0.1:1/x", "host=127.0.0.1 passwort=S3CRET", "S3CRET",
        "host=127.0.0.1\u{0}password=S3CRET",
    ])
    func `an address that cannot be read is refused, and no part of it is shown`(address: String) throws {
        let error = try #require(refusal(address))
        #expect(error.resultCode == .cannotOpen)
        #expect(error.message.hasPrefix("the address of the database cannot be read: "))
        for part in ["S3C", "RET", "ana"] { #expect(!error.description.contains(part)) }
    }

    @Test func `of several hosts each is the first one in turn`() throws {
        let several = try PostgresAddress("postgres://ana:S3CRET@a:1,b:2,c:3/x?sslmode=disable")
        #expect(several.hosts(startingAt: 1).map(\.1) == ["b,c,a", "2,3,1"])
        #expect(several.hosts(startingAt: 5).map(\.1) == ["c,a,b", "3,1,2"])
        #expect(try PostgresAddress("host=a,b port=5432").hosts(startingAt: 1).map(\.1) == ["b,a"])
        #expect(try PostgresAddress("host=a").hosts(startingAt: 1).isEmpty)
        #expect(try PostgresAddress("").hosts(startingAt: 1).isEmpty)
    }

    @Test func `a primary of an earlier timeline is an old one, and what was connected before is looked at again`() {
        let timeline = PostgresTimeline()
        #expect(timeline.note("7-00000009-5"))
        let number = timeline.number
        #expect(timeline.note("7-00000009-5") && timeline.number == number)
        #expect(timeline.note("7-0000000A-5") && timeline.number != number)
        #expect(!timeline.note("7-00000009-5"))
        #expect(timeline.note("7-0000000A-5"))
        // Another server, which the name leads to now.
        #expect(timeline.note("8-00000001-5"))
        #expect(!timeline.note("nonsense"))
    }

    @Test func `a storage is never printed`() {
        let storage = SessionManager.Storage.postgres("host=127.0.0.1 password=S3CRET")
        var dumped = ""
        dump(storage, to: &dumped)
        for text in ["\(storage)", String(reflecting: storage), dumped] { #expect(!text.contains("S3CRET")) }
    }

    @Test func `a server that isn't there is said at once`() throws {
        let error = try #require(refusal("host=127.0.0.1 port=1 password=S3CRET"))
        #expect(error.resultCode == .cannotOpen && error.message.contains("Connection refused"))
        #expect(error.description.hasPrefix("PostgreSQL error 08001: "))
        #expect(!error.description.contains("S3CRET"))
    }

    @Test func `a database that isn't there, or has another encoding, is refused`() throws {
        let database = try TestDatabase("ENCODING LATIN1 LOCALE 'C' TEMPLATE template0")
        #expect(
            refusal(database.address)?.message
                == "the encoding of the database is LATIN1, and only UTF8 keeps every id apart"
        )
        #expect(
            refusal(database.address.replacingOccurrences(of: "dbname=", with: "dbname=no"))?.message.contains(
                "does not exist"
            ) == true
        )
    }

    @Test func `an owner who is no superuser opens the database, and has all of it`() throws {
        let database = try TestDatabase()
        let role = database.name + "_owner"
        try database.execute("CREATE ROLE \(role) LOGIN; ALTER DATABASE \(database.name) OWNER TO \(role)")
        defer {
            try? database.execute("REASSIGN OWNED BY \(role) TO postgres; DROP OWNED BY \(role); DROP ROLE \(role)")
        }
        let address = database.address.replacingOccurrences(of: "user=postgres", with: "user=\(role)")
        let manager = try SessionManager(storage: .postgres(address))
        try manager.createSession("support")
        try manager.updateSession("support", SessionUpdates(status: .connected))
        #expect(throws: InvalidSessionUpdateError.self) {
            try manager.updateSession("support", SessionUpdates(status: .qrWaiting))
        }
        let error = #expect(throws: DatabaseError.self) {
            try database.execute("SET ROLE \(role); UPDATE sessions SET status = 'gone'")
        }
        #expect(error?.message.hasPrefix("unknown_status: ") == true)
        #expect(try manager.deleteSession("support"))
        #expect(try manager.snapshot().cursor.number == 3)
    }

    @Test func `a role that may not create the schema is told so, and nothing is left half made`() throws {
        let database = try TestDatabase()
        try database.execute("CREATE ROLE \(database.name) LOGIN")
        defer { try? database.execute("DROP ROLE \(database.name)") }
        let address = database.address.replacingOccurrences(of: "user=postgres", with: "user=\(database.name)")
        let error = try #require(refusal(address))
        #expect(error.message == "permission denied for database \(database.name)")
        #expect(error.sqlState == "42501" && error.resultCode == .cannotOpen)
        // One that fails in the middle.
        try database.execute(
            """
            CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
                IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE '%leases%') THEN RAISE 'no'; END IF;
            END $$;
            CREATE EVENT TRIGGER refuse ON ddl_command_end EXECUTE FUNCTION public.refuse()
            """
        )
        #expect(refusal(database.address)?.message == "no")
        #expect(try database.query("SELECT count(*) FROM pg_namespace WHERE nspname = 'whatsapp_sessions'") == "0")
        try database.execute("DROP EVENT TRIGGER refuse")
        try SessionManager(storage: .postgres(database.address)).createSession("support")
    }

    @Test func `a schema of another program or of a newer version is refused, and left alone`() throws {
        let other = try TestDatabase()
        try other.execute("CREATE SCHEMA whatsapp_sessions; CREATE TABLE whatsapp_sessions.accounts (id text)")
        #expect(
            refusal(other.address)?.message
                == "the schema whatsapp_sessions of the database belongs to another program"
        )
        #expect(try other.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'whatsapp_sessions'") == "1")
        let newer = try TestDatabase()
        try SessionManager(storage: .postgres(newer.address)).close()
        let next = PostgresConnection.migrations.count + 1
        try newer.execute("INSERT INTO migrations (number) VALUES (\(next))")
        #expect(
            refusal(newer.address)?.message
                == "the schema version is \(next), and this library knows versions up to \(next - 1)"
        )
    }

    @Test(arguments: [
        "log_statement = 'all'", "log_min_duration_statement = 0", "log_parameter_max_length_on_error = -1",
        "log_min_duration_sample = 0", "log_transaction_sample_rate = 1",
    ])
    func `a server that would log QR codes is refused, unless it leaves values out`(setting: String) throws {
        let database = try TestDatabase()
        try database.execute("ALTER DATABASE \(database.name) SET \(setting)")
        let error = try #require(refusal(database.address))
        #expect(
            error.message.hasPrefix("the server logs the values of statements, and QR codes would be among them: ")
        )
        try database.execute("ALTER DATABASE \(database.name) SET log_parameter_max_length = 0")
        try database.execute("ALTER DATABASE \(database.name) SET log_parameter_max_length_on_error = 0")
        try SessionManager(storage: .postgres(database.address)).close()
    }

    @Test func `a role without rights is refused, and one with the grants can do everything`() throws {
        let database = try TestDatabase()
        try SessionManager(storage: .postgres(database.address)).close()
        let role = database.name + "_gateway"
        try database.execute("CREATE ROLE \(role) LOGIN")
        defer { try? database.execute("DROP OWNED BY \(role); DROP ROLE \(role)") }
        let address = database.address.replacingOccurrences(of: "user=postgres", with: "user=\(role)")
        #expect(refusal(address)?.message.contains("permission denied") == true)
        let script = try grants("gateway")
        try database.execute(script.replacingOccurrences(of: "gateway", with: role))
        let manager = try SessionManager(storage: .postgres(address))
        let lease = try manager.openLease(holder: "eu-1", lasting: .seconds(60))
        try manager.createSession("support")
        try manager.claimSession("support", under: lease)
        try manager.updateSession("support", SessionUpdates(status: .connected), under: lease)
        #expect(try manager.snapshot().sessions.count == 1)
        // Every function that the library calls.
        let sole = try #require(try manager.openSoleLease(holder: "webhooks", lasting: .seconds(60)))
        try manager.keepCursor(manager.newestCursor(), under: sole)
        #expect(try manager.getCursor(holder: "webhooks") != nil)
        try manager.renewLease(lease, lasting: .seconds(60))
        try manager.releaseSession("support", under: lease)
        #expect(try manager.claimSessions(limit: 1, under: lease).count == 1)
        try manager.closeLease(lease)
        #expect(try manager.recoverLeasedSessions().count == 1)
        #expect(try manager.getChanges(of: "support").count > 3 && manager.getLeases().count == 1)
        #expect(try manager.deleteSession("support"))
        let folder = TemporaryFolder()
        try SessionManager(storage: .file(path: folder.file)).createSession("moved")
        try manager.restoreSessions(from: folder.file)
        #expect(try manager.sessionExists("moved"))
        let blockers = PostgresSessions(try TestDatabase.connection(address), until: .now + .seconds(60))
        #expect(try blockers.blockers() == nil)
        #expect(throws: DatabaseError.self) {
            try database.execute("SET ROLE \(role); UPDATE sessions SET name = 'x'")
        }
        #expect(throws: DatabaseError.self) {
            try database.execute("SET ROLE \(role); DELETE FROM session_changes")
        }
    }

    @Test func `a person with the grants of an operator edits sessions under the rules, and not the journal`() throws {
        let database = try TestDatabase()
        let manager = try SessionManager(storage: .postgres(database.address))
        try manager.createSession("support")
        let role = database.name + "_operator"
        try database.execute("CREATE ROLE \(role) LOGIN")
        defer { try? database.execute("DROP OWNED BY \(role); DROP ROLE \(role)") }
        try database.execute(grants("operator").replacingOccurrences(of: "TO operator", with: "TO \(role)"))
        let cursor = try manager.newestCursor()
        try database.execute(
            "SET ROLE \(role); UPDATE sessions SET name = 'Ana'; INSERT INTO sessions (id) VALUES ('new'); DELETE FROM sessions WHERE id = 'new'"
        )
        #expect(try manager.getChanges(after: cursor).map(\.kind) == [.updated, .created, .deleted])
        for sql in ["UPDATE sessions SET status = 'gone'", "DELETE FROM session_changes", "DROP TABLE sessions"] {
            #expect(throws: DatabaseError.self) { try database.execute("SET ROLE \(role); \(sql)") }
        }
        #expect(try manager.getSession("support")?.name == "Ana")
    }

    @Test func `a monitor sees how things stand, and no code`() throws {
        let database = try TestDatabase()
        let manager = try SessionManager(storage: .postgres(database.address))
        try manager.createSession("support")
        let role = database.name + "_monitor"
        try database.execute("CREATE ROLE \(role) LOGIN")
        defer { try? database.execute("DROP OWNED BY \(role); DROP ROLE \(role)") }
        let script = try grants("monitor")
        try database.execute(script.replacingOccurrences(of: "monitor", with: role))
        let monitor = try TestDatabase.connection(
            database.address.replacingOccurrences(of: "user=postgres", with: "user=\(role)")
        )
        for view in ["session_overview", "session_history"] {
            #expect(
                try monitor.run(
                    script:
                        "SELECT (SELECT count(*) FROM (SELECT * FROM whatsapp_sessions.\(view)) v WHERE v::text <> '')",
                    until: .now + .seconds(60)
                ).firstText == "1"
            )
        }
        for table in ["sessions", "leases"] {
            #expect(throws: PostgresRefusal.self) {
                try monitor.run(
                    script: "SELECT count(*) FROM whatsapp_sessions.\(table)",
                    until: .now + .seconds(60)
                )
            }
        }
    }

    @Test func `48 first openings at once make one schema`() async throws {
        let database = try TestDatabase()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<48 {
                group.addTask {
                    try await onThread {
                        let manager = try SessionManager(storage: .postgres(database.address))
                        try manager.createSession("\(number)")
                        try manager.close()
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(try database.query("SELECT count(*) FROM migrations") == "\(PostgresConnection.migrations.count)")
        #expect(try database.query("SELECT count(*) FROM histories") == "1")
        #expect(try database.query("SELECT count(*) FROM sessions") == "48")
    }
}
#endif
