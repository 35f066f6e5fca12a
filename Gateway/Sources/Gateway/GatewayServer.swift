import Foundation
import Hummingbird
import Logging
import NIOCore
import ServiceLifecycle
import WhatsAppSessions

/// The parts of a gateway, put together.
struct GatewayServer {
    /// Longer than a handler takes, and short enough to be gone before a supervisor kills the process.
    private static let shutdownTime = Duration.milliseconds(3500)

    let manager: SessionManager
    let secrets: Secrets
    let changes: ChangeStream
    let application: Application<RouterResponder<GatewayContext>>
    let services: [any Service]
    private let lock: FileLock?
    private let logger: Logger

    /// - Parameter onRunning: Called with the port once clients can connect.
    init(
        _ configuration: Configuration,
        logger: Logger,
        onRunning: @escaping @Sendable (Int) -> Void = { _ in }
    ) throws {
        self.logger = logger
        secrets = try Secrets(configuration.readSecrets)
        // First: a second gateway must not open the file, which could migrate it.
        lock = try configuration.file.map { try FileLock($0) }
        manager = try Self.open(configuration, logger)
        if configuration.file != nil {
            do {
                // Before any worker speaks: what a gateway that was killed left behind is offline, apart from the sessions of
                // workers whose leases live.
                try manager.recoverSessions()
            } catch let error as DatabaseError where error.resultCode == .corrupt {
                // All others are recovered, and the gateway serves them.
                logger.error("some sessions cannot be read", metadata: ["error": .error(error)])
            }
        }
        let leases = WorkerLeases(manager: manager, duration: configuration.lease)
        let turns = Turns()
        let events = WorkerEvents(manager: manager, leases: leases, turns: turns)
        let webhooks = configuration.webhooks.enumerated().map { [manager, secrets] place, webhook in
            WebhookSender(
                manager: manager,
                target: webhook,
                secret: { secrets.values.webhooks.dropFirst(place).first ?? nil },
                files: WebhookFiles(
                    beside: configuration.file ?? configuration.refusedFolder.map { $0 + "/sessions" },
                    url: webhook.url,
                    isFirst: place == 0
                ),
                ownsDatabase: configuration.database == nil,
                logger: logger
            )
        }
        let lost = LostSessionRecovery(manager: manager, leaseDuration: configuration.lease, logger: logger)
        let bodies = OpenBodies(limit: configuration.bodyTime)
        let board = SessionBoard(manager: manager)
        changes = ChangeStream(manager: manager, board: board, leases: leases, logger: logger)
        let routes = Routes(
            manager: manager,
            events: events,
            operators: Operators(manager: manager, turns: turns),
            changes: changes,
            board: board,
            leases: leases,
            metrics: Metrics(board: board, changes: changes, leases: leases, webhooks: webhooks),
            readiness: Readiness(manager: manager, recovery: lost, webhooks: webhooks),
            bodies: bodies,
            secrets: secrets,
            origins: configuration.origins
        )
        application = Application(
            router: routes.router(),
            // Ends half a request, and an idle connection; a stream of changes is neither.
            server: .http1(configuration: .init(idleTimeout: .seconds(75))),
            configuration: ApplicationConfiguration(
                address: .hostname(configuration.hostname, port: configuration.port)
            ),
            onServerRunning: { channel in onRunning(channel.localAddress?.port ?? configuration.port) },
            logger: logger
        )
        let demo = configuration.demoSpeed.map { [manager] in DemoWorker(manager: manager, events: events, speed: $0) }
        services =
            [lost, LateBodies(bodies: bodies, interval: configuration.bodyTime / 10)] as [any Service] + webhooks
            + [SecretReloads(secrets: secrets, logger: logger), OpenFiles(logger: logger)] + [demo].compactMap(\.self)
    }

    static func open(_ configuration: Configuration, _ logger: Logger) throws -> SessionManager {
        #if Postgres
        if let database = configuration.database {
            return try SessionManager(storage: database) { logger.warning("\($0)") }
        }
        #endif
        return try SessionManager(storage: configuration.file.map { .file(path: $0) } ?? .memory)
    }

    /// Serves until SIGTERM or SIGINT, and closes the database.
    func run() async throws {
        // They stop in reverse order: first the server, whose streams end by themselves.
        var group = ServiceGroupConfiguration(
            services: [ForcedEnd(logger: logger)] + services + [application],
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger
        )
        // A client that reads nothing would hold up the end.
        group.maximumGracefulShutdownDuration = Self.shutdownTime
        do {
            try await ServiceGroup(configuration: group).run()
        } catch {
            try? await manager.close()
            throw error
        }
        endSoon(logger)
        try await manager.close()
    }
}

/// Notices when the time for a graceful end is over, and everything is cancelled.
private struct ForcedEnd: Service {
    let logger: Logger

    func run() async throws {
        do {
            try await gracefulShutdown()
        } catch {
            endSoon(logger)
        }
    }
}

/// Ends the process if something ignores cancellation, such as a change that waits for another program's lock. What was answered is on disk.
private func endSoon(_ logger: Logger) {
    Task.detached {
        try? await Task.sleep(for: .milliseconds(500))
        logger.error("the gateway ends although something is still waiting, for the database perhaps")
        exit(EXIT_FAILURE)
    }
}
