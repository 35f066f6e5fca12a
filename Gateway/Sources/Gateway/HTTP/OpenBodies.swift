import Hummingbird
import NIOCore
import ServiceLifecycle
import Synchronization

/// The bodies that are being read. One that trickles, a byte now and then, would keep its connection for ever.
final class OpenBodies: Sendable {
    private struct Body {
        let begin: ContinuousClock.Instant
        let channel: any Channel
    }

    /// How long a client may take to send one.
    private let limit: Duration
    private let bodies = Mutex<[ObjectIdentifier: Body]>([:])

    init(limit: Duration) { self.limit = limit }

    /// Reads a body, unless it is too large or comes too slowly.
    func collect(_ request: Request, _ context: GatewayContext) async throws -> ByteBuffer {
        // Before any of it is read.
        guard request.contentLength <= Request.maximumBodySize else { throw Problem.tooLarge(Request.maximumBodySize) }
        let key = ObjectIdentifier(context.record)
        let body = Body(begin: .now, channel: context.channel)
        bodies.withLock { $0[key] = body }
        defer { bodies.withLock { $0[key] = nil } }
        let collected = try await request.body.collect(upTo: Request.maximumBodySize)
        context.record.isBodyRead = true
        return collected
    }

    /// Closes the connections of those that are late.
    fileprivate func closeLate() {
        let late = bodies.withLock { bodies in
            bodies.values.filter { $0.begin.duration(to: .now) > limit }
        }
        for body in late { body.channel.close(promise: nil) }
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
