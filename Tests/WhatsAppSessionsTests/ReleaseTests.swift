import Foundation
import Testing

@testable import WhatsAppSessions

/// What earlier versions wrote is read by this one: `Fixtures/releases` has a folder for each.
@Suite struct ReleaseTests {
    private static let project = URL(filePath: #filePath).appending(path: "../../..").standardized
    private static let fixtures = project.appending(path: "Tests/WhatsAppSessionsTests/Fixtures/releases")
    static let releases = try! FileManager.default.contentsOfDirectory(atPath: fixtures.path).sorted()

    private let folder = TemporaryFolder()

    @Test(arguments: releases)
    func `the file of a release is read whole, its cursor goes on, and so do its sessions`(release: String) throws {
        let fixture = Self.fixtures.appending(path: release)
        try FileManager.default.copyItem(atPath: fixture.appending(path: "sessions.sqlite").path, toPath: folder.file)
        let manager = try folder.open()
        let cursor = try String(contentsOf: fixture.appending(path: "cursor.txt"), encoding: .utf8)
        try expectStory(of: manager, cursor: cursor)
        if release != "0.1.0" { try expectSequel(of: manager) }
        let (version, check) = try manager.withConnection {
            try ($0.pragma("user_version"), $0.pragma("integrity_check"))
        }
        #expect(version == "\(Schema.sessions.migrations.count)")
        #expect(check == "ok")

        let end = try manager.snapshot().cursor
        try manager.updateSession("support", SessionUpdates(status: .disconnected))
        try manager.createSession("new")
        #expect(try manager.getChanges(after: end).map(\.sessionID) == ["support", "new"])
        #expect(try manager.getAllSessions().map(\.id) == ["support", "sales", "billing", "shop", "new"])
    }

    /// With `RELEASE` in the environment it keeps what it wrote, as the fixture of that release.
    @Test func `this version writes the same story`() throws {
        let manager = try folder.open()
        let cursor = try writeStory(to: manager)
        try expectStory(of: manager, cursor: cursor)
        try expectSequel(of: manager)
        try manager.close()
        guard let release = ProcessInfo.processInfo.environment["RELEASE"] else { return }
        let fixture = Self.fixtures.appending(path: release)
        try FileManager.default.createDirectory(at: fixture, withIntermediateDirectories: true)
        try FileManager.default.copyItem(
            at: Self.project.appending(path: "migrations"),
            to: fixture.appending(path: "migrations")
        )
        // They are run again by whoever upgrades.
        try FileManager.default.removeItem(at: fixture.appending(path: "migrations/postgres/grants"))
        try FileManager.default.copyItem(atPath: folder.file, toPath: fixture.appending(path: "sessions.sqlite").path)
        try cursor.write(to: fixture.appending(path: "cursor.txt"), atomically: true, encoding: .utf8)
    }

    #if Postgres
    @Test(arguments: releases.filter { FileManager.default.fileExists(atPath: dump(of: $0).path) })
    func `a dump of a release is read whole, and its sessions go on`(release: String) throws {
        let database = try TestDatabase()
        try database.execute(String(contentsOf: Self.dump(of: release), encoding: .utf8))
        let manager = try SessionManager(storage: .postgres(database.address))
        try expectSessions(of: manager)
        try expectSequel(of: manager)
        try manager.updateSession("support", SessionUpdates(status: .disconnected))
        try manager.createSession("new")
        #expect(try manager.getAllSessions().map(\.id) == ["support", "sales", "billing", "shop", "new"])
    }

    /// With `RELEASE` in the environment it keeps what it wrote, as `pg_dump` has it.
    @Test func `this version writes the same story on PostgreSQL`() throws {
        let database = try TestDatabase()
        let manager = try SessionManager(storage: .postgres(database.address))
        let cursor = try writeStory(to: manager)
        try expectStory(of: manager, cursor: cursor)
        try expectSequel(of: manager)
        guard let release = ProcessInfo.processInfo.environment["RELEASE"] else { return }
        let dump = try run("pg_dump", "--inserts", "--no-owner", "--no-privileges", "--dbname=\(database.address)")
        // `psql` alone knows these.
        let lines = dump.split(separator: "\n", omittingEmptySubsequences: false).filter { !$0.hasPrefix("\\") }
        try lines.joined(separator: "\n").write(to: Self.dump(of: release), atomically: true, encoding: .utf8)
    }

    private static func dump(of release: String) -> URL { fixtures.appending(path: "\(release)/postgres.sql") }

    private func run(_ program: String, _ arguments: String...) throws -> String {
        let (process, pipe) = (Process(), Pipe())
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [program] + arguments
        process.standardOutput = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0)
        return String(decoding: output, as: UTF8.self)
    }
    #endif

    /// - Returns: A cursor in the middle.
    private func writeStory(to manager: SessionManager) throws -> String {
        for id in ["support", "sales", "billing", "old", "shop"] { try manager.createSession(id) }
        for id in ["support", "sales"] {
            try manager.updateSession(id, SessionUpdates(status: .qrWaiting, qrCode: .set("2@code")))
        }
        try manager.updateSession("support", SessionUpdates(phoneNumber: .set("447700900123")))
        try manager.updateSession(
            "support",
            SessionUpdates(status: .connected, connectedAt: .set(Date(timeIntervalSince1970: 1_772_542_821.25)))
        )
        let webhooks = try #require(try manager.openSoleLease(holder: "webhooks", lasting: .seconds(60)))
        try manager.keepCursor(manager.newestCursor(), under: webhooks)
        try manager.claimSession("shop", under: manager.openLease(holder: "eu-1", lasting: .seconds(60)))
        try manager.updateSession("sales", SessionUpdates(restriction: .set("new chats"), wish: .set(.logOut)))
        let cursor = try manager.snapshot().cursor
        try manager.updateSession("support", SessionUpdates(name: .set("Ana Souza ☕\0")))
        try manager.updateSession(
            "billing",
            SessionUpdates(
                status: .disconnected,
                disconnectReason: .set(DisconnectReason(code: 401, text: "logged out on the phone"))
            )
        )
        try manager.deleteSession("old")
        return cursor.description
    }

    /// What 0.1.0 doesn't have.
    private func expectSequel(of manager: SessionManager) throws {
        let sessions = try manager.getAllSessions()
        #expect(sessions.map(\.restriction) == [nil, "new chats", nil, nil])
        #expect(sessions.map(\.wish) == [nil, .logOut, nil, nil])
        // The lease itself is over.
        #expect(try manager.getChanges(of: "shop").contains { $0.fields == .holder })
        #expect(try manager.getCursor(holder: "webhooks") != nil)
    }

    private func expectSessions(of manager: SessionManager) throws {
        let reason = DisconnectReason(code: 401, text: "logged out on the phone")
        let sessions = try manager.getAllSessions()
        #expect(sessions.map(\.id) == ["support", "sales", "billing", "shop"])
        #expect(sessions.map(\.status) == [.connected, .qrWaiting, .disconnected, .initializing])
        #expect(sessions.map(\.phoneNumber) == ["447700900123", nil, nil, nil])
        #expect(sessions.map(\.name) == ["Ana Souza ☕\0", nil, nil, nil])
        #expect(sessions.map(\.qrCode) == [nil, "2@code", nil, nil])
        #expect(sessions.map(\.connectedAt) == [Date(timeIntervalSince1970: 1_772_542_821.25), nil, nil, nil])
        #expect(sessions.map(\.disconnectReason) == [nil, nil, reason, nil])
        #expect(sessions.allSatisfy { $0.statusChangedAt >= $0.createdAt })
        #expect(sessions.last.map { $0.statusChangedAt == $0.createdAt } == true)
        #expect(sessions.map { $0.qrCodeReceivedAt != nil } == [false, true, false, false])
    }

    private func expectStory(of manager: SessionManager, cursor: String) throws {
        try expectSessions(of: manager)
        let reason = DisconnectReason(code: 401, text: "logged out on the phone")
        let changes = try manager.getChanges(after: #require(ChangeCursor(cursor)))
        #expect(changes.map(\.sessionID) == ["support", "billing", "old"])
        #expect(changes.map(\.kind) == [.updated, .updated, .deleted])
        #expect(changes.map(\.fields) == [.name, [.status, .disconnectReason], []])
        #expect(changes.map(\.previousStatus) == [.connected, .initializing, .initializing])
        #expect(changes.map(\.status) == [.connected, .disconnected, nil])
        #expect(changes.map(\.disconnectReason) == [nil, reason, nil])
    }

    // MARK: Migrations

    @Test func `no released script was edited or removed`() throws {
        for release in Self.releases {
            let scripts = Self.fixtures.appending(path: release).appending(path: "migrations")
            #expect(try changes(since: scripts, Self.project.appending(path: "migrations")) == [], "\(release)")
        }

        // The look itself.
        let (released, edited) = (TemporaryFolder(), TemporaryFolder())
        for name in ["0001_a.sql", "0002_b.sql", "0003_c.sql"] {
            try Data(name.utf8).write(to: URL(filePath: released.path + "/" + name))
        }
        for (name, text) in [("0001_a.sql", "0001_a.sql"), ("0002_b.sql", "edited"), ("0004_d.sql", "new")] {
            try Data(text.utf8).write(to: URL(filePath: edited.path + "/" + name))
        }
        #expect(
            try changes(since: URL(filePath: released.path), URL(filePath: edited.path)) == [
                "0002_b.sql", "0003_c.sql",
            ]
        )
    }

    /// The released scripts that are not in the current folder as they were.
    private func changes(since released: URL, _ current: URL) throws -> [String] {
        let names = try FileManager.default.subpathsOfDirectory(atPath: released.path).sorted()
        return try names.filter { $0.hasSuffix(".sql") }.filter { name in
            let text = try Data(contentsOf: released.appending(path: name))
            return FileManager.default.contents(atPath: current.appending(path: name).path) != text
        }
    }

    // MARK: Programs

    @Test func `what was written for 0.1.0 still compiles`() throws {
        let date = Date(milliseconds: 0)
        let session = Session(
            id: "support",
            status: .qrWaiting,
            phoneNumber: nil,
            name: nil,
            createdAt: date,
            connectedAt: nil,
            qrCode: "2@code",
            statusChangedAt: date,
            qrCodeReceivedAt: date,
            disconnectReason: nil
        )
        let updates = SessionUpdates(
            status: .connected,
            phoneNumber: .clear,
            name: .clear,
            connectedAt: .set(date),
            qrCode: .clear,
            disconnectReason: .clear
        )
        let cursor = try #require(ChangeCursor("1-1"))
        #expect(SessionSnapshot(sessions: [session], cursor: cursor).damages.isEmpty)
        #expect(ChangeCursorExpiredError(cursor: cursor).damage == nil)
        #expect(!DatabaseError(resultCode: .busy, message: "locked", sql: nil).isOutcomeUnknown)
        #expect(updates.wish == .unchanged && session.wish == nil)
    }
}
