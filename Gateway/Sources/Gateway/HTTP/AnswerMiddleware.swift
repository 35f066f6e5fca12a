import HTTPTypes
import Hummingbird
import WhatsAppSessions

/// Answers every error with problem details, sets the headers that every answer has, and has each request logged.
struct AnswerMiddleware: RouterMiddleware {
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
            response = try answer(to: error, request, context)
        }
        // No answer has these, and to replace a header takes a search.
        response.headers.append(HTTPField(name: .xContentTypeOptions, value: "nosniff"))
        response.headers.append(HTTPField(name: .crossOriginResourcePolicy, value: "same-origin"))
        response.headers.append(HTTPField(name: .xRequestID, value: log.id))
        if !response.headers.contains(.cacheControl) {
            response.headers.append(HTTPField(name: .cacheControl, value: "no-store"))
        }
        log.write(response)
        return response
    }

    private func answer(to error: any Error, _ request: Request, _ context: GatewayContext) throws -> Response {
        let problem = Problem(error)
        if problem.status.kind == .serverError {
            // An error of the library holds no value that was bound; of any other only the type is safe to log.
            let reason = error is DatabaseError ? "\(error)" : "\(type(of: error))"
            context.logger.error(
                "a request failed",
                metadata: [
                    "method": "\(request.method)", "route": "\(context.endpointPath ?? "none")", "error": "\(reason)",
                ]
            )
        }
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
