import Crypto
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Testing
import WhatsAppSessions

@testable import Gateway

func sha256(_ text: String) -> String { Data(SHA256.hash(data: Data(text.utf8))).base64EncodedString() }

@Suite struct AccessTests {
    @Test func `with a token everything but the page and the health needs it`() async throws {
        try await withGateway(Configuration(token: Token("correct-horse-battery"))) { gateway in
            #expect(try await gateway.get("/health").status == .ok)
            #expect(try await gateway.get("/").status == .ok)
            #expect(try await gateway.get("/ready").status == .ok)
            for path in [
                "/sessions", "/changes", "/metrics", "/sessions/support/qr", "/workers", "/sessions/support/changes",
            ] {
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
        for (arguments, token) in [
            (["--token-file", file], nil), (["--token-file", file], ""), ([], "correct-horse-ba"),
        ] as [([String], String?)] {
            #expect(try checked(arguments, token).readSecrets().token?.matches("correct-horse-ba") == true)
        }
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
        ["--webhook", "http://a/", "--webhook", "http://user@a/"], ["--webhook-secret-file", "x"],
        ["--read-token-file", "x"], ["--webhook-patience", "0"],
        ["--origin", "admin.example"], ["--origin", "https://admin.example/"], ["--origin", "https://Admin.example"],
        ["--origin", "https://admin.example/path"], ["--origin", "null"], ["--origin", "*"], ["--origin", "https://"],
        ["--origin", "https://admin.example:443"],
        ["--token-file", "/nowhere"], ["--file", ":memory:"], ["--demo-speed", "0"], ["--webhook-pause", "0"],
        ["--database", "postgres://db/sessions", "--file", "x"], ["--refused-folder", "/tmp"],
        ["--database", "postgres://db/sessions", "--refused-folder", "/nowhere"],
        ["--database", "postgres://db/sessions", "--refused-folder", "/etc/hostname"],
    ])
    func `a start that would not be safe or cannot be is refused`(arguments: [String]) throws {
        let command = try Gateway.parse(arguments)
        #expect(throws: ConfigurationError.self) { try command.checked() }
    }

    @Test func `a database needs a gateway that was built for it`() throws {
        let command = try Gateway.parse(["--database", "postgres://user:S3CRET@db/sessions"])
        #if Postgres
        let configuration = try command.checked()
        #expect(configuration.database == .postgres("postgres://user:S3CRET@db/sessions") && configuration.file == nil)
        var text = ""
        dump(configuration, to: &text)
        #expect(!text.contains("S3CRET"))
        #else
        let error = #expect(throws: ConfigurationError.self) { try command.checked() }
        #expect(error?.description == "This gateway was built without PostgreSQL: build it with --traits Postgres.")
        #endif
    }

    @Test
    func
        `every option that is for a service is a variable of the environment too, and the command line goes before it`()
        throws
    {
        let help = Gateway.helpMessage()
        let described = help.matches(of: /--([a-z-]+)/).map { String($0.1) }
        #expect(
            Set(described).subtracting(["help", "version", "import", "export", "webhook-pause"])
                == Set(Environment.options).subtracting(["webhook-pause"])
        )
        let environment = [
            "GATEWAY_FILE": "/x y", "GATEWAY_PORT": "1", "GATEWAY_DEMO": "true",
            "GATEWAY_ORIGIN": "https://a https://b",
            "GATEWAY_DEMO_SPEED": "", "LOG_LEVEL": "DEBUG", "GATEWAY_WEBHOOK": "http://a http://b",
        ]
        let arguments = Environment.arguments(["--port", "2", "--webhook=http://c"], environment)
        let command = try Gateway.parse(arguments)
        #expect(command.file == "/x y")
        #expect(command.port == 2)
        #expect(command.demo)
        #expect(command.origin == ["https://a", "https://b"])
        #expect(command.webhook == ["http://c"])
        let lines = try Gateway.parse(Environment.arguments([], ["GATEWAY_WEBHOOK": "http://a/x\n http://b/y\n"]))
        #expect(lines.webhook == ["http://a/x", "http://b/y"])
        #expect(
            try Gateway.parse(Environment.arguments([], ["GATEWAY_LOG_LEVEL": "error", "LOG_LEVEL": "info"])).logLevel
                == .error
        )
        #expect(command.logLevel == .debug)
        #expect(try !Gateway.parse(Environment.arguments([], ["GATEWAY_DEMO": "0"])).demo)
        for (name, value) in [
            ("LOG_LEVEL", "loud"), ("GATEWAY_LOG_FORMAT", "xml"), ("GATEWAY_PORT", "http"), ("GATEWAY_DEMO", "perhaps"),
        ] {
            #expect(throws: (any Error).self) { try Gateway.parse(Environment.arguments([], [name: value])) }
        }
    }

    @Test func `the version is that of the interface's description`() throws {
        let file = URL(filePath: #filePath).appending(path: "../../../openapi.yaml").standardized
        let description = try String(contentsOf: file, encoding: .utf8)
        #expect(description.contains("  version: \(Version.current)\n"))
    }

    @Test func `secrets are read again, and stay as they were when they cannot be`() throws {
        let folder = TemporaryFolder()
        let file = try folder.write("correct-horse-battery", to: "token")
        let command = try Gateway.parse(["--token-file", file])
        let secrets = try Secrets(command.checked(environment: [:]).readSecrets)
        _ = try folder.write("battery-horse-correct", to: "token")
        #expect(secrets.values.token?.matches("correct-horse-battery") == true)
        try secrets.readAgain()
        #expect(secrets.values.token?.matches("battery-horse-correct") == true)
        _ = try folder.write("short", to: "token")
        #expect(throws: ConfigurationError.self) { try secrets.readAgain() }
        // A pipe that nobody writes to would hold up all others.
        #expect(unlink(file) == 0 && mkfifo(file, 0o600) == 0)
        #expect(throws: ConfigurationError.self) { try secrets.readAgain() }
        #expect(secrets.values.token?.matches("battery-horse-correct") == true)
    }

    @Test func `a token that only reads changes nothing, and sees no code`() async throws {
        let configuration = Configuration(
            token: Token("correct-horse-battery"),
            readToken: Token("battery-horse-correct")
        )
        try await withGateway(configuration) { gateway in
            try await gateway.manager.createSession("support")
            try await gateway.manager.updateSession(
                "support",
                SessionUpdates(status: .qrWaiting, qrCode: .set("2@secret"))
            )
            let reader: HTTPFields = [.authorization: "Bearer battery-horse-correct"]
            for path in [
                "/sessions", "/sessions/support", "/sessions/support/changes", "/workers", "/metrics",
                "/sessions?limit=1",
            ] {
                let answer = try await gateway.get(path, reader)
                #expect(answer.status == .ok, "\(path)")
                #expect(!answer.text.contains("2@secret"), "\(path)")
            }
            var refused = ["/sessions/support/qr", "/sessions/support/qr.svg", "/changes?worker=eu-1"].map {
                ($0, HTTPRequest.Method.get)
            }
            refused += Routes.parts.dropFirst(3).map { ("/sessions/support/\($0)", .post) }
            refused += [
                ("/sessions", .post), ("/sessions/support", .patch), ("/sessions/support", .delete),
                ("/sessions/support/claim?worker=a", .delete),
            ]
            for (path, method) in refused {
                let answer = try await gateway.client.execute(uri: path, method: method, headers: reader)
                #expect(answer.status == .forbidden, "\(method) \(path)")
                #expect(try answer.problem.code == "read_only", "\(method) \(path)")
            }
            #expect(try await gateway.manager.getSession("support")?.status == .qrWaiting)
            #expect(
                try await gateway.get("/sessions/support/qr", [.authorization: "Bearer correct-horse-battery"]).status
                    == .ok
            )
        }
    }

    @Test func `a page of an origin that was named may use the gateway, and no other`() async throws {
        var configuration = Configuration(token: Token("correct-horse-battery"))
        configuration.origins = ["https://admin.example"]
        try await withGateway(configuration) { gateway in
            let question: HTTPFields = [
                .origin: "https://admin.example", .accessControlRequestMethod: "PATCH",
                .accessControlRequestHeaders: "authorization",
            ]
            let allowed = try await gateway.client.execute(
                uri: "/sessions/support",
                method: .options,
                headers: question
            )
            #expect(allowed.status == .noContent)
            #expect(allowed.headers[.accessControlAllowOrigin] == "https://admin.example")
            #expect(allowed.headers[.accessControlAllowMethods]?.contains("PATCH") == true)
            #expect(allowed.headers[.accessControlAllowHeaders]?.contains("Authorization") == true)
            let token = "Bearer correct-horse-battery"
            let used = try await gateway.get("/sessions", [.origin: "https://admin.example", .authorization: token])
            #expect(used.status == .ok)
            #expect(used.headers[.accessControlAllowOrigin] == "https://admin.example")
            #expect(used.headers[.vary] == "Origin")
            // It sees why it was refused, too.
            let refused = try await gateway.get("/sessions", [.origin: "https://admin.example"])
            #expect(refused.status == .unauthorized)
            #expect(refused.headers[.accessControlAllowOrigin] == "https://admin.example")
            for origin in ["https://evil.example", "null", "https://admin.example.evil", "http://admin.example"] {
                let foreign = try await gateway.get("/sessions", [.origin: origin, .authorization: token])
                #expect(foreign.headers[.accessControlAllowOrigin] == nil, "\(origin)")
            }
        }
        // Without a token, an origin that was named is no foreign one.
        var open = Configuration()
        open.origins = ["https://admin.example"]
        try await withGateway(open) { gateway in
            let headers: HTTPFields = [.origin: "https://admin.example", .init("Sec-Fetch-Site")!: "cross-site"]
            let named = try await gateway.get("/sessions", headers)
            #expect(named.status == .ok)
            let foreign = try await gateway.get("/sessions", [.origin: "https://evil.example"])
            #expect(foreign.status == .forbidden)
        }
    }

    @Test func `options become a configuration`() throws {
        let folder = TemporaryFolder()
        let secret = try folder.write("correct-horse-battery", to: "secret")
        let other = try folder.write("battery-horse-correct", to: "other")
        let command = try Gateway.parse([
            "--file", folder.file, "--hostname", "0.0.0.0", "--port", "8080", "--token-file", secret, "--lease", "5",
            "--webhook", "https://user:p%40ss@receiver.example/hook?a=1", "--webhook-secret-file", secret, "--demo",
            "--webhook", "http://other.example:8080", "--origin", "https://admin.example", "--read-token-file", other,
        ])
        let configuration = try command.checked()
        #expect(configuration.file == folder.file)
        let secrets = try configuration.readSecrets()
        #expect(secrets.token?.matches("correct-horse-battery") == true)
        #expect(secrets.readToken?.matches("battery-horse-correct") == true)
        #expect(secrets.webhooks == ["correct-horse-battery", "correct-horse-battery"])
        #expect(
            configuration.webhooks.map(\.url) == ["https://receiver.example/hook?a=1", "http://other.example:8080"]
        )
        // printf 'user:p@ss' | base64
        #expect(configuration.webhooks.map(\.authorization) == ["Basic dXNlcjpwQHNz", nil])
        #expect(configuration.webhooks.map(\.receiver) == ["https://receiver.example", "http://other.example:8080"])
        #expect(configuration.origins == ["https://admin.example"])
        #expect(configuration.lease == .seconds(5))
        #expect(configuration.demoSpeed == 1)
    }
}
