import Foundation
import Testing

@testable import WhatsAppSessions

/// Sessions move from one database to another, whatever the two keep them in.
@Suite(.eachEngine) struct RestoreTests {
    let manager = try! Engine.current.open()
    let folder = TemporaryFolder()

    /// One of each kind, some of them with what is hard to keep.
    private func fill(_ manager: SessionManager) throws -> [Session] {
        let lease = try manager.openLease(holder: "eu-1\u{0}", lasting: .seconds(3600))
        for id in ["deleted", "fresh", "\u{0}\u{1a}0\u{1a}", "waiting", "second code", "online", "banned", "cleared"] {
            try manager.createSession(id)
        }
        try manager.deleteSession("deleted")
        try manager.updateSession(
            "waiting",
            SessionUpdates(status: .qrWaiting, qrCode: .set("2@1"), qrCodeReceivedAt: Date(milliseconds: 5))
        )
        for code in ["2@1", "2@2"] {
            try manager.updateSession("second code", SessionUpdates(status: .qrWaiting, qrCode: .set(code)))
        }
        try manager.updateSession("cleared", SessionUpdates(status: .qrWaiting, qrCode: .set("2@1")))
        try manager.updateSession("cleared", SessionUpdates(qrCode: .clear))
        try manager.updateSession(
            "online",
            SessionUpdates(
                status: .connected,
                phoneNumber: .set("447700900123"),
                name: .set("Ana ☕"),
                connectedAt: .set(Date(milliseconds: -62_135_596_800_001)),
                restriction: .set("new chats"),
                wish: .set(.stop)
            )
        )
        try manager.claimSession("online", under: lease)
        try manager.updateSession(
            "banned",
            SessionUpdates(status: .disconnected, disconnectReason: .set(DisconnectReason(code: -1, text: "")))
        )
        return try manager.getAllSessions()
    }

    @Test func `a backup has every session, and comes back in every engine`() throws {
        let sessions = try fill(manager)
        try manager.backUp(to: folder.file)
        for engine in Engine.allCases {
            let other = try engine.open()
            try other.restoreSessions(from: folder.file)
            #expect(try other.getAllSessions() == sessions, "\(engine)")
            // What follows is as if nothing had moved.
            let codes = SessionUpdates(status: .qrWaiting, qrCode: .set("2@next"))
            let (waiting, next) = (try other.updateSession("second code", codes), try other.createSession("next"))
            let again = try other.updateSession("cleared", codes)
            #expect(again.qrCodeExpiresAt == again.qrCodeReceivedAt?.addingTimeInterval(20))
            #expect(waiting.qrCodeExpiresAt == waiting.qrCodeReceivedAt?.addingTimeInterval(20))
            #expect(try other.getAllSessions().map(\.id) == sessions.map(\.id) + [next.id])
            let lease = try #require(try manager.getLease(holder: "eu-1\u{0}"))
            try other.renewLease(lease, lasting: .seconds(60))
            try other.updateSession("online", SessionUpdates(name: .set("Bea")), under: lease)
            #expect(try other.openLease(holder: "eu-2", lasting: .seconds(60)).number > lease.number)
        }
    }

    @Test
    func `a database that has sessions, a file that isn't there and a damaged one are refused, and nothing changes`()
        throws
    {
        try SessionManager().backUp(to: folder.path + "/empty.sqlite")
        let damaged = try folder.open()
        try damaged.createSession("support")
        let shell = try Connection.shell(folder.file)
        try shell.damage("UPDATE sessions SET name = x'00'")
        let corrupt = #expect(throws: DatabaseError.self) { try manager.restoreSessions(from: folder.file) }
        #expect(corrupt?.resultCode == .corrupt)
        let missing = #expect(throws: DatabaseError.self) {
            try manager.restoreSessions(from: folder.path + "/no.sqlite")
        }
        #expect(missing?.resultCode == .cannotOpen)
        #expect(try !folder.names.contains("no.sqlite"))
        try manager.restoreSessions(from: folder.path + "/empty.sqlite")
        #expect(try manager.getAllSessions() == [])

        let session = try manager.createSession("mine")
        let cursor = try manager.newestCursor()
        let refused = #expect(throws: DatabaseError.self) {
            try manager.restoreSessions(from: folder.path + "/empty.sqlite")
        }
        #expect(refused?.message == "the database has sessions already: restore to an empty one")
        #expect(refused?.resultCode == .misuse)
        #expect(try manager.getAllSessions() == [session])
        #expect(try manager.newestCursor() == cursor)
    }

    @Test func `followers hear of what is restored`() async throws {
        _ = try fill(manager)
        try await manager.backUp(to: folder.file)
        let other = try Engine.current.open()
        let cursor = try await other.newestCursor()
        try await other.restoreSessions(from: folder.file)
        let changes = try await other.getChanges(after: cursor)
        #expect(changes.map(\.kind) == Array(repeating: .created, count: 7))
        #expect(try await changes.map(\.sessionID) == manager.getAllSessions().map(\.id))
    }
}
