import HTTPTypes
import Hummingbird
import Synchronization

/// Requires a token.
struct TokenMiddleware: RouterMiddleware {
    let secrets: Secrets
    let wrongTokens = WrongTokens()

    func handle(
        _ request: Request,
        context: GatewayContext,
        next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        let values = secrets.values
        let parts = request.headers[.authorization]?.split(separator: " ", maxSplits: 1) ?? []
        let sent = parts.count == 2 && parts[0].lowercased() == "bearer" ? parts[1] : nil
        if let sent, values.token?.matches(sent) == true {
            context.record.access = .full
        } else if let sent, values.readToken?.matches(sent) == true {
            context.record.access = .read
        } else {
            if sent != nil { wrongTokens.note(from: context.channel.remoteAddress?.ipAddress, context.logger) }
            throw Problem(
                status: .unauthorized,
                code: "unauthorized",
                detail: "Send the gateway's token: Authorization: Bearer, then the text of its token file.",
                headers: [.wwwAuthenticate: "Bearer"]
            )
        }
        return try await next(request, context)
    }
}

/// Answers the question that a browser asks before it sends what a page of another origin wants. No token comes with that.
struct OriginMiddleware: RouterMiddleware {
    let origins: Set<String>

    func handle(
        _ request: Request,
        context: GatewayContext,
        next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        guard request.method == .options, request.headers.contains(.accessControlRequestMethod),
            let origin = request.headers[.origin], origins.contains(origin)
        else { return try await next(request, context) }
        try request.requireNoBody()
        return Response(
            status: .noContent,
            headers: [
                .accessControlAllowMethods: "GET, HEAD, POST, PATCH, DELETE",
                .accessControlAllowHeaders: "Authorization, Content-Type, Last-Event-ID, X-Request-ID",
                .accessControlMaxAge: "600",
            ]
        )
    }
}

/// Without a token, keeps out web pages from elsewhere that a browser on this machine has open.
///
/// A page that gives its own name the address 127.0.0.1 is known by the Host header, another site's request by its
/// Origin, and another site's image or frame by Sec-Fetch-Site, which every browser sends.
struct LoopbackMiddleware: RouterMiddleware {
    /// Those that may be elsewhere.
    let origins: Set<String>
    /// The authority that was looked at last: nearly every request has the same.
    private let last = SharedText()

    init(origins: Set<String>) { self.origins = origins }

    private func isLoopback(_ authority: String) -> Bool {
        if last.text.withLock({ $0 == authority }) { return true }
        guard Loopback.contains(authority: authority) else { return false }
        last.text.withLock { $0 = authority }
        return true
    }

    private final class SharedText: Sendable {
        let text = Mutex("")
    }

    func handle(
        _ request: Request,
        context: GatewayContext,
        next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        guard let authority = request.head.authority, isLoopback(authority) else {
            throw Problem(
                status: .forbidden,
                code: "foreign_host",
                detail:
                    "Without a token the gateway answers to localhost only: start it with --token-file to use another name."
            )
        }
        let origin = request.headers[.origin]
        let site = request.headers[.secFetchSite]
        // A link to the page may be anywhere.
        let isForeignSite = request.uri.path != "/" && site != nil && site != "same-origin" && site != "none"
        let isNamed = origin.map(origins.contains) == true
        guard isNamed || (origin == nil || origin == "http://\(authority)") && !isForeignSite else {
            throw Problem(
                status: .forbidden,
                code: "foreign_origin",
                detail: "Without a token the gateway answers to its own page only, not to one of another origin."
            )
        }
        return try await next(request, context)
    }
}

/// The names and addresses of this machine that no other one reaches.
enum Loopback {
    static func contains(_ host: some StringProtocol) -> Bool {
        let host = host.lowercased()
        if host == "localhost" || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        // To a browser 127.0.0.+1 is a name, which anybody's DNS may have.
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { isNumber($0) && UInt8($0) != nil }
    }

    /// Whether an authority such as `localhost:3000` or `[::1]:3000` is such a host, and at most a port.
    static func contains(authority: String) -> Bool {
        var (host, rest) = (authority.prefix { $0 != ":" }, authority.drop { $0 != ":" })
        if authority.hasPrefix("[") {
            guard let end = authority.firstIndex(of: "]") else { return false }
            (host, rest) = (authority[..<end].dropFirst(), authority[end...].dropFirst())
        }
        let isPort = rest.isEmpty || (rest.first == ":" && isNumber(rest.dropFirst()))
        return isPort && contains(host)
    }

    private static func isNumber(_ text: some StringProtocol) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }
}

extension HTTPField.Name {
    fileprivate static let secFetchSite = Self("Sec-Fetch-Site")!
}
