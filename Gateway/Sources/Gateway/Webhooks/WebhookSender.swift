import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import NIOHTTP1
import ServiceLifecycle
import Synchronization
import WhatsAppSessions

/// Posts changes to a receiver: in order, one at a time, and each again until it is taken.
final class WebhookSender: Service {
    /// What was delivered so far.
    struct State {
        var delivered = 0
        var failed = 0
        /// When the change that is being delivered was made.
        fileprivate var pendingSince: Date?
        /// Whether the place was kept when it was last tried.
        fileprivate var isKept = true

        /// The age of that change in seconds; 0 when everything is delivered.
        var lag: Double { pendingSince.map { max(0, Date().timeIntervalSince($0)) } ?? 0 }
    }

    private static let timeout = TimeAmount.seconds(10)
    private static let longestPause = Duration.seconds(64)

    private let manager: SessionManager
    private let target: Configuration.Webhook
    private let file: CursorFile
    private let logger: Logger
    private let mutableState = Mutex(State())

    init(manager: SessionManager, target: Configuration.Webhook, cursorFile: String?, logger: Logger) {
        self.manager = manager
        self.target = target
        file = CursorFile(path: cursorFile)
        self.logger = logger
    }

    var state: State { mutableState.withLock { $0 } }

    func run() async throws {
        var configuration = HTTPClient.Configuration()
        // A redirection would take the body, and later the order, somewhere else.
        configuration.redirectConfiguration = .disallow
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        await cancelWhenGracefulShutdown { await self.deliver(with: client) }
        try await client.shutdown()
    }

    /// Delivers changes until the task is cancelled.
    private func deliver(with client: HTTPClient) async {
        var pause = Pause(first: target.firstPause, longest: Self.longestPause)
        var cursor = file.read()
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
                    metadata: ["error": "\(error is DatabaseError ? "\(error)" : "\(type(of: error))")"]
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
            logger.error("a session cannot be read", metadata: ["error": "\(error)"])
            return nil
        }
    }

    /// Posts until the receiver answers with a success.
    private func post(_ webhook: Webhook, madeAt date: Date, with client: HTTPClient) async throws {
        mutableState.withLock { $0.pendingSince = date }
        let body = try JSONEncoder.gateway.encode(webhook)
        var request = HTTPClientRequest(url: target.url)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        if let secret = target.secret {
            request.headers.add(name: "X-Webhook-Hmac", value: Webhook.signature(of: body, secret: secret))
            request.headers.add(name: "X-Webhook-Hmac-Algorithm", value: "sha512")
        }
        request.body = .bytes(ByteBuffer(data: body))
        var pause = Pause(first: target.firstPause, longest: Self.longestPause)
        var failures = 0
        while !(await isTaken(request, by: client)) {
            try Task.checkCancellation()
            mutableState.withLock { $0.failed += 1 }
            failures += 1
            if failures == 5 { logger.warning("a webhook has failed 5 times, and is tried again until it is taken") }
            try await pause.next()
        }
        if failures >= 5 { logger.notice("webhooks are taken again") }
        mutableState.withLock { state in
            state.delivered += 1
            state.pendingSince = nil
        }
    }

    private func isTaken(_ request: HTTPClientRequest, by client: HTTPClient) async -> Bool {
        do {
            let response = try await client.execute(request, timeout: Self.timeout)
            await finish(response)
            if (200..<300).contains(response.status.code) { return true }
            logger.debug("a webhook was refused", metadata: ["status": "\(response.status.code)"])
        } catch {
            // The error may hold the URL, and that a password.
            logger.debug("a webhook was not delivered", metadata: ["error": "\(type(of: error))"])
        }
        return false
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
            try file.write(cursor)
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
