import Foundation
import Hummingbird
import HummingbirdTesting
import Testing
import WhatsAppSessions

@testable import Gateway

/// A file with rows that cannot be read, and a file that another gateway serves.
@Suite struct DamageTests {
    private let folder = FileManager.default.temporaryDirectory.appending(path: "gateway-\(UUID())")
    private var file: String { folder.appending(path: "sessions.sqlite").path }

    init() throws { try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true) }

    private var configuration: Configuration {
        var configuration = Configuration()
        configuration.file = file
        return configuration
    }

    /// Runs SQL in the shell, as someone who types it into a Latin-1 terminal.
    private func shell(_ sql: String) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/sqlite3")
        process.arguments = ["-cmd", ".timeout 60000", file, sql]
        try process.run()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
    }

    private struct List: Decodable { var sessions: [Session], damaged: [SessionDamage] }

    @Test func `a damaged row costs itself only, at the start and while the gateway serves`() async throws {
        do {
            let manager = try SessionManager(storage: .file(path: file))
            for id in ["a", "b", "c"] {
                try await manager.createSession(id)
                try await manager.updateSession(id, SessionUpdates(status: .connected))
            }
            try await manager.close()
        }
        try shell("UPDATE sessions SET name = CAST(x'436166e9' AS TEXT) WHERE id = 'b'")
        try await withGateway(configuration) { gateway in
            var list = try await gateway.get("/sessions").json(List.self)
            #expect(list.sessions.map(\.id) == ["a", "c"])
            #expect(list.sessions.allSatisfy { $0.status == .disconnected })
            #expect(list.damaged.map(\.sessionID) == ["b"])
            #expect(try await gateway.get("/health").status == .ok)
            // A reason that cannot be read, in a change that cannot be read, beside followers.
            var seen: [String] = []
            try await follow(gateway) { followed in
                seen.append(followed.event)
                if followed.event == "ready", !seen.contains("changed by hand") {
                    seen.append("changed by hand")
                    try shell("UPDATE sessions SET disconnect_text = CAST(x'ff' AS TEXT) WHERE id = 'c'")
                } else if followed.event == "ready" {
                    try await gateway.send(.patch, "/sessions/a", #"{"name":"Ana"}"#)
                }
                return followed.event != "session" || seen.filter { $0 == "ready" }.count < 2
            }
            #expect(
                seen == [
                    "reset", "session", "session", "ready", "changed by hand", "reset", "session", "ready", "session",
                ]
            )
            list = try await gateway.get("/sessions").json(List.self)
            #expect(list.sessions.map(\.id) == ["a"] && list.damaged.map(\.sessionID) == ["b", "c"])
            #expect(try await gateway.send(.patch, "/sessions/b", #"{"name":"Caf\u00e9"}"#).session.name == "Café")
        }
        try FileManager.default.removeItem(at: folder)
    }

    @Test func `a second gateway doesn't open the file, which it might migrate`() async throws {
        let lock = try FileLock(file)
        #expect(throws: ConfigurationError.self) { _ = try GatewayServer(configuration, logger: .quiet) }
        #expect(!FileManager.default.fileExists(atPath: file))
        withExtendedLifetime(lock) {}
        try FileManager.default.removeItem(at: folder)
    }
}
