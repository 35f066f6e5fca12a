import ArgumentParser
import Foundation
import Logging
import NIOCore
import WhatsAppSessions

@main
struct Gateway: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "Gateway",
        abstract: "Serves WhatsApp sessions over HTTP, with a page that shows them live.",
        discussion: "Workers post events of Baileys or whatsmeow, followers read changes; Gateway/README.md says how."
    )

    @Option(help: ArgumentHelp("Keep the sessions in this file; without it they are in memory.", valueName: "path"))
    var file: String?

    @Option(help: "The address to serve on. Any but loopback needs a token file.")
    var hostname = "127.0.0.1"

    @Option(help: "The port to serve on; 0 for any that is free.")
    var port = 3000

    @Option(
        help: ArgumentHelp(
            "A file (mode 0600) with the token that clients must send; GATEWAY_TOKEN in the environment does the same.",
            valueName: "path"
        )
    )
    var tokenFile: String?

    @Option(help: ArgumentHelp("Post changes to this URL.", valueName: "url"))
    var webhook: String?

    @Option(help: ArgumentHelp("A file (mode 0600) with the secret that signs webhooks.", valueName: "path"))
    var webhookSecretFile: String?

    @Option(
        help: ArgumentHelp("Wait this long before a webhook is posted again; it doubles up to 64 s.", valueName: "ms")
    )
    var webhookPause = 500

    @Option(
        help: ArgumentHelp(
            "Disconnect a worker's sessions when nothing has been heard of it for this long.",
            valueName: "seconds"
        )
    )
    var lease = 30

    @Flag(help: "Play a worker with several accounts. No WhatsApp account is needed.")
    var demo = false

    @Option(help: ArgumentHelp("How many times real speed the demo plays at.", valueName: "factor"))
    var demoSpeed = 1.0

    func run() async throws {
        let level = ProcessInfo.processInfo.environment["LOG_LEVEL"].flatMap { Logger.Level(rawValue: $0) } ?? .notice
        // Standard output to a pipe is buffered, so a container's log would show nothing.
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
        let logger = Logger(label: "gateway")
        do {
            let server = try GatewayServer(checked(), logger: logger) { port in
                say("The gateway is running: http://\(hostname.contains(":") ? "[\(hostname)]" : hostname):\(port)")
            }
            try await server.run()
        } catch {
            say(Self.sentence(error, hostname: hostname, port: port))
            throw ExitCode.failure
        }
    }

    /// The options, checked.
    ///
    /// - Throws: ``ConfigurationError`` with a sentence for the first that cannot be.
    func checked(environment: [String: String] = ProcessInfo.processInfo.environment) throws -> Configuration {
        var configuration = Configuration(file: file, hostname: hostname, port: port)
        configuration.token = try token(in: environment)
        guard configuration.token != nil || Loopback.contains(hostname) else {
            throw ConfigurationError(
                "Without a token anyone who reaches \(hostname) could link the accounts: add --token-file, or use 127.0.0.1."
            )
        }
        guard file != ":memory:" else {
            throw ConfigurationError("Leave out --file to keep the sessions in memory.")
        }
        guard (0...65_535).contains(port) else { throw ConfigurationError("A port is a number from 0 to 65535.") }
        guard (1...86_400).contains(lease) else { throw ConfigurationError("A lease is 1 to 86400 seconds.") }
        guard (0.1...1000).contains(demoSpeed) else { throw ConfigurationError("The demo's speed is 0.1 to 1000.") }
        guard (1...64_000).contains(webhookPause) else {
            throw ConfigurationError("A pause is 1 to 64000 milliseconds.")
        }
        configuration.lease = .seconds(lease)
        if demo { configuration.demoSpeed = demoSpeed }
        if let webhook {
            guard Self.isURL(webhook) else {
                throw ConfigurationError("The webhook is not a URL that begins with http:// or https://.")
            }
            configuration.webhook = Configuration.Webhook(
                url: webhook,
                secret: try webhookSecretFile.map { try Configuration.secret(inFile: $0) },
                firstPause: .milliseconds(webhookPause)
            )
        } else if webhookSecretFile != nil {
            throw ConfigurationError("A secret for webhooks needs a --webhook to sign.")
        }
        return configuration
    }

    private func token(in environment: [String: String]) throws -> Token? {
        let variable = "GATEWAY_TOKEN"
        switch (tokenFile, environment[variable]) {
        case (nil, nil): return nil
        case (let file?, nil): return try Configuration.token(Configuration.secret(inFile: file), from: file)
        case (nil, let text?):
            return try Configuration.token(Configuration.secret(text, from: variable), from: variable)
        case (_?, _?): throw ConfigurationError("There are two tokens: leave out --token-file, or \(variable).")
        }
    }

    /// Whether a text is a URL that can be posted to.
    private static func isURL(_ text: String) -> Bool {
        guard let url = URLComponents(string: text), ["http", "https"].contains(url.scheme?.lowercased()) else {
            return false
        }
        let hasHost = url.host?.contains { $0.isLetter || $0.isNumber } ?? false
        // A port that is no number of 16 bits would end the process when it is used.
        return hasHost && (url.rangeOfPort == nil || (1...65_535).contains(url.port ?? 0))
    }

    private static func sentence(_ error: any Error, hostname: String, port: Int) -> String {
        switch error {
        case let error as IOError where error.errnoCode == EADDRINUSE:
            "Port \(port) is taken: stop the other program, or choose another with --port."
        case let error as IOError where error.errnoCode == EACCES:
            "Port \(port) needs root: choose one above 1023 with --port, and put nginx in front."
        case let error as IOError where error.errnoCode == EADDRNOTAVAIL:
            "This machine doesn't have the address \(hostname): choose another with --hostname."
        case let error as SocketAddressError.UnknownHost:
            "There is no address for the name \(error.host): choose another with --hostname."
        default:
            "The gateway cannot run: \(error)"
        }
    }
}

/// Tells the operator something, at once.
private func say(_ text: String) {
    FileHandle.standardError.write(Data("\(text)\n".utf8))
}
