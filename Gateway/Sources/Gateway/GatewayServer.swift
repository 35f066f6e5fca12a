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
    let changes: ChangeStream
    let application: Application<RouterResponder<GatewayContext>>
    private let services: [any Service]
    private let lock: FileLock?
    private let logger: Logger

    /// - Parameter onRunning: Called with the port once clients can connect.
    init(
        _ configuration: Configuration,
        logger: Logger,
        onRunning: @escaping @Sendable (Int) -> Void = { _ in }
    ) throws {
        self.logger = logger
        // First: a second gateway must not open the file, which could migrate it.
        lock = try configuration.file.map { try FileLock($0) }
        manager = try SessionManager(storage: configuration.file.map { .file(path: $0) } ?? .memory)
        if configuration.file != nil {
            do {
                // Before any worker speaks: what a gateway that was killed left behind is offline, apart from the sessions of
                // workers whose leases live.
                try manager.recoverSessions()
            } catch let error as DatabaseError where error.resultCode == .corrupt {
                // All others are recovered, and the gateway serves them.
                logger.error("some sessions cannot be read", metadata: ["error": "\(error)"])
            }
        }
        let leases = WorkerLeases(manager: manager, duration: configuration.lease)
        let turns = Turns()
        let events = WorkerEvents(manager: manager, leases: leases, turns: turns)
        let webhooks = configuration.webhook.map { [manager] webhook in
            WebhookSender(
                manager: manager,
                target: webhook,
                cursorFile: configuration.file.map { $0 + ".webhook-cursor" },
                logger: logger
            )
        }
        changes = ChangeStream(manager: manager, leases: leases, logger: logger)
        let routes = Routes(
            manager: manager,
            events: events,
            operators: Operators(manager: manager, turns: turns),
            changes: changes,
            metrics: Metrics(manager: manager, changes: changes, webhooks: webhooks),
            token: configuration.token
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
        let lost = LostSessionRecovery(manager: manager, leaseDuration: configuration.lease, logger: logger)
        let others: [(any Service)?] = [lost, webhooks, demo]
        services = others.compactMap(\.self)
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
