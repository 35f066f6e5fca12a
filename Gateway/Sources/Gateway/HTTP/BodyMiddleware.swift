import HTTPTypes
import Hummingbird

/// Refuses a body that says it is too large, or that comes where none belongs, before any of it is read.
struct BodyMiddleware: RouterMiddleware {
    func handle(
        _ request: Request,
        context: GatewayContext,
        next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        let length = request.headers[.contentLength].flatMap { Int($0) } ?? 0
        guard length <= Request.maximumBodySize else { throw Problem.tooLarge(Request.maximumBodySize) }
        // Nobody would read it, and behind a stream it could not even be thrown away.
        if [.get, .head].contains(request.method), length > 0 || request.headers.contains(.transferEncoding) {
            throw Problem.badRequest("unexpected_body", "A \(request.method) request has no body: leave it out.")
        }
        return try await next(request, context)
    }
}
