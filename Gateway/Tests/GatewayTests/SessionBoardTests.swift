import Foundation
import NIOCore
import Testing
import WhatsAppSessions

@testable import Gateway

@Suite struct SessionBoardTests {
    private func ids(_ snapshot: SessionBoard.Snapshot, _ status: Session.Status? = nil) throws -> [String] {
        let text =
            "[" + snapshot.chunks.map { String(buffer: $0.list(status)) }.filter { !$0.isEmpty }.joined(separator: ",")
            + "]"
        return try JSONDecoder.gateway.decode([Session].self, from: Data(text.utf8)).map(\.id)
    }

    /// The events of all sessions, by the encoder.
    private func events(_ sessions: [Session]) throws -> String {
        try sessions.map { session in
            let data = try JSONEncoder.gateway.encode(SessionJSON(session))
            return "event: session\ndata: \(String(decoding: data, as: UTF8.self))\n\n"
        }.joined()
    }

    @Test func `after any changes the board is what a snapshot is`() async throws {
        let manager = try SessionManager()
        let board = SessionBoard(manager: manager)
        let start = try await manager.newestCursor()
        for round in 0..<60 {
            // Sometimes more than it reads at once, and more than one page of sessions.
            for _ in 0..<[0, 1, 5, 50, 1500].randomElement()! {
                let id = "\(Int.random(in: 0..<600))"
                switch Int.random(in: 0..<10) {
                case 0..<5: _ = try? await manager.createSession(id)
                case 5: try await manager.deleteSession(id)
                default:
                    let updates = SessionUpdates(
                        status: [.connected, .disconnected, .initializing].randomElement()!,
                        name: .set("\(round)"),
                        wish: [.set(.stop), .clear, .unchanged].randomElement()!
                    )
                    _ = try? await manager.updateSession(id, updates)
                }
            }
            let (snapshot, expected) = (try await board.snapshot(), try await manager.snapshot())
            #expect(snapshot.cursor == expected.cursor)
            #expect(try snapshot.chunks.map { String(buffer: $0.joinedEvents) }.joined() == events(expected.sessions))
            #expect(try ids(snapshot) == expected.sessions.map(\.id))
            #expect(try ids(snapshot, .connected) == expected.sessions.filter { $0.status == .connected }.map(\.id))
            for (status, count) in try await manager.countSessions() {
                #expect(snapshot.counts[status, default: 0] == count)
            }
            let problems = expected.sessions.filter { $0.status == .disconnected && $0.wish != .stop }
            #expect(snapshot.attention.problems == problems.count)
            let underWay = expected.sessions.filter { $0.status == .initializing }
            #expect(snapshot.attention.initializingSince == underWay.compactMap(\.statusChangedAt).min())
            #expect(snapshot.attention.offlineSince == problems.compactMap(\.statusChangedAt).min())
        }
        #expect(try await manager.newestCursor() != start)
    }

    @Test func `each session is encoded once for all who begin, and again only when it changes`() async throws {
        let manager = try SessionManager()
        let board = SessionBoard(manager: manager)
        for number in 0..<600 { try await manager.createSession("\(number)") }
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<50 { group.addTask { _ = try await board.snapshot() } }
            try await group.waitForAll()
        }
        #expect(await board.encodings == 600)
        for _ in 0..<3 { try await manager.updateSession("7", SessionUpdates(name: .set(UUID().uuidString))) }
        for _ in 0..<50 { _ = try await board.snapshot() }
        #expect(await board.encodings == 601)
    }

    @Test func `whoever has made a change finds it on the board, however many ask at once`() async throws {
        let folder = TemporaryFolder()
        for storage in [SessionManager.Storage.memory, .file(path: folder.file)] {
            let manager = try SessionManager(storage: storage)
            let board = SessionBoard(manager: manager)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for task in 0..<16 {
                    group.addTask {
                        for number in 0..<20 {
                            try await manager.createSession("\(task)-\(number)")
                            let text = try await board.snapshot().chunks.map { String(buffer: $0.joinedEvents) }
                                .joined()
                            #expect(text.contains("\"id\":\"\(task)-\(number)\""))
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func `sessions that come and go while the board is filled are there once, or not at all`() async throws {
        let folder = TemporaryFolder()
        let manager = try SessionManager(storage: .file(path: folder.file))
        for number in 0..<1500 { try await manager.createSession("\(number)") }
        for round in 0..<8 {
            let board = SessionBoard(manager: manager)
            let churn = Task {
                for number in 0..<60 {
                    try await manager.deleteSession("\(round * 60 + number)")
                    try await manager.createSession("\(round * 60 + number)")
                }
            }
            _ = try await board.snapshot()
            try await churn.value
            let snapshot = try await board.snapshot()
            #expect(try await ids(snapshot) == manager.getAllSessions().map(\.id))
            #expect(snapshot.counts[.initializing] == 1500)
        }
    }

    @Test func `a board that has missed too much is filled anew, and one of a closed database says so`() async throws {
        let manager = try SessionManager()
        let board = SessionBoard(manager: manager)
        try await manager.createSession("support")
        #expect(try ids(await board.snapshot()) == ["support"])
        for number in 0..<100_100 {
            try await manager.updateSession("support", SessionUpdates(name: .set("\(number)")))
        }
        let snapshot = try await board.snapshot()
        #expect(String(buffer: snapshot.chunks[0].joinedEvents).contains(#""name":"100099""#))
        #expect(try await snapshot.cursor == manager.newestCursor())
        try await manager.close()
        await #expect(throws: DatabaseError.self) { try await board.snapshot() }
    }
}
