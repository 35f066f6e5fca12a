import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import WhatsAppSessions

/// Posts changes to a receiver: in order, one at a time, and each again until it is taken or, refused for long, set aside.
final class WebhookSender: Service {
    /// What was delivered so far.
    struct State {
        var delivered = 0
        var failed = 0
        var setAside = 0
        /// Whether the last attempt succeeded.
        var isAnswering = true
        /// When the change that is being delivered was made.
        fileprivate var pendingSince: Date?
        /// When it was last said that something is wrong.
        fileprivate var lastLine: ContinuousClock.Instant?

        /// The age of that change in seconds; 0 when everything is delivered.
        var lag: Double { pendingSince.map { max(0, Date().timeIntervalSince($0)) } ?? 0 }
    }

    private static let timeout = TimeAmount.seconds(10)
    /// With a second for the rest of an answer.
    private static let attemptTime = Duration.seconds(11)
    private static let longestPause = Duration.seconds(64)
    /// A failure that lasts is said again so often.
    private static let reminder = Duration.seconds(3600)
    /// How often a gateway looks whether it is its turn, and how long a place that needs no message may stay unkept.
    private static let interval = Duration.seconds(3)

    let target: Configuration.Webhook
    private let manager: SessionManager
    private let secret: @Sendable () -> String?
    private let files: WebhookFiles
    private let turn: WebhookTurn
    private let logger: Logger
    private let mutableState = Mutex(State())

    /// - Parameters:
    ///   - secret: What signs the messages now, if anything.
    ///   - ownsDatabase: Whether no other gateway has the database.
    init(
        manager: SessionManager,
        target: Configuration.Webhook,
        secret: @escaping @Sendable () -> String?,
        files: WebhookFiles,
        ownsDatabase: Bool,
        logger: Logger
    ) {
        self.manager = manager
        self.target = target
        self.secret = secret
        self.files = files
        turn = WebhookTurn(manager: manager, receiver: files.name, ownsDatabase: ownsDatabase)
        var logger = logger
        logger[metadataKey: "receiver"] = "\(target.receiver)"
        self.logger = logger
    }

    var state: State { mutableState.withLock { $0 } }

    func run() async throws {
        var configuration = HTTPClient.Configuration()
        // A redirection would take the body, and later the order, somewhere else.
        configuration.redirectConfiguration = .disallow
        // A refused connection is an answer. What comes next is decided here.
        configuration.connectionPool.retryConnectionEstablishment = false
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        await cancelWhenGracefulShutdown { await self.takeTurns(with: client) }
        try await client.shutdown()
    }

    /// Delivers changes whenever no other gateway does, until the task is cancelled.
    private func takeTurns(with client: HTTPClient) async {
        var pause = Pause(first: target.firstPause, longest: Self.longestPause)
        while !Task.isCancelled {
            do {
                if try await !turn.take({ try await self.deliver(with: client) }) {
                    // How that gateway fares is in its own metrics.
                    mutableState.withLock { ($0.pendingSince, $0.isAnswering) = (nil, true) }
                }
                pause.reset()
                try await Task.sleep(for: Self.interval)
            } catch is CancellationError {
                // The lease may have ended while the process was suspended: then it is tried again.
            } catch {
                logger.error("webhooks wait", metadata: ["error": .error(error)])
                try? await pause.next()
            }
        }
    }

    /// Delivers changes from where the last gateway stopped.
    private func deliver(with client: HTTPClient) async throws {
        var cursor = try await turn.cursor()
        if cursor == nil, let earlier = files.cursor() {
            try await turn.keep(earlier)
            cursor = earlier
        }
        files.forgetCursor()
        while true {
            do {
                // It ends with the task, or throws.
                try await deliver(after: &cursor, with: client)
                try Task.checkCancellation()
            } catch let error as ChangeCursorExpiredError {
                if let damage = error.damage {
                    logger.error("a change cannot be read", metadata: ["error": "\(damage)"])
                }
                cursor = nil
            }
        }
    }

    private func deliver(after cursor: inout ChangeCursor?, with client: HTTPClient) async throws {
        let start: ChangeCursor
        if let cursor {
            start = cursor
        } else {
            // The first time, and when changes were missed.
            start = try await manager.snapshot().cursor
            try await post(Webhook(resetAt: start), madeAt: Date(), with: client)
            cursor = start
            try await turn.keep(start)
        }
        var lastKept = ContinuousClock.now
        for try await change in manager.changes(after: start) {
            let session = try await session(change.sessionID)
            let webhook = Webhook(change, session: session)
            if let webhook { try await post(webhook, madeAt: change.date, with: client) }
            cursor = change.cursor
            // If it fails, some messages come again, and none is lost. Without a message it can wait.
            guard webhook != nil || lastKept.duration(to: .now) > Self.interval else { continue }
            try await turn.keep(change.cursor)
            lastKept = .now
        }
    }

    /// A damaged session costs its own name and number, and holds up no webhook.
    private func session(_ id: String) async throws -> Session? {
        do {
            return try await manager.getSession(id)
        } catch let error as DatabaseError where error.resultCode == .corrupt {
            logger.error("a session cannot be read", metadata: ["error": .error(error)])
            return nil
        }
    }

    // MARK: One message

    /// Posts until the receiver answers with a success, or has refused for so long that the message is set aside.
    private func post(_ webhook: Webhook, madeAt date: Date, with client: HTTPClient) async throws {
        mutableState.withLock { $0.pendingSince = date }
        let body = try JSONEncoder.gateway.encode(webhook)
        var pause = Pause(first: target.firstPause, longest: Self.longestPause)
        var firstRefusal: ContinuousClock.Instant?
        var failures = 0
        var hadClosed = false
        while let failure = try await attempt(body, with: client) {
            try Task.checkCancellation()
            // Many receivers close a connection after each answer, just when the next message is under way.
            if failure.isClosedConnection, !hadClosed {
                hadClosed = true
                continue
            }
            mutableState.withLock { state in
                state.failed += 1
                state.isAnswering = false
            }
            if let status = failure.refusal {
                let since = firstRefusal ?? .now
                firstRefusal = since
                if since.duration(to: .now) >= target.patience, setAside(webhook, body, status) { return }
            } else {
                firstRefusal = nil
            }
            failures += 1
            say(
                "a webhook is not taken, and is posted again until it is",
                [
                    "cause": "\(failure)", "session": .text(webhook.session ?? ""),
                    "lag": "\(Int(state.lag)) s",
                ]
            )
            try await pause.next()
        }
        // A receiver that fails now and then is told of once an hour, and one that was away when it is back.
        if failures >= 5 { logger.notice("webhooks are taken again") }
        mutableState.withLock { state in
            if failures >= 5 { state.lastLine = nil }
            state.delivered += 1
            state.isAnswering = true
            state.pendingSince = nil
        }
    }

    /// So that one session's message does not silence all others; `false` when it cannot be kept.
    private func setAside(_ webhook: Webhook, _ body: Data, _ status: UInt) -> Bool {
        let metadata: Logger.Metadata = [
            "status": .stringConvertible(status), "session": .text(webhook.session ?? ""),
            "file": "\(files.refusedPath ?? "none")",
        ]
        do {
            try files.setAside(body, status: status)
        } catch {
            say("a webhook that is refused cannot be set aside", metadata)
            return false
        }
        logger.error(
            files.refusedPath == nil
                ? "a webhook that was refused for long was dropped"
                : "a webhook that was refused for long was set aside",
            metadata: metadata
        )
        mutableState.withLock { state in
            state.setAside += 1
            state.pendingSince = nil
        }
        return true
    }

    /// Says what is wrong, at most once an hour however many messages it concerns.
    private func say(_ message: Logger.Message, _ metadata: Logger.Metadata) {
        let isNews = mutableState.withLock { state in
            if let last = state.lastLine, last.duration(to: .now) < Self.reminder { return false }
            state.lastLine = .now
            return true
        }
        if isNews { logger.warning(message, metadata: metadata) }
    }

    /// Posts once; `nil` when the receiver took it.
    private func attempt(_ body: Data, with client: HTTPClient) async throws -> WebhookFailure? {
        _ = try turn.lease(outliving: Self.attemptTime)
        var request = HTTPClientRequest(url: target.url)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        request.headers.add(name: "User-Agent", value: "whatsapp-gateway/\(Version.current)")
        if let authorization = target.authorization { request.headers.add(name: "Authorization", value: authorization) }
        if let secret = secret() {
            request.headers.add(name: "X-Webhook-Hmac", value: Webhook.signature(of: body, secret: secret))
            request.headers.add(name: "X-Webhook-Hmac-Algorithm", value: "sha512")
        }
        request.body = .bytes(ByteBuffer(data: body))
        do {
            let response = try await client.execute(request, timeout: Self.timeout)
            await finish(response)
            let status = response.status.code
            return (200..<300).contains(status) ? nil : .status(status)
        } catch {
            return .error(error)
        }
    }

    /// Reads a short answer, so that the connection can be used again, and leaves one that doesn't end.
    private func finish(_ response: HTTPClientResponse) async {
        await withTaskGroup { group in
            group.addTask { _ = try? await response.body.collect(upTo: 65_536) }
            group.addTask { try? await Task.sleep(for: .seconds(1)) }
            await group.next()
            group.cancelAll()
        }
    }

}

/// Pauses that double, and are spread a little so that gateways don't come back at the same moment.
private struct Pause {
    let first, longest: Duration
    private var current: Duration

    init(first: Duration, longest: Duration) {
        (self.first, self.longest) = (first, longest)
        current = first
    }

    mutating func reset() { current = first }

    mutating func next() async throws {
        try await Task.sleep(for: current * Double.random(in: 0.8...1.2))
        current = min(current * 2, longest)
    }
}
