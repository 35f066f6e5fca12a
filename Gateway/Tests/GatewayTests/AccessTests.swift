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
        try await withGateway(Configuration(token: Token("correct-horse-battery"))) { gateway in
            #expect(try await gateway.get("/health").status == .ok)
            #expect(try await gateway.get("/").status == .ok)
            for path in ["/sessions", "/changes", "/metrics", "/sessions/support/qr"] {
                let refused = try await gateway.get(path)
                #expect(refused.status == .unauthorized)
                #expect(refused.headers[.wwwAuthenticate] == "Bearer")
            }
            for text in [
                "Bearer wrong", "Bearer correct-horse-batter", "Bearer correct-horse-battery2",
                "Basic correct-horse-battery", "correct-horse-battery",
            ] {
                #expect(try await gateway.get("/sessions", [.authorization: text]).status == .unauthorized, "\(text)")
            }
            for text in ["Bearer correct-horse-battery", "bearer correct-horse-battery"] {
                #expect(try await gateway.get("/sessions", [.authorization: text]).status == .ok, "\(text)")
            }
            #expect(try await gateway.get("/sessions?token=correct-horse-battery").status == .unauthorized)
            // Behind a proxy it has any name.
            let headers: HTTPFields = [
                .authorization: "Bearer correct-horse-battery", .init("Host")!: "gateway.example",
            ]
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
        #expect(
            try Configuration.secret(inFile: folder.write("correct-horse-battery\n", to: "good"))
                == "correct-horse-battery"
        )
        for (text, mode, sentence) in [
            ("secret", 0o644, "Other users can read"), ("secret", 0o640, "Other users can read"),
            ("secret", 0o620, "Other users can change"), ("secret", 0o602, "Other users can change"),
            ("", 0o600, "must hold one line"), ("two words", 0o600, "must hold one line"),
            ("é", 0o600, "must hold one line"),
        ] {
            let path = try folder.write(text, to: "bad", mode: mode)
            let error = #expect(throws: ConfigurationError.self) { try Configuration.secret(inFile: path) }
            #expect(error?.description.contains(sentence) == true, "\(text) \(mode)")
        }
        for path in ["\(folder.path)/none", folder.path] {
            #expect(throws: ConfigurationError.self) { try Configuration.secret(inFile: path) }
        }
    }

    @Test func `a secret that Docker, Kubernetes or systemd mounted may be read by others, and changed by none`() throws
    {
        let folder = TemporaryFolder()
        // Kubernetes: token -> ..data/token, and ..data -> ..2026_03_02_09_01_51.403
        let version = folder.path + "/..2026_03_02_09_01_51.403"
        try FileManager.default.createDirectory(atPath: version, withIntermediateDirectories: false)
        _ = try folder.write("correct-horse-battery\n", to: "..2026_03_02_09_01_51.403/token", mode: 0o440)
        try FileManager.default.createSymbolicLink(atPath: folder.path + "/..data", withDestinationPath: version)
        let link = folder.path + "/token"
        try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: "..data/token")
        #expect(try Configuration.secret(inFile: link) == "correct-horse-battery")
        #expect(chmod(link, 0o460) == 0)
        #expect(throws: ConfigurationError.self) { try Configuration.secret(inFile: link) }
        // Docker, and systemd's credentials.
        let mounted = try folder.write("correct-horse-battery\n", to: "mounted", mode: 0o444)
        #expect(throws: ConfigurationError.self) { try Configuration.secret(inFile: mounted) }
        #expect(
            try Configuration.secret(inFile: mounted, secretFolders: [folder.path]) == "correct-horse-battery"
        )
        for folders in [[String(folder.path.dropLast())], [], [folder.path + "/..data"]] {
            #expect(throws: ConfigurationError.self) {
                try Configuration.secret(inFile: mounted, secretFolders: folders)
            }
        }
        // Not by a way around.
        let secrets = folder.path + "/secrets"
        try FileManager.default.createDirectory(atPath: secrets, withIntermediateDirectories: false)
        for around in [folder.path + "/..data", secrets] {
            #expect(throws: ConfigurationError.self) {
                try Configuration.secret(inFile: around + "/../mounted", secretFolders: [around])
            }
        }
    }

    @Test func `a token has at least 16 characters, and comes from a file or the environment`() throws {
        let folder = TemporaryFolder()
        let file = try folder.write("correct-horse-ba\n", to: "token")
        let short = try folder.write("correct-horse-b\n", to: "short")
        func checked(_ arguments: [String], _ token: String? = nil) throws -> Configuration {
            let environment = token.map { ["GATEWAY_TOKEN": $0] } ?? [:]
            return try Gateway.parse(["--hostname", "0.0.0.0"] + arguments).checked(environment: environment)
        }
        #expect(try checked(["--token-file", file]).token?.matches("correct-horse-ba") == true)
        #expect(try checked([], "correct-horse-ba").token?.matches("correct-horse-ba") == true)
        for (arguments, token) in [
            (["--token-file", short], nil), ([], "correct-horse-b"), ([], ""), ([], "correct horse battery"),
            (["--token-file", file], "correct-horse-ba"),
        ] as [([String], String?)] {
            let error = #expect(throws: ConfigurationError.self) { try checked(arguments, token) }
            #expect(error?.description.contains("correct") == false)
        }
    }

    @Test(arguments: [
        ["--hostname", "0.0.0.0"], ["--hostname", "gateway.example"], ["--port", "65536"], ["--lease", "0"],
        ["--webhook", "receiver.example"], ["--webhook", "ftp://receiver.example"], ["--webhook", "http://a:99999/"],
        ["--webhook", "http://a:99999999999999999999/"], ["--webhook", "http://a:0/"], ["--webhook", "http://./"],
        ["--webhook-secret-file", "x"],
        ["--token-file", "/nowhere"], ["--file", ":memory:"], ["--demo-speed", "0"], ["--webhook-pause", "0"],
    ])
    func `a start that would not be safe or cannot be is refused`(arguments: [String]) throws {
        let command = try Gateway.parse(arguments)
        #expect(throws: ConfigurationError.self) { try command.checked() }
    }

    @Test func `options become a configuration`() throws {
        let folder = TemporaryFolder()
        let secret = try folder.write("correct-horse-battery", to: "secret")
        let command = try Gateway.parse([
            "--file", folder.file, "--hostname", "0.0.0.0", "--port", "8080", "--token-file", secret, "--lease", "5",
            "--webhook", "https://user:password@receiver.example/hook", "--webhook-secret-file", secret, "--demo",
        ])
        let configuration = try command.checked()
        #expect(configuration.file == folder.file)
        #expect(configuration.token?.matches("correct-horse-battery") == true)
        #expect(configuration.webhook?.secret == "correct-horse-battery")
        #expect(configuration.lease == .seconds(5))
        #expect(configuration.demoSpeed == 1)
    }
}
