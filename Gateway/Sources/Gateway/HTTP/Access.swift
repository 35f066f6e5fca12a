import Crypto
import Foundation
import HTTPTypes
import Hummingbird

/// The secret that a client sends as `Authorization: Bearer …`.
struct Token: Sendable {
    private let digest: SHA256Digest

    init(_ text: String) { digest = Self.digest(text) }

    /// Compares in constant time: two digests of the same length.
    func matches(_ text: some StringProtocol) -> Bool { Self.digest(text) == digest }

    private static func digest(_ text: some StringProtocol) -> SHA256Digest { SHA256.hash(data: Data(text.utf8)) }
}

/// Requires the token.
struct TokenMiddleware: RouterMiddleware {
    let token: Token

    func handle(
        _ request: Request,
        context: GatewayContext,
        next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        let parts = request.headers[.authorization]?.split(separator: " ", maxSplits: 1) ?? []
        guard parts.count == 2, parts[0].lowercased() == "bearer", token.matches(parts[1]) else {
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

/// Without a token, keeps out web pages from elsewhere that a browser on this machine has open.
///
/// A page that gives its own name the address 127.0.0.1 is known by the Host header, another site's request by its
/// Origin, and another site's image or frame by Sec-Fetch-Site, which every browser sends.
struct LoopbackMiddleware: RouterMiddleware {
    func handle(
        _ request: Request,
        context: GatewayContext,
        next: (Request, GatewayContext) async throws -> Response
    ) async throws -> Response {
        guard let authority = request.head.authority, Loopback.contains(authority: authority) else {
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
        guard origin == nil || origin == "http://\(authority)", !isForeignSite else {
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
