import Hummingbird
import NIOCore
import ServiceLifecycle
import Synchronization

/// The bodies that are being read. One that trickles, a byte now and then, would keep its connection for ever.
final class OpenBodies: Sendable {
    private struct Body {
        let begin: ContinuousClock.Instant
        let channel: any Channel
        let record: RequestRecord
    }

    /// How long a client may take to send one.
    private let limit: Duration
    private let bodies = Mutex<[ObjectIdentifier: Body]>([:])

    init(limit: Duration) { self.limit = limit }

    fileprivate func insert(_ context: GatewayContext) {
        let body = Body(begin: .now, channel: context.channel, record: context.record)
        bodies.withLock { $0[ObjectIdentifier(context.record)] = body }
    }

    fileprivate func remove(_ context: GatewayContext) {
        _ = bodies.withLock { $0.removeValue(forKey: ObjectIdentifier(context.record)) }
    }

    /// Closes the connections of those that are late.
    fileprivate func closeLate() {
        let late = bodies.withLock { bodies in
            bodies.values.filter { !$0.record.isBodyRead && $0.begin.duration(to: .now) > limit }
        }
        for body in late { body.channel.close(promise: nil) }
    }
}

/// Refuses a body that says it is too large before any of it is read, and notes which bodies are being read.
struct BodyMiddleware: RouterMiddleware {
    let bodies: OpenBodies

    func handle(
        _ request: Request,
        context: GatewayContext,
        next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        guard request.hasBody else { return try await next(request, context) }
        if request.contentLength > Request.maximumBodySize { throw Problem.tooLarge(Request.maximumBodySize) }
        bodies.insert(context)
        defer { bodies.remove(context) }
        return try await next(request, context)
    }
}

/// Looks for late bodies. A timer for each request would cost more than reading most of them does.
struct LateBodies: Service {
    let bodies: OpenBodies
    let interval: Duration

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            while true {
                try await Task.sleep(for: interval)
                bodies.closeLate()
            }
        }
    }
}
