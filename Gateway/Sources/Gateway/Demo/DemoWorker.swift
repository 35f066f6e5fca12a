import Foundation
import ServiceLifecycle
import WhatsAppSessions

/// Plays a worker with several accounts, without WhatsApp: what `Workers/demo.mjs` does from outside.
///
/// Like a real worker it follows the changes. A session that becomes initializing gets a socket, and a deleted one loses it.
struct DemoWorker: Service {
    let manager: SessionManager
    let events: WorkerEvents
    let speed: Double

    static let accounts = ["support", "shop-berlin", "shop-lisbon", "shop-mumbai", "sales", "newsletter"]

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask { await createAccounts() }
                // Whatever goes wrong, with the database for instance, the gateway goes on, and so does the demo.
                while !Task.isCancelled {
                    try? await serveSessions()
                    try? await pause(10)
                }
                group.cancelAll()
            }
        }
    }

    /// The accounts appear one after another.
    private func createAccounts() async {
        for account in Self.accounts where !Task.isCancelled {
            do {
                try await manager.createSession(account)
            } catch {
                // From an earlier run, in a file.
                _ = try? await post(.opening, to: account)
            }
            try? await pause(4)
        }
    }

    private func serveSessions() async throws {
        let snapshot = try await manager.snapshot()
        try await withThrowingDiscardingTaskGroup { group in
            let sockets = Sockets()
            for session in snapshot.sessions {
                if session.wish == .logOut { try await logOut(session.id, sockets) }
                if session.status == .initializing { group.addTask { try await serve(session.id, in: sockets) } }
            }
            for try await change in manager.changes(after: snapshot.cursor) {
                let id = change.sessionID
                if change.fields.contains(.wish) {
                    switch try await manager.getSession(id)?.wish {
                    case .logOut: try await logOut(id, sockets)
                    // Another life begins.
                    case .stop, .pair: await sockets.remove(id)
                    case nil: break
                    }
                }
                if change.status == .initializing { group.addTask { try await serve(id, in: sockets) } }
            }
        }
    }

    private func logOut(_ id: String, _ sockets: Sockets) async throws {
        await sockets.remove(id)
        _ = try await isOver { _ = try await post(.ended(.loggedOut, code: 401), to: id) }
    }

    /// The sessions that have a socket.
    private actor Sockets {
        // Bytes: as Swift compares strings, two ids that differ in their bytes may be one.
        private var open: [[UInt8]: Int] = [:]
        private var count = 0

        /// The new socket's number; `nil` when the session has one.
        func insert(_ id: String) -> Int? {
            guard open[Array(id.utf8)] == nil else { return nil }
            count += 1
            open[Array(id.utf8)] = count
            return count
        }

        func contains(_ number: Int, of id: String) -> Bool { open[Array(id.utf8)] == number }
        func remove(_ id: String) { open[Array(id.utf8)] = nil }
        func remove(_ number: Int, of id: String) { if contains(number, of: id) { remove(id) } }
    }

    private struct Closed: Error {}

    /// Gives a session a socket, unless it has one.
    private func serve(_ id: String, in sockets: Sockets) async throws {
        while let number = await sockets.insert(id) {
            let isOver = try await isOver {
                try await live(id) {
                    guard await sockets.contains(number, of: id) else { throw Closed() }
                    return try await post($0, to: id)
                }
            }
            await sockets.remove(number, of: id)
            if isOver { return }
            // Somebody looks at the page after a while, and pairs the account again.
            try await pause(.random(in: 40...120))
        }
    }

    /// Runs a socket's life; `true` when there is none any more: the session was deleted, somebody stopped it or changed it by hand,
    /// or a real worker serves it.
    private func isOver(_ life: () async throws -> Void) async throws -> Bool {
        do {
            try await life()
            return false
        } catch is SessionNotFoundError {
            return true
        } catch is InvalidSessionUpdateError {
            return true
        } catch is SessionTakenError {
            return true
        } catch is Problem {
            return true
        } catch is Closed {
            return true
        }
    }

    // MARK: The life of an account

    private func live(_ id: String, post: (SessionReport) async throws -> Session?) async throws {
        guard let session = try await manager.getSession(id) else { throw SessionNotFoundError(sessionID: id) }
        var isLinked = session.isLinked
        while true {
            _ = try await post(.opening)
            try await pause(1)
            if !isLinked {
                guard try await pair(post) else { return }
                isLinked = true
            }
            _ = try await post(.online)
            try await pause(3)
            // WhatsApp sends the name seconds after the connection.
            _ = try await post(.account(number: nil, name: session.name ?? Self.names.randomElement()))
            try await pause(.random(in: 30...240))
            switch Int.random(in: 0..<10) {
            case 0:
                _ = try await post(.ended(.loggedOut, code: 401))
                return
            case 1:
                _ = try await post(.ended(.replaced, code: 440))
                return
            default:
                let reason = DisconnectReason(code: 408, text: "Connection was lost")
                _ = try await post(.closed(reason, reconnects: true))
                try await pause(.random(in: 2...15))
            }
        }
    }

    /// Shows codes until one is scanned.
    ///
    /// - Returns: `false` when they were used up.
    private func pair(_ post: (SessionReport) async throws -> Session?) async throws -> Bool {
        // About one in six is never scanned.
        var untilScan = Double.random(in: 10...190)
        for number in 0..<6 {
            _ = try await post(.qrCode(Self.code()))
            let lifetime = number == 0 ? 60.0 : 20.0
            try await pause(min(lifetime, untilScan))
            untilScan -= lifetime
            guard untilScan < 0 else { continue }
            let digits = (0..<6).map { _ in String(Int.random(in: 0...9)) }.joined()
            _ = try await post(.account(number: PhoneNumber(digits: "447700\(digits)"), name: nil, opens: true))
            let restart = DisconnectReason(code: 515, text: "Stream Errored (restart required)")
            _ = try await post(.closed(restart, reconnects: true))
            try await pause(2)
            return true
        }
        _ = try await post(.ended(.codesUsedUp, code: 408))
        return false
    }

    private func post(_ report: SessionReport, to id: String) async throws -> Session? {
        try await events.receive(WorkerEvent(report), for: id)
    }

    private func pause(_ seconds: Double) async throws {
        try await Task.sleep(for: .seconds(seconds / speed))
    }

    /// As long as WhatsApp's, and worth nothing.
    static func code() -> String {
        let parts = [58, 32, 32, 32].map { length in
            Data((0..<length).map { _ in UInt8.random(in: .min ... .max) }).base64EncodedString()
        }
        return "https://wa.me/settings/linked_devices#2@\(parts.joined(separator: ",")),1"
    }

    private static let names = [
        "Ana Souza ☕", "Kwik-Fit Leeds", "Padaria do Bairro", "Müller & Söhne GmbH", "Zoë", "Ferretería Ávila", "山田商店",
        "مكتب الرياض", "Support Team",
    ]
}
