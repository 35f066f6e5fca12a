import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import WhatsAppSessions

/// What the gateway answers at each path.
struct Routes: Sendable {
    let manager: SessionManager
    let events: WorkerEvents
    let changes: ChangeStream
    let metrics: Metrics
    let token: Token?

    private typealias Handler = @Sendable (Request, GatewayContext) async throws -> Response

    func router() -> Router<GatewayContext> {
        let router = Router(context: GatewayContext.self, options: .autoGenerateHeadEndpoints)
        router.add(middleware: ProblemMiddleware())
        router.add(middleware: BodySizeMiddleware())
        if token == nil { router.add(middleware: LoopbackMiddleware()) }
        // A middleware holds for the routes that are added after it, so these two need no token.
        add("/health", to: router, [.get: { _, _ in try .json(["status": "ok"]) }])
        add("/", to: router, [.get: { _, _ in Page.response }])
        if let token { router.add(middleware: TokenMiddleware(token: token)) }
        add("/sessions", to: router, [.get: list, .post: create])
        add("/sessions/{id}", to: router, [.get: get, .patch: update, .delete: delete])
        add("/sessions/{id}/qr", to: router, [.get: qrCode])
        add("/sessions/{id}/qr.svg", to: router, [.get: qrCodePicture])
        add("/sessions/{id}/events", to: router, [.post: receive])
        add("/changes", to: router, [.get: follow])
        add("/metrics", to: router, [.get: showMetrics])
        return router
    }

    /// Adds the handlers of a path, and for every other method the answer that says which there are.
    private func add(
        _ path: RouterPath,
        to router: Router<GatewayContext>,
        _ handlers: [HTTPRequest.Method: Handler]
    ) {
        for (method, handler) in handlers {
            router.on(path, method: method) { request, context -> Response in
                if [.get, .delete].contains(method) { try request.requireNoBody() }
                return try await handler(request, context)
            }
        }
        var allowed = handlers.keys.map(\.rawValue)
        if handlers[.get] != nil { allowed.append("HEAD") }
        let allow = allowed.sorted().joined(separator: ", ")
        for method in Self.methods where !allowed.contains(method) {
            router.on(path, method: HTTPRequest.Method(method)!) { _, _ -> Response in
                throw Problem(
                    status: .methodNotAllowed,
                    code: "method_not_allowed",
                    detail: "This path allows \(allow).",
                    headers: [.allow: allow]
                )
            }
        }
    }

    /// Every method that the HTTP parser knows: https://www.iana.org/assignments/http-methods
    private static let methods = """
        GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT QUERY ACL BIND CHECKOUT COPY LINK LOCK MERGE MKACTIVITY \
        MKCALENDAR MKCOL MOVE M-SEARCH NOTIFY PROPFIND PROPPATCH PURGE REBIND REPORT SEARCH SOURCE SUBSCRIBE UNBIND \
        UNLINK UNLOCK UNSUBSCRIBE
        """.split(separator: " ").map(String.init)

    // MARK: Sessions

    private struct List: Encodable {
        let sessions: [SessionJSON], cursor: ChangeCursor, damaged: [SessionDamage]
    }

    @Sendable private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let status = try request.uri.queryParameters["status"].map { text in
            guard let status = Session.Status(rawValue: String(text)) else {
                let names = Session.Status.allCases.map(\.rawValue).joined(separator: ", ")
                throw Problem.badRequest("unknown_status", "The status to list is one of \(names).")
            }
            return status
        }
        let snapshot = try await manager.snapshot()
        let sessions = snapshot.sessions.filter { status == nil || $0.status == status }
        return try .json(
            List(sessions: sessions.map { SessionJSON($0) }, cursor: snapshot.cursor, damaged: snapshot.damages)
        )
    }

    private struct Creation: Decodable { var id: String? }

    @Sendable private func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try await request.json(as: Creation.self).id
        // A URL with a path of dots means another path, and one that is very long is refused.
        guard id != ".", id != "..", id?.unicodeScalars.count ?? 0 <= 1000 else {
            throw Problem(
                status: .unprocessableContent,
                code: "id_not_addressable",
                detail:
                    "A URL cannot name this id: choose one of at most 1000 characters that is neither . nor .. alone."
            )
        }
        let session = try await manager.createSession(id)
        var response = try Response.session(session, status: .created)
        let path = session.id.addingPercentEncoding(withAllowedCharacters: .alphanumerics)
        response.headers[.location] = path.map { "/sessions/\($0)" }
        return response
    }

    @Sendable private func get(_ request: Request, _ context: GatewayContext) async throws -> Response {
        try .session(await session(context))
    }

    @Sendable private func update(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.sessionID()
        let types = ["application/merge-patch+json", "application/json"]
        let updates = try await request.json(as: SessionUpdates.self, contentTypes: types)
        return try .session(await manager.updateSession(id, updates))
    }

    @Sendable private func delete(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.sessionID()
        guard try await manager.deleteSession(id) else { throw Problem.sessionNotFound }
        await events.leases.forget(id)
        return Response(status: .noContent)
    }

    private func session(_ context: GatewayContext) async throws -> Session {
        guard let session = try await manager.getSession(context.sessionID()) else { throw Problem.sessionNotFound }
        return session
    }

    // MARK: QR codes

    private func waitingCode(_ context: GatewayContext) async throws -> String {
        guard let code = try await session(context).qrCode else {
            throw Problem(
                status: .conflict,
                code: "no_qr_code",
                detail:
                    "No QR code of this session waits to be scanned: follow /changes until its status is qr_waiting."
            )
        }
        return code
    }

    @Sendable private func qrCode(_ request: Request, _ context: GatewayContext) async throws -> Response {
        .text(try await waitingCode(context), "text/plain; charset=utf-8")
    }

    @Sendable private func qrCodePicture(_ request: Request, _ context: GatewayContext) async throws -> Response {
        guard let picture = QRCode.svg(try await waitingCode(context)) else {
            throw Problem(
                status: .conflict,
                code: "qr_code_not_drawable",
                detail:
                    "A QR code holds 1 to 2953 bytes, and this text doesn't fit: get it from the path ending in /qr."
            )
        }
        return .text(picture, "image/svg+xml")
    }

    // MARK: Workers and followers

    @Sendable private func receive(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.sessionID()
        let event = try await request.json(as: WorkerEvent.self)
        guard let session = try await events.receive(event, for: id) else { return Response(status: .noContent) }
        return try .session(session)
    }

    @Sendable private func follow(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let query = request.uri.queryParameters
        let worker = query["worker"].map { String($0) }
        guard worker.map(WorkerLeases.isName) ?? true else {
            throw Problem.badRequest("bad_worker_name", "A worker's name has 1 to 100 characters.")
        }
        let after = try query["after"].map { text in
            guard let cursor = ChangeCursor(String(text)) else {
                throw Problem.badRequest(
                    "bad_cursor",
                    "The value of after is not a cursor: leave it out to start over."
                )
            }
            return cursor
        }
        // EventSource sends the header when it comes back, and then the cursor in its URL is the older one.
        let last = request.headers[.lastEventID].flatMap { ChangeCursor($0) }
        return changes.response(to: request, after: last ?? after, worker: worker, context: context)
    }

    @Sendable private func showMetrics(_ request: Request, _ context: GatewayContext) async throws -> Response {
        .text(try await metrics.text(), "text/plain; version=0.0.4; charset=utf-8")
    }
}

extension GatewayContext {
    /// The id in the path, which Hummingbird leaves as the URL has it.
    func sessionID() throws -> String {
        guard let id = parameters.get("id")?.removingPercentEncoding else {
            throw Problem.badRequest("bad_id", "The id in the path is not UTF-8 with percent-encoding.")
        }
        return id
    }
}

extension Response {
    static func text(_ text: String, _ contentType: String) -> Response {
        Response(
            status: .ok,
            headers: [.contentType: contentType],
            body: ResponseBody(byteBuffer: ByteBuffer(string: text))
        )
    }
}
