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
        /// Whether the place was kept when it was last tried.
        fileprivate var isKept = true

        /// The age of that change in seconds; 0 when everything is delivered.
        var lag: Double { pendingSince.map { max(0, Date().timeIntervalSince($0)) } ?? 0 }
    }

    private static let timeout = TimeAmount.seconds(10)
    private static let longestPause = Duration.seconds(64)
    /// A failure that lasts is said again so often.
    private static let reminder = Duration.seconds(3600)

    let target: Configuration.Webhook
    private let manager: SessionManager
    private let secret: @Sendable () -> String?
    private let files: WebhookFiles
    private let logger: Logger
    private let mutableState = Mutex(State())

    /// - Parameter secret: What signs the messages now, if anything.
    init(
        manager: SessionManager,
        target: Configuration.Webhook,
        secret: @escaping @Sendable () -> String?,
        files: WebhookFiles,
        logger: Logger
    ) {
        self.manager = manager
        self.target = target
        self.secret = secret
        self.files = files
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
        await cancelWhenGracefulShutdown { await self.deliver(with: client) }
        try await client.shutdown()
    }

    /// Delivers changes until the task is cancelled.
    private func deliver(with client: HTTPClient) async {
        var pause = Pause(first: target.firstPause, longest: Self.longestPause)
        var cursor = files.cursor()
        while !Task.isCancelled {
            do {
                let start: ChangeCursor
                if let cursor {
                    start = cursor
                } else {
                    // The first time, and when changes were missed.
                    start = try await manager.snapshot().cursor
                    try await post(Webhook(resetAt: start), madeAt: Date(), with: client)
                    keep(start)
                    cursor = start
                }
                for try await change in manager.changes(after: start) {
                    let session = try await session(change.sessionID)
                    if let webhook = Webhook(change, session: session) {
                        try await post(webhook, madeAt: change.date, with: client)
                    }
                    keep(change.cursor)
                    cursor = change.cursor
                    pause.reset()
                }
            } catch let error as ChangeCursorExpiredError {
                if let damage = error.damage {
                    logger.error("a change cannot be read", metadata: ["error": "\(damage)"])
                }
                cursor = nil
            } catch is CancellationError {
                return
            } catch {
                logger.error(
                    "webhooks wait",
                    metadata: ["error": .error(error)]
                )
                try? await pause.next()
            }
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
        while let failure = await attempt(body, with: client) {
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
            "file": "\(files.refusedPath ?? "none: the sessions are in memory")",
        ]
        do {
            try files.setAside(body, status: status)
        } catch {
            say("a webhook that is refused cannot be set aside", metadata)
            return false
        }
        logger.error("a webhook that was refused for long was set aside", metadata: metadata)
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
    private func attempt(_ body: Data, with client: HTTPClient) async -> WebhookFailure? {
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

    /// Keeps the place. When that fails, some messages come again after a restart, and none is lost.
    private func keep(_ cursor: ChangeCursor) {
        do {
            try files.keep(cursor)
            mutableState.withLock { $0.isKept = true }
        } catch {
            let wasKept = mutableState.withLock { state in
                defer { state.isKept = false }
                return state.isKept
            }
            if wasKept {
                logger.error("the place of the webhooks cannot be kept", metadata: ["error": "\(type(of: error))"])
            }
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
