import Foundation
import Logging
import Testing
import WhatsAppSessions

@testable import Gateway

@Suite struct TransferTests {
    private func run(_ arguments: String...) async throws -> String {
        let configuration = try Gateway.parse(arguments).checked(environment: [:])
        return try await #require(configuration.transfer).run(configuration) {
            try GatewayServer.open(configuration, Logger(label: "test"))
        }
    }

    @Test func `sessions move out of a file that is served, and into another`() async throws {
        let folder = TemporaryFolder()
        let (first, copy, second) = (folder["first"], folder["copy"], folder["second"])
        let served = try SessionManager(storage: .file(path: first))
        for id in ["support", "sales"] { try await served.createSession(id) }
        try await served.updateSession("support", SessionUpdates(status: .connected, name: .set("Ana")))

        #expect(
            try await run("--file", first, "--export", copy)
                == "The sessions are in \(copy), which only its owner can read."
        )
        // Nobody is served, so it needs no token, whatever a container's variables say.
        #expect(
            try await run("--hostname", "0.0.0.0", "--file", second, "--import", copy)
                == "2 sessions of \(copy) are in \(second)."
        )
        let moved = try SessionManager(storage: .file(path: second))
        #expect(try await moved.getAllSessions() == served.getAllSessions())
    }

    @Test func `nothing is moved where something would be lost`() async throws {
        let folder = TemporaryFolder()
        let (file, other) = (folder["file"], folder["other"])
        for (path, id) in [(file, "support"), (other, "sales")] {
            let manager = try SessionManager(storage: .file(path: path))
            try await manager.createSession(id)
            try await manager.close()
        }
        // There are sessions already, and a file.
        await #expect(throws: DatabaseError.self) { try await run("--file", file, "--import", other) }
        await #expect(throws: DatabaseError.self) { try await run("--file", file, "--export", other) }
        // Another gateway serves it.
        let lock = try FileLock(folder["served"])
        let error = await #expect(throws: ConfigurationError.self) {
            try await run("--file", folder["served"], "--import", other)
        }
        #expect(error?.description == "Another gateway serves \(folder["served"]): stop it first.")
        // Nor is a file read while it is served.
        let empty = folder["empty"]
        try await SessionManager(storage: .file(path: folder["served"])).createSession("changing")
        let reading = await #expect(throws: ConfigurationError.self) {
            try await run("--file", empty, "--import", folder["served"])
        }
        #expect(reading?.description == "Another gateway serves \(folder["served"]): stop it first.")
        withExtendedLifetime(lock) {}
        for (arguments, sentence) in [
            (["--import", other], "Sessions in memory are gone with the process: add --file or --database."),
            (["--export", other], "Sessions in memory are gone with the process: add --file or --database."),
            (["--file", folder["none"], "--export", other], "There is no file \(folder["none"])."),
            (["--file", empty, "--import", folder["none"]], "There is no file \(folder["none"])."),
        ] {
            let error = await #expect(throws: ConfigurationError.self) {
                let configuration = try Gateway.parse(arguments).checked(environment: [:])
                return try await #require(configuration.transfer).run(configuration) {
                    try GatewayServer.open(configuration, Logger(label: "test"))
                }
            }
            #expect(error?.description == sentence)
        }
        #expect(throws: ConfigurationError.self) {
            try Gateway.parse(["--file", file, "--import", "a", "--export", "b"]).checked(environment: [:])
        }
        let kept = try SessionManager(storage: .file(path: file))
        #expect(try await kept.getAllSessions().map(\.id) == ["support"])
        for path in [folder["none"], empty] { #expect(!FileManager.default.fileExists(atPath: path)) }
    }
}
