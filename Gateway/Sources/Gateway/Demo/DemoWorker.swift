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
            for session in snapshot.sessions where session.status == .initializing {
                group.addTask { try await serve(session.id, in: sockets) }
            }
            for try await change in manager.changes(after: snapshot.cursor) {
                if change.status == .initializing { group.addTask { try await serve(change.sessionID, in: sockets) } }
            }
        }
    }

    /// The sessions that have a socket.
    private actor Sockets {
        // Bytes: as Swift compares strings, two ids that differ in their bytes may be one.
        private var open: Set<[UInt8]> = []
        func insert(_ id: String) -> Bool { open.insert(Array(id.utf8)).inserted }
        func remove(_ id: String) { open.remove(Array(id.utf8)) }
    }

    /// Gives a session a socket, unless it has one.
    private func serve(_ id: String, in sockets: Sockets) async throws {
        while await sockets.insert(id) {
            let isOver = try await isOver { try await live(id) }
            await sockets.remove(id)
            if isOver { return }
            // Somebody looks at the page after a while, and pairs the account again.
            try await pause(.random(in: 40...120))
        }
    }

    /// Runs a socket's life; `true` when there is none any more: the session was deleted, somebody changed it by hand, or a real
    /// worker serves it.
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
        }
    }

    // MARK: The life of an account

    private func live(_ id: String) async throws {
        guard let session = try await manager.getSession(id) else { throw SessionNotFoundError(sessionID: id) }
        var isLinked = session.isLinked
        while true {
            _ = try await post(.opening, to: id)
            try await pause(1)
            if !isLinked {
                guard try await pair(id) else { return }
                isLinked = true
            }
            _ = try await post(.online, to: id)
            try await pause(3)
            // WhatsApp sends the name seconds after the connection.
            _ = try await post(.account(number: nil, name: session.name ?? Self.names.randomElement()), to: id)
            try await pause(.random(in: 30...240))
            switch Int.random(in: 0..<10) {
            case 0:
                _ = try await post(.ended(.loggedOut, code: 401), to: id)
                return
            case 1:
                _ = try await post(.ended(.replaced, code: 440), to: id)
                return
            default:
                let reason = DisconnectReason(code: 408, text: "Connection was lost")
                _ = try await post(.closed(reason, reconnects: true), to: id)
                try await pause(.random(in: 2...15))
            }
        }
    }

    /// Shows codes until one is scanned.
    ///
    /// - Returns: `false` when they were used up.
    private func pair(_ id: String) async throws -> Bool {
        // About one in six is never scanned.
        var untilScan = Double.random(in: 10...190)
        for number in 0..<6 {
            _ = try await post(.qrCode(Self.code()), to: id)
            let lifetime = number == 0 ? 60.0 : 20.0
            try await pause(min(lifetime, untilScan))
            untilScan -= lifetime
            guard untilScan < 0 else { continue }
            let digits = (0..<6).map { _ in String(Int.random(in: 0...9)) }.joined()
            _ = try await post(.account(number: PhoneNumber(digits: "447700\(digits)"), name: nil, opens: true), to: id)
            let restart = DisconnectReason(code: 515, text: "Stream Errored (restart required)")
            _ = try await post(.closed(restart, reconnects: true), to: id)
            try await pause(2)
            return true
        }
        _ = try await post(.ended(.codesUsedUp, code: 408), to: id)
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
