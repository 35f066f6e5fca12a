import Foundation
import Testing
import WhatsAppSessions

@testable import Gateway

@Suite struct DemoTests {
    @Test func `the demo pairs its accounts, and serves one that a person creates`() async throws {
        let manager = try SessionManager()
        let turns = Turns()
        let leases = WorkerLeases(manager: manager, turns: turns, lease: .seconds(30), logger: .quiet)
        let events = WorkerEvents(manager: manager, turns: turns, leases: leases)
        let cursor = try await manager.snapshot().cursor
        let demo = Task { try await DemoWorker(manager: manager, events: events, speed: 1000).run() }
        try await manager.createSession("mine")
        for try await change in manager.changes(after: cursor) where change.sessionID == "mine" {
            if change.fields.contains(.qrCode), change.status == .qrWaiting { break }
        }
        try await expectEventually {
            let sessions = try await manager.getAllSessions()
            return sessions.count == DemoWorker.accounts.count + 1 && sessions.contains { $0.name != nil }
        }
        try await manager.deleteSession("mine")
        demo.cancel()
        // It ends when it is cancelled.
        _ = await demo.result
        #expect(try await !manager.sessionExists("mine"))
    }

    @Test func `a code of the demo is as long as WhatsApp's`() throws {
        let recording = try String(contentsOf: RecordingTests.recording, encoding: .utf8)
        let real = try #require(recording.firstMatch(of: /"qr":"([^"]+)"/)).1
        #expect(DemoWorker.code().utf8.count == real.utf8.count)
    }
}
