import Foundation
import Testing
import WhatsAppSessions

/// One manager, many callers.
@Suite struct ConcurrencyTests {
    let manager = try! SessionManager()

    @Test func `of many tasks that create the same id one succeeds`() async throws {
        for round in 0..<50 {
            let created = await withTaskGroup { group in
                for _ in 0..<8 {
                    group.addTask { [manager] in
                        do throws(any Error) {
                            try await manager.createSession("\(round)")
                            return 1
                        } catch {
                            #expect(error is SessionAlreadyExistsError)
                            return 0
                        }
                    }
                }
                return await group.reduce(0, +)
            }
            #expect(created == 1)
        }
        #expect(try await manager.getAllSessions().count == 50)
    }

    // Real threads, since short tasks often run one after the other: https://developer.apple.com/documentation/foundation/thread
    @Test func `threads that use every method at once lose nothing and see only whole sessions`() throws {
        let threads = 8
        let rounds = 200
        let done = DispatchGroup()
        for thread in 0..<threads {
            done.enter()
            Thread { [manager] in
                defer { done.leave() }
                do {
                    try manager.deleteSession("shared")
                    for round in 0..<rounds {
                        let id = "\(thread)-\(round)"
                        try manager.createSession(id)
                        // The name and the code of a session always belong together.
                        let updates = SessionUpdates(status: .qrWaiting, name: .set(id), qrCode: .set(id))
                        #expect(try manager.updateSession(id, updates).qrCode == id)
                        _ = try? manager.createSession("shared")
                        _ = try? manager.updateSession("shared", updates)
                        if let shared = try manager.getSession("shared"), shared.status == .qrWaiting {
                            #expect(shared.name == shared.qrCode)
                        }
                        #expect(try manager.sessionExists(id))
                        if round % 50 == 0 { #expect(try manager.getAllSessions().count <= threads * rounds + 1) }
                        if round % 2 == 0 { #expect(try manager.deleteSession(id)) }
                    }
                } catch {
                    Issue.record(error)
                }
            }.start()
        }
        done.wait()
        try manager.deleteSession("shared")
        let sessions = try manager.getAllSessions()
        #expect(sessions.count == threads * rounds / 2)
        #expect(sessions.allSatisfy { $0.name == $0.id && $0.qrCode == $0.id })
    }
}
