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
        try expectStory(of: manager, cursor: String(contentsOf: fixture.appending(path: "cursor.txt"), encoding: .utf8))
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
        try manager.close()
        guard let release = ProcessInfo.processInfo.environment["RELEASE"] else { return }
        let fixture = Self.fixtures.appending(path: release)
        try FileManager.default.createDirectory(at: fixture, withIntermediateDirectories: true)
        try FileManager.default.copyItem(
            at: Self.project.appending(path: "migrations"),
            to: fixture.appending(path: "migrations")
        )
        try FileManager.default.copyItem(atPath: folder.file, toPath: fixture.appending(path: "sessions.sqlite").path)
        try cursor.write(to: fixture.appending(path: "cursor.txt"), atomically: true, encoding: .utf8)
    }

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

    private func expectStory(of manager: SessionManager, cursor: String) throws {
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
        try FileManager.default.contentsOfDirectory(atPath: released.path).sorted().filter { name in
            let text = try Data(contentsOf: released.appending(path: name))
            return FileManager.default.contents(atPath: current.appending(path: name).path) != text
        }
    }
}
