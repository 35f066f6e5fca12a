import HTTPTypes
import Hummingbird
import Logging
import Synchronization
import WhatsAppSessions

/// What becomes known about a request while it is answered.
final class RequestRecord: Sendable {
    private struct State {
        var access = Access.full
        var worker: String?
        var isBodyRead = false
    }

    private let state = Mutex(State())

    /// What its token allows.
    var access: Access {
        get { state.withLock { $0.access } }
        set { state.withLock { $0.access = newValue } }
    }

    /// The worker that it says it is from.
    var worker: String? {
        get { state.withLock { $0.worker } }
        set { state.withLock { $0.worker = newValue } }
    }

    /// Whether all of its body has come.
    var isBodyRead: Bool {
        get { state.withLock { $0.isBodyRead } }
        set { state.withLock { $0.isBodyRead = newValue } }
    }
}

/// A request as it is logged: in a line once it is answered, or when its stream begins.
struct RequestLog {
    /// Also a header: the client's, if it is plain.
    let id: String
    private let request: Request
    private let context: GatewayContext
    private let start = ContinuousClock.now

    init(_ request: Request, _ context: GatewayContext) {
        (self.request, self.context) = (request, context)
        id = request.headers[.xRequestID].flatMap { Self.isPlain($0) ? $0 : nil } ?? context.id
    }

    /// The request's logger, with the id that the client knows.
    private var logger: Logger {
        var logger = context.logger
        logger[metadataKey: "hb.request.id"] = nil
        logger[metadataKey: "request"] = "\(id)"
        return logger
    }

    /// Says why the gateway failed.
    func write(_ error: any Error) {
        logger.error(
            "a request failed",
            metadata: [
                "method": "\(request.method)", "route": "\(context.endpointPath ?? "none")", "error": .error(error),
            ]
        )
    }

    func write(_ response: Response) {
        guard context.logger.logLevel <= .info else { return }
        let worker = context.record.worker ?? request.uri.queryParameters["worker"].map(String.init)
        var metadata: Logger.Metadata = [
            "method": "\(request.method)",
            // Not the path itself, which has an account's id.
            "route": "\(context.endpointPath ?? "none")",
            "status": .stringConvertible(response.status.code),
            "ms": .stringConvertible(Self.milliseconds(start.duration(to: .now))),
        ]
        if let worker, let name = Worker(name: worker)?.name { metadata["worker"] = "\(name.inLog)" }
        logger.info("request", metadata: metadata)
    }

    /// In tenths.
    private static func milliseconds(_ duration: Duration) -> Double {
        (duration / .milliseconds(0.1)).rounded() / 10
    }

    /// Whether a client's id may be repeated in a header and in the log.
    private static func isPlain(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                let character = Character(Unicode.Scalar(byte))
                return character.isASCII && (character.isLetter || character.isNumber || "-_.:".contains(character))
            }
    }
}

/// Says that wrong tokens come, at most once in ten seconds.
final class WrongTokens: Sendable {
    private struct State {
        var last: ContinuousClock.Instant?
        var unsaid = 0
    }

    private let state = Mutex(State())

    func note(from address: String?, _ logger: Logger, at now: ContinuousClock.Instant = .now) {
        let count = state.withLock { state -> Int? in
            state.unsaid += 1
            if let last = state.last, last.duration(to: now) < .seconds(10) { return nil }
            defer { (state.last, state.unsaid) = (now, 0) }
            return state.unsaid
        }
        guard let count else { return }
        logger.notice(
            "a wrong token was sent",
            metadata: ["address": "\(address ?? "unknown")", "times": "\(count)"]
        )
    }
}

extension HTTPField.Name {
    static let xRequestID = Self("X-Request-ID")!
}
