import Foundation
import Testing
import WhatsAppSessions

@testable import Gateway

@Suite struct DemoTests {
    @Test func `the demo pairs its accounts, and serves one that a person creates`() async throws {
        let manager = try SessionManager()
        let leases = WorkerLeases(manager: manager, duration: .seconds(30))
        let events = WorkerEvents(manager: manager, leases: leases, turns: Turns())
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

    @Test func `an account of the demo that has ended is paired again`() async throws {
        let manager = try SessionManager()
        let events = WorkerEvents(
            manager: manager,
            leases: WorkerLeases(manager: manager, duration: .seconds(30)),
            turns: Turns()
        )
        let cursor = try await manager.snapshot().cursor
        let demo = Task { try await DemoWorker(manager: manager, events: events, speed: 2000).run() }
        defer { demo.cancel() }
        var returns = 0
        for try await change in manager.changes(after: cursor) where change.previousStatus == .disconnected {
            if change.status == .initializing { returns += 1 }
            if returns == 3 { break }
        }
        #expect(returns == 3)
    }

    @Test func `a code of the demo is as long as WhatsApp's`() throws {
        let recording = try String(contentsOf: RecordingTests.recording, encoding: .utf8)
        let real = try #require(recording.firstMatch(of: /"qr":"([^"]+)"/)).1
        #expect(DemoWorker.code().utf8.count == real.utf8.count)
    }
}
