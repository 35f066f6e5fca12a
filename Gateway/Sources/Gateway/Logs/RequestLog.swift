import HTTPTypes
import Hummingbird
import Logging
import WhatsAppSessions

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
        if let worker, let name = Worker(name: worker)?.name { metadata["worker"] = .text(name) }
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

extension HTTPField.Name {
    static let xRequestID = Self("X-Request-ID")!
}
