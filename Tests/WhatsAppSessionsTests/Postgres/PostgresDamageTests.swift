#if Postgres
import Foundation
import Testing

@testable import WhatsAppSessions

/// What a superuser can do to the rows past the rules costs these rows only.
@Suite struct PostgresDamageTests {
    let database = try! TestDatabase()
    let manager: SessionManager

    init() throws {
        manager = try SessionManager(storage: .postgres(database.address))
        for id in ["before", "damaged", "after"] { try manager.createSession(id) }
    }

    /// Changes rows without any trigger.
    private func damage(_ sql: String) throws {
        try database.execute("SET session_replication_role = replica; \(sql)")
    }

    @Test(arguments: ["status = 'gone'", "wish = 'rest'"])
    func `a damaged row names its column and itself, and does not hide its neighbours`(damage sql: String) throws {
        try damage("UPDATE sessions SET \(sql) WHERE id = 'damaged'")
        let column = sql.prefix { $0 != " " }
        let snapshot = try manager.snapshot()
        #expect(snapshot.sessions.map(\.id) == ["before", "after"])
        #expect(try manager.getAllSessions() == snapshot.sessions)
        #expect(try manager.getSessions(status: .initializing) == snapshot.sessions)
        let damage = try #require(snapshot.damages.first)
        #expect(snapshot.damages.count == 1 && damage.seq == 2 && damage.sessionID == "damaged")
        #expect("\(damage)" == "malformed value in the column \(column) in the row with the id damaged")
        let read = #expect(throws: DatabaseError.self) { try manager.getSession("damaged") }
        #expect(read?.resultCode == .corrupt && read?.message == "\(damage)")
        #expect(try manager.getSession("after")?.id == "after")
        // A copy would leave it out without a word.
        let folder = TemporaryFolder()
        let copy = folder.path + "/copy.sqlite"
        let error = #expect(throws: DatabaseError.self) { try manager.backUp(to: copy) }
        #expect(error?.resultCode == .corrupt)
        #expect(!FileManager.default.fileExists(atPath: copy))
        // And the connection that it failed on serves on.
        for _ in 0..<4 { #expect(try manager.getAllSessions().count == 2) }
        // Nobody claims it, and no recovery touches it.
        let lease = try manager.openLease(holder: "eu-1", lasting: .seconds(60))
        let claim = #expect(throws: DatabaseError.self) { try manager.claimSession("damaged", under: lease) }
        #expect(claim?.resultCode == .corrupt)
        #expect(try database.query("SELECT lease FROM sessions WHERE id = 'damaged'") == "")
        #expect(try manager.claimSessions(limit: 10, under: lease).map(\.id) == ["before", "after"])
        try manager.closeLease(lease)
        #expect(try manager.recoverSessions().map(\.id) == ["before", "after"])
        #expect(try database.query("SELECT lease FROM sessions WHERE id = 'damaged'") == "")
        #expect(try manager.deleteSession("damaged"))
        #expect(try manager.snapshot().damages == [])
    }

    @Test func `a damaged change expires the cursors before it, and no other`() throws {
        let start = try manager.newestCursor()
        try manager.createSession("one")
        let between = try manager.newestCursor()
        try manager.createSession("two")
        try manager.createSession("three")
        try damage("UPDATE session_changes SET status = 'gone' WHERE session_id = 'two'")
        // First what comes before it.
        #expect(try manager.getChanges(after: start).map(\.sessionID) == ["one"])
        let error = #expect(throws: ChangeCursorExpiredError.self) { try manager.getChanges(after: between) }
        #expect(error?.damage?.hasPrefix("malformed value in the column status in the change with the number") == true)
        let after = ChangeCursor(history: between.history, number: between.number + 1)
        #expect(try manager.getChanges(after: after).map(\.sessionID) == ["three"])
        #expect(try manager.getChanges(of: "two").isEmpty)
    }

    @Test func `a manager whose table is gone throws at once, call by call`() throws {
        try database.execute("ALTER TABLE sessions RENAME TO elsewhere")
        let calls: [() throws -> Void] = [
            { _ = try manager.getSession("before") }, { _ = try manager.getAllSessions() },
            { try manager.updateSession("before", SessionUpdates(name: .set("Ana"))) },
            { try manager.createSession("new") }, { try manager.deleteSession("before") },
        ]
        for call in calls {
            let error = #expect(throws: DatabaseError.self) { try call() }
            #expect(error?.sqlState?.hasPrefix("42") == true && error?.isOutcomeUnknown == false)
        }
        try database.execute("ALTER TABLE elsewhere RENAME TO sessions")
        #expect(try manager.getSession("before") != nil)
    }

    @Test func `a change that is missing ends a page, and is never jumped over`() throws {
        let start = try manager.newestCursor()
        for id in ["one", "two", "three"] { try manager.createSession(id) }
        try damage("DELETE FROM session_changes WHERE session_id = 'two'")
        #expect(throws: ChangeCursorExpiredError.self) { try manager.getChanges(after: start) }
    }

    @Test func `a text that is too long is refused before it is sent, and hurts nobody`() throws {
        let long = String(repeating: "x", count: 8_000_001)
        let lease = try manager.openLease(holder: "eu-1", lasting: .seconds(60))
        let calls: [() throws -> Void] = [
            { try manager.createSession(long) }, { _ = try manager.getSession(long) },
            { try manager.updateSession("before", SessionUpdates(name: .set(long))) },
            { try manager.updateSession("before", SessionUpdates(status: .qrWaiting, qrCode: .set(long))) },
            { try manager.claimSession(long, under: lease) },
            { _ = try manager.openLease(holder: long, lasting: .seconds(1)) },
            { _ = try manager.getCursor(holder: long) }, { _ = try manager.getChanges(of: long) },
        ]
        for call in calls {
            let error = #expect(throws: DatabaseError.self) { try call() }
            #expect(error?.resultCode == .tooBig && error?.message.contains("xx") == false)
        }
        let longest = String(repeating: "x", count: 8_000_000)
        #expect(try manager.updateSession("before", SessionUpdates(name: .set(longest))).name == longest)
    }

    @Test func `whoever restores a copy that keeps its timeline begins a new history`() throws {
        let kept = try manager.newestCursor()
        try manager.createSession("lost")
        let lost = try manager.newestCursor()
        // As a snapshot of the disk would be restored.
        try damage("DELETE FROM sessions WHERE id = 'lost'; DELETE FROM session_changes WHERE number = \(lost.number)")
        try database.execute("SELECT whatsapp_sessions.begin_history()")
        for id in ["other", "another"] { try manager.createSession(id) }
        #expect(try manager.getChanges(after: kept).map(\.sessionID) == ["other", "another"])
        #expect(throws: ChangeCursorExpiredError.self) { try manager.getChanges(after: lost) }
    }

    @Test(arguments: [
        ("53100", DatabaseError.ResultCode.full), ("53200", .outOfMemory), ("54000", .tooBig), ("22001", .tooBig),
        ("25006", .readOnly), ("58030", .ioError), ("XX001", .corrupt), ("XX002", .corrupt), ("23514", .constraint),
        ("28P01", .cannotOpen), ("3D000", .cannotOpen), ("42501", .error),
    ])
    func `an SQLSTATE has the code of SQLite that means the same`(state: String, code: DatabaseError.ResultCode) {
        let error = DatabaseError(PostgresRefusal(state: state, message: "the server says so"))
        #expect(error.resultCode == code && error.sqlState == state && error.message == "the server says so")
    }

    @Test(arguments: [
        ("55P03", true), ("25006", true), ("40001", true), ("40P01", true), ("57014", true), ("23514", false),
        ("42501", false), ("53100", false),
    ])
    func `what may go well another time is asked again`(state: String, isTemporary: Bool) {
        #expect(PostgresRefusal(state: state, message: "").isTemporary == isTemporary)
    }
}
#endif
