import ArgumentParser
import Foundation
import Logging
import NIOCore
import WhatsAppSessions

@main
enum Main {
    static func main() async {
        let arguments = Array(CommandLine.arguments.dropFirst())
        await Gateway.main(Environment.arguments(arguments, ProcessInfo.processInfo.environment))
    }
}

struct Gateway: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "whatsapp-gateway",
        abstract: "Serves WhatsApp sessions over HTTP, with a page that shows them live.",
        discussion: """
            Workers post events of Baileys or whatsmeow, followers read changes: the guide says how.

            Each option for a service can also be a variable of the environment: --webhook-pause is GATEWAY_WEBHOOK_PAUSE. SIGHUP reads the files \
            of secrets again.
            """,
        version: Version.current
    )

    @Option(
        help: ArgumentHelp("Keep the sessions in this file; without it they are in memory.", valueName: "path"),
        completion: .file()
    )
    var file: String?

    @Option(
        help: ArgumentHelp(
            "Keep the sessions in PostgreSQL, which several gateways may share; keep the password in a passfile.",
            valueName: "url"
        )
    )
    var database: String?

    @Option(help: "The address to serve on. Any but loopback needs a token.")
    var hostname = "127.0.0.1"

    @Option(help: "The port to serve on; 0 for any that is free.")
    var port = 3000

    @Option(
        help: ArgumentHelp(
            "A file (mode 0600) with the token that clients must send; the variable GATEWAY_TOKEN may hold it instead.",
            valueName: "path"
        ),
        completion: .file()
    )
    var tokenFile: String?

    @Option(
        help: ArgumentHelp(
            "A file with a second token, which only reads and sees no QR codes; or GATEWAY_READ_TOKEN.",
            valueName: "path"
        ),
        completion: .file()
    )
    var readTokenFile: String?

    @Option(
        help: ArgumentHelp(
            "Let pages of this origin use the gateway, such as https://admin.example; may be repeated.",
            valueName: "origin"
        )
    )
    var origin: [String] = []

    @Option(help: ArgumentHelp("Post changes to this URL; may be repeated.", valueName: "url"))
    var webhook: [String] = []

    @Option(
        help: ArgumentHelp(
            "A file (mode 0600) with the secret that signs webhooks: one for all, or one for each, in order.",
            valueName: "path"
        ),
        completion: .file()
    )
    var webhookSecretFile: [String] = []

    @Option(
        help: ArgumentHelp("Wait this long before a webhook is posted again; it doubles up to 64 s.", valueName: "ms")
    )
    var webhookPause = 500

    @Option(
        help: ArgumentHelp(
            "Set a message aside when the receiver has refused it (4xx) for this long.",
            valueName: "seconds"
        )
    )
    var webhookPatience = 3600

    @Option(
        help: ArgumentHelp(
            "With --database: keep messages that are set aside in files in this folder.",
            valueName: "path"
        ),
        completion: .directory
    )
    var refusedFolder: String?

    @Option(
        help: ArgumentHelp(
            "Disconnect a worker's sessions when nothing has been heard of it for this long.",
            valueName: "seconds"
        )
    )
    var lease = 30

    @Option(
        name: .customLong("import"),
        help: ArgumentHelp(
            "Bring the sessions of this file into the --file or --database, which must have none, and end.",
            valueName: "path"
        ),
        completion: .file()
    )
    var importedFile: String?

    @Option(
        name: .customLong("export"),
        help: ArgumentHelp(
            "Write the sessions to this new file, also while a gateway runs, and end.",
            valueName: "path"
        ),
        completion: .file()
    )
    var exportedFile: String?

    @Flag(help: "Play a worker with several accounts. No WhatsApp account is needed.")
    var demo = false

    @Option(help: ArgumentHelp("How many times real speed the demo plays at.", valueName: "factor"))
    var demoSpeed = 1.0

    @Option(
        help: ArgumentHelp(
            "How much is logged; info has a line for each request. LOG_LEVEL in the environment is the same.",
            valueName: "level"
        )
    )
    var logLevel = LogLevel.notice

    @Option(help: ArgumentHelp("How the log is written: text or json.", valueName: "format"))
    var logFormat = LogFormat.text

    func run() async throws {
        Logs.begin(logLevel.level, logFormat)
        OpenFiles.raiseLimit()
        let logger = Logger(label: "gateway")
        do {
            let configuration: Configuration
            do {
                configuration = try checked()
            } catch {
                say(Self.sentence(error, hostname: hostname, port: port), logFormat)
                // As for an option that there isn't: to try again would not help, which a supervisor can tell by it.
                throw ExitCode.validationFailure
            }
            if let transfer = configuration.transfer {
                let done = try await transfer.run(configuration) { try GatewayServer.open(configuration, logger) }
                return say(done, logFormat)
            }
            let server = try GatewayServer(configuration, logger: logger) { port in
                let host = hostname.contains(":") ? "[\(hostname)]" : hostname
                say("The gateway is running: http://\(host):\(port)", logFormat)
                if configuration.file == nil, configuration.database == nil {
                    say("Its sessions are in memory, and gone with it: --file or --database keeps them.", logFormat)
                }
            }
            try await server.run()
        } catch let code as ExitCode {
            throw code
        } catch {
            say(Self.sentence(error, hostname: hostname, port: port), logFormat)
            throw ExitCode.failure
        }
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
        case let error as DatabaseGone:
            "The gateway ends: \(error.reason)."
        default:
            "The gateway cannot run: \(error)"
        }
    }
}

/// Tells the operator something at once, whatever is logged.
private func say(_ text: String, _ format: LogFormat) {
    let line = format == .json ? JSONLogHandler.line(.notice, "\(text)", [:], at: Date()) : text
    try? FileHandle.standardError.write(contentsOf: Data("\(line)\n".utf8))
}
