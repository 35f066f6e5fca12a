import HTTPTypes
import Hummingbird
import WhatsAppSessions

/// Answers every error with problem details, sets the headers that every answer has, and has each request logged.
struct AnswerMiddleware: RouterMiddleware {
    /// Those of other pages that may see the answers.
    let origins: Set<String>

    func handle(
        _ request: Request,
        context: GatewayContext,
        next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        let log = RequestLog(request, context)
        var response: Response
        do {
            response = try await next(request, context)
        } catch {
            response = try answer(to: error, request, context, log)
        }
        // No answer has these, and to replace a header takes a search.
        response.headers.append(HTTPField(name: .xContentTypeOptions, value: "nosniff"))
        response.headers.append(HTTPField(name: .crossOriginResourcePolicy, value: "same-origin"))
        response.headers.append(HTTPField(name: .xRequestID, value: log.id))
        if !response.headers.contains(.cacheControl) {
            response.headers.append(HTTPField(name: .cacheControl, value: "no-store"))
        }
        if !origins.isEmpty { allow(request, &response) }
        log.write(response)
        return response
    }

    /// Lets a page of an origin that was named see the answer: https://fetch.spec.whatwg.org/#http-cors-protocol
    private func allow(_ request: Request, _ response: inout Response) {
        response.headers[.vary] = "Origin"
        guard let origin = request.headers[.origin], origins.contains(origin) else { return }
        response.headers[.accessControlAllowOrigin] = origin
        response.headers[.accessControlExposeHeaders] = "Location, Retry-After, X-Request-ID"
    }

    private func answer(
        to error: any Error,
        _ request: Request,
        _ context: GatewayContext,
        _ log: RequestLog
    ) throws -> Response {
        let problem = Problem(error)
        if problem.status.kind == .serverError { log.write(error) }
        var response = try problem.response(from: request, context: context)
        // What is left of the body may never come.
        if request.hasBody, !context.record.isBodyRead {
            response.headers[.connection] = "close"
            context.closeSoon()
        }
        return response
    }
}

extension HTTPField.Name {
    fileprivate static let crossOriginResourcePolicy = Self("Cross-Origin-Resource-Policy")!
}
