import HTTPTypes
import Hummingbird

/// Refuses a body that says it is too large before any of it is read.
struct BodySizeMiddleware: RouterMiddleware {
    func handle(
        _ request: Request,
        context: GatewayContext,
        next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        if request.contentLength > Request.maximumBodySize { throw Problem.tooLarge(Request.maximumBodySize) }
        return try await next(request, context)
    }
}
