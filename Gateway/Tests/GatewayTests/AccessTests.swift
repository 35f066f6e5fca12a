import Crypto
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Testing

@testable import Gateway

func sha256(_ text: String) -> String { Data(SHA256.hash(data: Data(text.utf8))).base64EncodedString() }

@Suite struct AccessTests {
    @Test func `with a token everything but the page and the health needs it`() async throws {
        try await withGateway(Configuration(token: Token("correct-horse"))) { gateway in
            #expect(try await gateway.get("/health").status == .ok)
            #expect(try await gateway.get("/").status == .ok)
            for path in ["/sessions", "/changes", "/metrics", "/sessions/support/qr"] {
                let refused = try await gateway.get(path)
                #expect(refused.status == .unauthorized)
                #expect(refused.headers[.wwwAuthenticate] == "Bearer")
            }
            for text in [
                "Bearer wrong", "Bearer correct-hors", "Bearer correct-horse2", "Basic correct-horse", "correct-horse",
            ] {
                #expect(try await gateway.get("/sessions", [.authorization: text]).status == .unauthorized, "\(text)")
            }
            for text in ["Bearer correct-horse", "bearer correct-horse"] {
                #expect(try await gateway.get("/sessions", [.authorization: text]).status == .ok, "\(text)")
            }
            #expect(try await gateway.get("/sessions?token=correct-horse").status == .unauthorized)
            // Behind a proxy it has any name.
            let headers: HTTPFields = [.authorization: "Bearer correct-horse", .init("Host")!: "gateway.example"]
            #expect(try await gateway.get("/sessions", headers).status == .ok)
        }
    }

    @Test func `without a token a foreign host or page is refused`() async throws {
        try await withGateway { gateway in
            for host in [
                "evil.example", "127.0.0.1.evil.example", "localhost.evil.example:3000", "192.168.1.5", "128.0.0.1",
                // Names to a browser, whatever they look like.
                "127.0.0.+1", "127.0.0.1.", "127.0.0", "[::1]evil.example", "[::1", "localhost:evil.example",
                "localhost:",
            ] {
                let refused = try await gateway.get("/sessions", [.init("Host")!: host])
                #expect(refused.status == .forbidden, "\(host)")
                #expect(try refused.problem.code == "foreign_host")
            }
            for host in ["localhost", "localhost:3000", "127.0.0.1:3000", "127.1.2.3", "[::1]:3000", "LOCALHOST"] {
                #expect(try await gateway.get("/sessions", [.init("Host")!: host]).status == .ok, "\(host)")
            }
            let own = "http://localhost:\(gateway.client.port!)"
            #expect(try await gateway.get("/sessions", [.origin: own]).status == .ok)
            for origin in ["http://evil.example", "null", "http://localhost:1", "https\(own.dropFirst(4))"] {
                let refused = try await gateway.get("/sessions", [.origin: origin])
                #expect(refused.status == .forbidden, "\(origin)")
                #expect(try refused.problem.code == "foreign_origin")
            }
        }
    }

    @Test func `without a token another site's images and frames are refused, and a link to the page is not`()
        async throws
    {
        try await withGateway { gateway in
            let site = { (value: String) -> HTTPFields in [.init("Sec-Fetch-Site")!: value] }
            for value in ["cross-site", "same-site"] {
                for path in ["/sessions", "/changes?worker=eu-1", "/sessions/support/qr.svg"] {
                    let refused = try await gateway.get(path, site(value))
                    #expect(try refused.problem.code == "foreign_origin", "\(value)")
                }
                let page = try await gateway.get("/", site(value))
                #expect(page.status == .ok)
            }
            for value in ["same-origin", "none"] {
                let own = try await gateway.get("/sessions", site(value))
                #expect(own.status == .ok, "\(value)")
                #expect(own.headers[.init("Cross-Origin-Resource-Policy")!] == "same-origin")
            }
        }
    }

    @Test func `a second gateway is kept away from a file that one serves, and its sessions stay live`() async throws {
        let folder = TemporaryFolder()
        let first = try GatewayServer(Configuration(file: folder.file), logger: .quiet)
        try await first.manager.createSession("support")
        #expect(throws: ConfigurationError.self) {
            try GatewayServer(Configuration(file: folder.file), logger: .quiet)
        }
        #expect(try await first.manager.getSession("support")?.status == .initializing)
    }

    @Test func `a secret comes from a file that only its owner can use`() throws {
        let folder = TemporaryFolder()
        #expect(try Configuration.secret(inFile: folder.write("correct-horse\n", to: "good")) == "correct-horse")
        for (text, mode) in [("secret", 0o644), ("secret", 0o620), ("", 0o600), ("two words", 0o600), ("é", 0o600)] {
            let path = try folder.write(text, to: "bad", mode: mode)
            #expect(throws: ConfigurationError.self, "\(text) \(mode)") { try Configuration.secret(inFile: path) }
        }
        #expect(throws: ConfigurationError.self) { try Configuration.secret(inFile: "\(folder.path)/none") }
    }

    @Test(arguments: [
        ["--hostname", "0.0.0.0"], ["--hostname", "gateway.example"], ["--port", "65536"], ["--lease", "0"],
        ["--webhook", "receiver.example"], ["--webhook", "ftp://receiver.example"], ["--webhook", "http://a:99999/"],
        ["--webhook", "http://a:99999999999999999999/"], ["--webhook", "http://a:0/"], ["--webhook", "http://./"],
        ["--webhook-secret-file", "x"],
        ["--token-file", "/nowhere"], ["--demo-speed", "0"], ["--webhook-pause", "0"],
    ])
    func `a start that would not be safe or cannot be is refused`(arguments: [String]) throws {
        let command = try Gateway.parse(arguments)
        #expect(throws: ConfigurationError.self) { try command.checked() }
    }

    @Test func `options become a configuration`() throws {
        let folder = TemporaryFolder()
        let secret = try folder.write("correct-horse", to: "secret")
        let command = try Gateway.parse([
            "--file", folder.file, "--hostname", "0.0.0.0", "--port", "8080", "--token-file", secret, "--lease", "5",
            "--webhook", "https://user:password@receiver.example/hook", "--webhook-secret-file", secret, "--demo",
        ])
        let configuration = try command.checked()
        #expect(configuration.file == folder.file)
        #expect(configuration.token?.matches("correct-horse") == true)
        #expect(configuration.webhook?.secret == "correct-horse")
        #expect(configuration.lease == .seconds(5))
        #expect(configuration.demoSpeed == 1)
    }
}
