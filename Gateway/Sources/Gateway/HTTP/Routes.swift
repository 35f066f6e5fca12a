import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import WhatsAppSessions

/// What the gateway answers at each path.
struct Routes: Sendable {
    let manager: SessionManager
    let events: WorkerEvents
    let operators: Operators
    let changes: ChangeStream
    let board: SessionBoard
    let leases: WorkerLeases
    let metrics: Metrics
    let readiness: Readiness
    let bodies: OpenBodies
    let secrets: Secrets
    let origins: Set<String>

    private typealias Handler = @Sendable (Request, GatewayContext) async throws -> Response

    func router() -> Router<GatewayContext> {
        let router = Router(context: GatewayContext.self, options: .autoGenerateHeadEndpoints)
        let hasToken = secrets.values.token != nil
        // Few, since each is one more call of an async function for every request.
        router.add(middleware: AnswerMiddleware(origins: origins))
        if !origins.isEmpty { router.add(middleware: OriginMiddleware(origins: origins)) }
        if !hasToken { router.add(middleware: LoopbackMiddleware(origins: origins)) }
        // A middleware holds for the routes that are added after it, so these three need no token.
        add("/health", to: router, [.get: { _, _ in try .json(["status": "ok"]) }])
        add("/ready", to: router, [.get: { _, _ in await readiness.response() }])
        add("/", to: router, [.get: { _, _ in Page.response }])
        if hasToken { router.add(middleware: TokenMiddleware(secrets: secrets)) }
        add("/sessions", to: router, isReadable: true, [.get: list, .post: create])
        add("/sessions/{id}", to: router, isReadable: true, [.get: get, .patch: update, .delete: delete])
        add("/sessions/{id}/changes", to: router, isReadable: true, [.get: history])
        add("/sessions/{id}/qr", to: router, [.get: qrCode])
        add("/sessions/{id}/qr.svg", to: router, [.get: qrCodePicture])
        add("/sessions/{id}/events", to: router, [.post: receive])
        add("/sessions/{id}/claim", to: router, [.post: claim, .delete: release])
        for command in Command.allCases {
            add("/sessions/{id}/\(command.rawValue)", to: router, [.post: { try await order(command, $0, $1) }])
        }
        for method in Self.methods {
            router.on("/sessions/{id}/**", method: HTTPRequest.Method(method)!) { _, _ -> Response in
                throw Problem.splitID
            }
        }
        add("/changes", to: router, isReadable: true, [.get: follow])
        add("/workers", to: router, isReadable: true, [.get: listWorkers])
        add("/metrics", to: router, isReadable: true, [.get: showMetrics])
        return router
    }

    /// What follows a session's id in a path.
    static let parts = ["changes", "qr", "qr.svg", "events", "claim"] + Command.allCases.map(\.rawValue)

    /// Adds the handlers of a path, and for every other method the answer that says which there are.
    ///
    /// - Parameter isReadable: Whether a token that only reads is enough for a GET.
    private func add(
        _ path: RouterPath,
        to router: Router<GatewayContext>,
        isReadable: Bool = false,
        _ handlers: [HTTPRequest.Method: Handler]
    ) {
        for (method, handler) in handlers {
            router.on(path, method: method) { request, context -> Response in
                if context.record.access == .read, !isReadable || method != .get { throw Problem.readOnly }
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

    @Sendable private func list(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let status = try request.uri.queryParameters["status"].map { text in
            guard let status = Session.Status(rawValue: String(text)) else {
                let names = Session.Status.allCases.map(\.rawValue).joined(separator: ", ")
                throw Problem.badRequest("unknown_status", "The status to list is one of \(names).")
            }
            return status
        }
        let place = try request.uri.queryParameters["after"].map { text in
            guard let place = Int64(digits: text) else {
                throw Problem.badRequest("bad_place", "The value of after is the next of the page before.")
            }
            return place
        }
        if let limit = try request.limit(upTo: 10_000) ?? place.map({ _ in 1000 }) {
            let page = try await manager.getSessions(status: status, after: place ?? 0, limit: limit)
            return try .page(page)
        }
        return try .list(await board.snapshot(), status, context)
    }

    private struct Creation: Decodable { var id: String? }

    @Sendable private func create(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try await request.json(as: Creation.self, context, bodies).id
        guard id == nil || id == "" || id!.isAddressable else {
            throw Problem(
                status: .unprocessableContent,
                code: "id_not_addressable",
                detail:
                    "A URL cannot name this id. It has at most 1000 characters, no empty segment between slashes, no segment . or .., and no later segment that is also a route, such as events."
            )
        }
        let session = try await manager.createSession(id)
        var response = Response.session(session, status: .created)
        let path = session.id.addingPercentEncoding(withAllowedCharacters: .alphanumerics)
        // Relative, so that it is right under a proxy's path too.
        response.headers[.location] = path.map { "sessions/\($0)" }
        return response
    }

    @Sendable private func get(_ request: Request, _ context: GatewayContext) async throws -> Response {
        .session(try await session(context), withQRCode: context.record.access == .full)
    }

    private struct History: Encodable { let changes: [SessionChange] }

    /// The last changes of a session, the newest first, also of one that was deleted.
    @Sendable private func history(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let limit = try request.limit(upTo: 1000) ?? 100
        return try .json(History(changes: await manager.getChanges(of: context.sessionID(), limit: limit)))
    }

    private struct WorkerList: Encodable { let workers: [WorkerJSON] }

    @Sendable private func listWorkers(_ request: Request, _ context: GatewayContext) async throws -> Response {
        try .json(WorkerList(workers: await leases.workers()))
    }

    @Sendable private func update(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.sessionID()
        let types = ["application/merge-patch+json", "application/json"]
        let updates = try await request.json(as: SessionUpdates.self, context, bodies, contentTypes: types)
        return .session(try await manager.updateSession(id, updates.checked()))
    }

    @Sendable private func delete(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.sessionID()
        guard try await manager.deleteSession(id) else { throw Problem.sessionNotFound }
        return Response(status: .noContent)
    }

    private func session(_ context: GatewayContext) async throws -> Session {
        guard let session = try await manager.getSession(context.sessionID()) else { throw Problem.sessionNotFound }
        return session
    }

    @Sendable private func order(
        _ command: Command,
        _ request: Request,
        _ context: GatewayContext
    ) async throws -> Response {
        // Many clients send `{}`.
        if request.hasBody { _ = try await bodies.collect(request, context) }
        return .session(try await operators.order(command, for: context.sessionID()))
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
        let code = try await waitingCode(context)
        guard !PairingCode.isOne(code), let picture = QRCode.svg(code) else {
            throw Problem(
                status: .conflict,
                code: "qr_code_not_drawable",
                detail:
                    "This is a code to be typed, or not 1 to 2953 bytes that fit a picture: get it from the path ending in /qr."
            )
        }
        return .text(picture, "image/svg+xml")
    }

    // MARK: Workers and followers

    @Sendable private func receive(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.sessionID()
        let event = try await request.json(as: WorkerEvent.self, context, bodies)
        context.record.worker = event.worker?.name
        do {
            guard let session = try await events.receive(event, for: id) else { return Response(status: .noContent) }
            return .session(session)
        } catch let error as SessionTakenError {
            throw Problem.notTheHolder(error.holder)
        }
    }

    @Sendable private func claim(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.sessionID()
        let worker = try await request.json(as: Worker.self, context, bodies)
        context.record.worker = worker.name
        return .session(try await events.claim(id, by: worker))
    }

    @Sendable private func release(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let id = try context.sessionID()
        guard let worker = try request.worker() else {
            throw Problem.badRequest("bad_worker_name", "Say in ?worker= which worker gives the session back.")
        }
        try await events.release(id, by: worker)
        return Response(status: .noContent)
    }

    @Sendable private func follow(_ request: Request, _ context: GatewayContext) async throws -> Response {
        let query = request.uri.queryParameters
        let worker = try request.worker()
        if worker != nil, context.record.access == .read { throw Problem.readOnly }
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
        // Prometheus waits for ten seconds, a call for a database that is away for a minute.
        guard let text = try await within(.seconds(5), { try await metrics.text() }) else { throw Problem.databaseAway }
        return .text(text, "text/plain; version=0.0.4; charset=utf-8")
    }
}

extension SessionUpdates {
    /// The same, with texts cut as those of an event, and an empty number, name or restriction cleared.
    ///
    /// - Throws: ``Problem`` for a number that is none.
    fileprivate func checked() throws -> SessionUpdates {
        guard wish == .unchanged else {
            throw Problem.badRequest(
                "invalid_body",
                "A wish is made by POST /sessions/{id}/stop, start, pair or logout, which look at the session first."
            )
        }
        var updates = self
        // A person who opens it by hand has started it.
        if let status, status != .disconnected { updates.wish = .clear }
        if case .set(let text) = phoneNumber {
            guard text.isEmpty || PhoneNumber(digits: text) != nil else {
                throw Problem.badRequest(
                    "invalid_phone_number",
                    "A phone number is at most 15 digits with the country code, without + and spaces."
                )
            }
            if text.isEmpty { updates.phoneNumber = .clear }
        }
        if name == .set("") { updates.name = .clear }
        if case .set(let text) = restriction {
            updates.restriction = text.isEmpty ? .clear : .set(DisconnectReason.cut(text))
        }
        if case .set(let reason) = disconnectReason {
            updates.disconnectReason = .set(DisconnectReason(code: reason.code, workersText: reason.text))
        }
        return updates
    }
}

extension Request {
    /// The query's `limit`; `nil` when it has none.
    fileprivate func limit(upTo most: Int) throws -> Int? {
        try uri.queryParameters["limit"].map { text in
            guard let limit = Int64(digits: text), (1...Int64(most)).contains(limit) else {
                throw Problem.badRequest("bad_limit", "A limit is a number from 1 to \(most).")
            }
            return Int(limit)
        }
    }

    /// The worker that the query names; `nil` when it names none.
    fileprivate func worker() throws -> Worker? {
        let (name, lease) = (uri.queryParameters["worker"], uri.queryParameters["lease"])
        guard name != nil || lease != nil else { return nil }
        let number = lease.flatMap { Int64($0) }
        guard lease == nil || number != nil else {
            throw Problem.badRequest("bad_lease", "A lease is the number that came with the event lease.")
        }
        guard let worker = Worker(name: String(name ?? ""), lease: number) else {
            throw Problem.badRequest(
                "bad_worker_name",
                "A worker's name has 1 to 100 characters, and doesn't begin with gateway/."
            )
        }
        return worker
    }
}

extension GatewayContext {
    /// The id in the path, which Hummingbird leaves as the URL has it.
    func sessionID() throws -> String {
        guard let id = parameters.get("id").flatMap(String.init(percentEncoded:)) else {
            throw Problem.badRequest("bad_id", "The id in the path is not UTF-8 with percent-encoding.")
        }
        return id
    }
}

extension String {
    /// Decodes a part of a URL's path, byte for byte. Foundation leaves out a byte order mark at the front, which made two ids one.
    init?(percentEncoded text: String) {
        guard text.utf8.contains(UInt8(ascii: "%")) else {
            self = text
            return
        }
        var bytes: [UInt8] = []
        var rest = Substring(text).utf8
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2)
            guard digits.count == 2, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
                let decoded = UInt8(Substring(digits), radix: 16)
            else { return nil }
            bytes.append(decoded)
            rest.removeFirst(2)
        }
        self.init(validating: bytes, as: UTF8.self)
    }

    /// Whether a URL can name this id whatever a proxy on the way does to its path: many decode it, drop empty parts, and take parts
    /// of dots for steps. What is read as a part of the path that follows an id would be another request.
    fileprivate var isAddressable: Bool {
        // Scalar by scalar: a slash with a mark on it is another character to Swift.
        let parts = unicodeScalars.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        return unicodeScalars.count <= 1000 && !parts.contains { ["", ".", ".."].contains($0) }
            && !parts.dropFirst().contains { Routes.parts.contains($0) }
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

extension Int64 {
    /// A number without a sign.
    fileprivate init?(digits text: Substring) {
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        self.init(text)
    }
}
