import AsyncHTTPClient
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
import Synchronization
import Testing
import WhatsAppSessions

@testable import Gateway

@Suite struct WebhookTests {
    private struct Received: Decodable {
        struct Payload: Decodable {
            var status: String?, previousStatus: String?, disconnectReason: DisconnectReason?
            var qrCodeReceivedAt: Date?, qrCodeExpiresAt: Date?, restriction: String?
        }
        struct Account: Decodable { var id: String, pushName: String? }
        var id: String, timestamp: Int64, event: String, session: String?, me: Account?, payload: Payload
    }

    /// Receives webhooks, and answers each attempt as the test likes.
    private final class Receiver: Sendable {
        let bodies = Mutex<[(headers: HTTPFields, body: String)]>([])
        let answers: @Sendable (_ attempt: Int) -> HTTPResponse.Status
        let attempts = Mutex(0)

        init(_ answers: @escaping @Sendable (Int) -> HTTPResponse.Status = { _ in .ok }) { self.answers = answers }

        var received: [Received] {
            get throws {
                try bodies.withLock { $0 }.map {
                    try JSONDecoder.gateway.decode(Received.self, from: Data($0.body.utf8))
                }
            }
        }

        func run(_ test: @Sendable (_ url: String) async throws -> Void) async throws {
            let router = Router()
            router.post("/hook") { request, _ in
                let body = String(buffer: try await request.body.collect(upTo: 65_536))
                let attempt = self.attempts.withLock { count in
                    count += 1
                    return count
                }
                let answer = self.answers(attempt)
                if answer == .ok { self.bodies.withLock { $0.append((request.headers, body)) } }
                return Response(status: answer)
            }
            let application = Application(
                router: router,
                configuration: .init(address: .hostname("localhost", port: 0)),
                logger: .quiet
            )
            try await application.test(.ahc()) { client in try await test("http://localhost:\(client.port!)/hook") }
        }
    }

    private func withSender(
        _ manager: SessionManager,
        _ url: String,
        database: String? = nil,
        secret: String? = nil,
        patience: Duration = .seconds(3600),
        ownsDatabase: Bool = true,
        logger: Logger = .quiet,
        _ body: (WebhookSender) async throws -> Void
    ) async throws {
        var target = try #require(Configuration.Webhook(url))
        (target.firstPause, target.patience) = (.milliseconds(1), patience)
        let sender = WebhookSender(
            manager: manager,
            target: target,
            secret: { secret },
            files: WebhookFiles(beside: database, url: target.url, isFirst: true),
            ownsDatabase: ownsDatabase,
            logger: logger
        )
        let run = Task { try await sender.run() }
        do {
            try await body(sender)
        } catch {
            run.cancel()
            throw error
        }
        run.cancel()
        try await run.value
    }

    @Test func `each status, new code, new name and deletion comes once, in order, in WAHA's envelope`() async throws {
        let manager = try SessionManager()
        let receiver = Receiver()
        try await receiver.run { url in
            try await self.withSender(manager, url) { sender in
                try await expectEventually { try receiver.received.count == 1 }
                try await manager.createSession("support")
                try await manager.updateSession("support", SessionUpdates(status: .qrWaiting, qrCode: .set("2@secret")))
                try await manager.updateSession(
                    "support",
                    SessionUpdates(phoneNumber: .set("447700900123"), name: .set("Ana"))
                )
                // A message has the account as it is when it is sent.
                try await expectEventually { try receiver.received.count == 4 }
                try await manager.updateSession("support", SessionUpdates(qrCode: .set("2@secret2")))
                try await manager.updateSession("support", SessionUpdates(status: .connected))
                let reason = DisconnectReason(code: 401, text: "logged out")
                try await manager.updateSession(
                    "support",
                    SessionUpdates(status: .disconnected, disconnectReason: .set(reason))
                )
                try await manager.deleteSession("support")
                try await expectEventually { try receiver.received.count == 8 }
                try await expectEventually { sender.state.delivered == 8 && sender.state.lag == 0 }
            }
            let received = try receiver.received
            #expect(
                received.map(\.event) == ["sessions.reset"] + Array(repeating: "session.status", count: 6) + [
                    "session.deleted"
                ]
            )
            let statuses = received.map(\.payload.status)
            #expect(
                statuses == [
                    nil, "initializing", "qr_waiting", "qr_waiting", "qr_waiting", "connected", "disconnected", nil,
                ]
            )
            // A new name comes as soon as it is known.
            #expect(received[3].me?.pushName == "Ana" && received[3].me?.id == "447700900123@c.us")
            #expect(received[6].payload.previousStatus == "connected")
            #expect(received[6].payload.disconnectReason == DisconnectReason(code: 401, text: "logged out"))
            #expect(received.dropFirst().allSatisfy { $0.session == "support" })
            #expect(Set(received.map(\.id)).count == 8)
            #expect(received.allSatisfy { $0.id.hasPrefix("evt_") })
            #expect(!receiver.bodies.withLock { $0 }.contains { $0.body.contains("2@secret") })
        }
    }

    @Test func `a restriction is posted, a claim is not, and a code to be typed has no end`() async throws {
        let manager = try SessionManager()
        let receiver = Receiver()
        try await receiver.run { url in
            try await self.withSender(manager, url) { _ in
                try await expectEventually { try receiver.received.count == 1 }
                try await manager.createSession("support")
                let lease = try await manager.openLease(holder: "eu-1", lasting: .seconds(3600))
                try await manager.claimSession("support", under: lease)
                try await manager.updateSession(
                    "support",
                    SessionUpdates(status: .qrWaiting, qrCode: .set("ABCD-1234"))
                )
                try await expectEventually { try receiver.received.count == 3 }
                try await manager.releaseSession("support", under: lease)
                try await manager.updateSession("support", SessionUpdates(status: .connected))
                try await manager.updateSession("support", SessionUpdates(restriction: .set("new chats")))
                try await expectEventually { try receiver.received.count == 5 }
            }
            let received = try receiver.received
            #expect(received.map(\.payload.status) == [nil, "initializing", "qr_waiting", "connected", "connected"])
            #expect(received[2].payload.qrCodeReceivedAt != nil && received[2].payload.qrCodeExpiresAt == nil)
            #expect(received[4].payload.restriction == "new chats")
            #expect(received[4].event == "session.status" && received[4].payload.previousStatus == "connected")
        }
    }

    @Test func `a message is signed as WAHA signs`() async throws {
        // printf '{"event":"x"}' | openssl dgst -sha512 -hmac secret
        let expected =
            "de2a8655f8673cba3636da6f0602f404b185692543e3459112eef5f24a763da3d37826ca6bcb332db0c61c92fc3a13a6a9198bf91ef6235f693b2ac71e8f6f62"
        #expect(Webhook.signature(of: Data(#"{"event":"x"}"#.utf8), secret: "secret") == expected)
        let manager = try SessionManager()
        let receiver = Receiver()
        try await receiver.run { url in
            try await self.withSender(manager, url, secret: "secret") { _ in
                try await expectEventually { try !receiver.received.isEmpty }
            }
        }
        let (headers, body) = receiver.bodies.withLock { $0[0] }
        let signature = Webhook.signature(of: Data(body.utf8), secret: "secret")
        #expect(headers[.init("X-Webhook-Hmac")!] == signature)
        #expect(headers[.init("X-Webhook-Hmac-Algorithm")!] == "sha512")
        #expect(headers[.contentType] == "application/json")
    }

    @Test func `a message that is refused comes again until it is taken, and none overtakes it`() async throws {
        let manager = try SessionManager()
        let receiver = Receiver { $0 % 3 == 0 ? .ok : [.internalServerError, .found, .notFound][$0 % 3] }
        try await receiver.run { url in
            try await self.withSender(manager, url) { sender in
                try await expectEventually { try receiver.received.count == 1 }
                for number in 0..<20 { try await manager.createSession("\(number)") }
                try await expectEventually { try receiver.received.count == 21 }
                #expect(try receiver.received.compactMap(\.session) == (0..<20).map(String.init))
                #expect(sender.state.failed == 42)
            }
        }
    }

    /// How a receiver is called by the leases of those who post to it.
    private static func holder(_ url: String) -> String {
        "gateway/webhooks-" + WebhookFiles(beside: nil, url: url, isFirst: true).name
    }

    @Test func `a restart goes on where the last one stopped, and says when it can't`() async throws {
        let manager = try SessionManager()
        let receiver = Receiver()
        try await receiver.run { url in
            let holder = Self.holder(url)
            try await self.withSender(manager, url) { _ in
                try await expectEventually { try receiver.received.count == 1 }
                try await manager.createSession("one")
                try await expectEventually { try receiver.received.count == 2 }
                try await expectEventually { try await manager.getCursor(holder: holder) == manager.snapshot().cursor }
            }
            let before = try receiver.received.count
            try await manager.createSession("two")
            try await self.withSender(manager, url) { _ in
                try await expectEventually { try receiver.received.count == before + 1 }
            }
            #expect(try receiver.received.last?.session == "two")
            // The cursor of another database.
            let lease = try await manager.openLease(holder: holder, lasting: .seconds(3600))
            try await manager.keepCursor(#require(ChangeCursor("1-1")), under: lease)
            let count = try receiver.received.count
            try await self.withSender(manager, url) { _ in
                try await expectEventually { try receiver.received.count == count + 1 }
            }
            #expect(try receiver.received.last?.event == "sessions.reset")
        }
    }

    @Test func `what needs no message moves the place too, within seconds`() async throws {
        let manager = try SessionManager()
        let receiver = Receiver()
        try await receiver.run { url in
            try await self.withSender(manager, url) { _ in
                try await expectEventually { try receiver.received.count == 1 }
                try await manager.createSession("one")
                let lease = try await manager.openLease(holder: "eu-1", lasting: .seconds(3600))
                let created = try await manager.snapshot().cursor
                try await expectEventually {
                    try await manager.claimSession("one", under: lease)
                    try await manager.releaseSession("one", under: lease)
                    try await Task.sleep(for: .milliseconds(300))
                    let place = try await manager.getCursor(holder: Self.holder(url))
                    return try await manager.getChanges(after: created).contains { $0.cursor == place }
                }
            }
            #expect(try receiver.received.count == 2)
        }
    }

    @Test func `the place that an earlier gateway kept in a file is where it goes on, and the file goes`() async throws
    {
        let folder = TemporaryFolder()
        let receiver = Receiver()
        try await receiver.run { url in
            let name = WebhookFiles(beside: nil, url: url, isFirst: true).name
            // The file of 0.1.0, and one with the receiver's name.
            for file in [folder.file + ".webhook-cursor", folder.file + ".webhook-cursor-\(name)"] {
                let fresh = try SessionManager()
                try await fresh.createSession("told")
                let place = try await fresh.snapshot().cursor
                try Data(place.description.utf8).write(to: URL(filePath: file))
                try await fresh.createSession("untold")
                let before = try receiver.received.count
                try await self.withSender(fresh, url, database: folder.file) { _ in
                    try await expectEventually { try receiver.received.count == before + 1 }
                    try await expectEventually { !FileManager.default.fileExists(atPath: file) }
                }
                #expect(try receiver.received.last?.session == "untold")
            }
        }
    }

    @Test func `only the first receiver goes on where 0.1 stopped`() throws {
        let folder = TemporaryFolder()
        try Data("7-3".utf8).write(to: URL(filePath: folder.file + ".webhook-cursor"))
        #expect(WebhookFiles(beside: folder.file, url: "http://one/", isFirst: true).cursor()?.description == "7-3")
        #expect(WebhookFiles(beside: folder.file, url: "http://two/", isFirst: false).cursor() == nil)
    }

    @Test func `of two gateways one posts, and when it ends the other goes on`() async throws {
        let manager = try SessionManager()
        let receiver = Receiver()
        try await receiver.run { url in
            try await self.withSender(manager, url, ownsDatabase: false) { first in
                try await expectEventually { try receiver.received.count == 1 }
                try await self.withSender(manager, url, ownsDatabase: false) { second in
                    for number in 0..<20 { try await manager.createSession("\(number)") }
                    try await expectEventually { first.state.delivered == 21 }
                    #expect(second.state.delivered == 0 && second.state.lag == 0)
                }
            }
            #expect(try await manager.getLease(holder: Self.holder(url)) == nil)
            try await manager.createSession("after")
            try await self.withSender(manager, url, ownsDatabase: false) { third in
                try await expectEventually { third.state.delivered == 1 }
            }
            let sessions = try receiver.received.map(\.session)
            #expect(sessions == [nil] + (0..<20).map(String.init) + ["after"])
        }
    }

    @Test func `a gateway that has lost its turn posts nothing more`() async throws {
        let manager = try SessionManager()
        let isLater = Atomic(false)
        let turn = WebhookTurn(manager: manager, receiver: "one", ownsDatabase: false) {
            .now + (isLater.load(ordering: .relaxed) ? WebhookTurn.duration : .zero)
        }
        #expect(throws: CancellationError.self) { try turn.lease() }
        await #expect(throws: CancellationError.self) {
            _ = try await turn.take {
                _ = try turn.lease(outliving: .seconds(11))
                #expect(throws: CancellationError.self) { try turn.lease(outliving: WebhookTurn.duration) }
                // Its process was suspended, and the database has given its turn to another, or soon will.
                isLater.store(true, ordering: .relaxed)
                _ = try turn.lease()
            }
        }
        isLater.store(false, ordering: .relaxed)
        await #expect(throws: LeaseLostError.self) {
            _ = try await turn.take {
                let lease = try turn.lease()
                try await manager.closeLease(lease)
                // Another has it.
                #expect(try await manager.openSoleLease(holder: lease.holder, lasting: .seconds(3600)) != nil)
                try await turn.keep(manager.snapshot().cursor)
            }
        }
        #expect(try await turn.cursor() == nil)
        #expect(try await turn.take {} == false)
        #expect(throws: CancellationError.self) { try turn.lease() }
    }

    @Test func `where there is no other gateway, a lease that was left behind is no hindrance`() async throws {
        let manager = try SessionManager()
        let receiver = Receiver()
        try await receiver.run { url in
            _ = try await manager.openLease(holder: Self.holder(url), lasting: .seconds(3600))
            try await self.withSender(manager, url) { _ in
                try await expectEventually { try receiver.received.count == 1 }
            }
        }
    }

    @Test func `a link in place of the file of refused messages is refused, and what it leads to stays whole`() throws {
        let folder = TemporaryFolder()
        let (link, target) = (folder.path + "/link", folder.path + "/target")
        let text = String(repeating: "another's\n", count: 100)
        try text.write(toFile: target, atomically: false, encoding: .utf8)
        #expect(symlink(target, link) == 0)
        #expect(throws: (any Error).self) { try PrivateFile(path: link).append("{}") }
        #expect(try String(contentsOfFile: target, encoding: .utf8) == text)
    }

    @Test func `a message that is refused for long is set aside, and the next goes on`() async throws {
        let folder = TemporaryFolder()
        let manager = try SessionManager()
        let log = RecordedLog()
        // The second message is refused, and no other.
        let receiver = Receiver { attempt in
            attempt == 1 ? .ok : log.lines.contains { $0.level == .error } ? .ok : .notFound
        }
        try await receiver.run { url in
            try await self.withSender(
                manager,
                url,
                database: folder.file,
                patience: .milliseconds(200),
                logger: log.logger(.notice)
            ) { sender in
                try await expectEventually { try receiver.received.count == 1 }
                try await manager.createSession("refused")
                try await manager.createSession("next")
                try await expectEventually { try receiver.received.count == 2 }
                #expect(try receiver.received.last?.session == "next")
                #expect(sender.state.setAside == 1)
            }
            let path = try #require(WebhookFiles(beside: folder.file, url: url, isFirst: true).refusedPath)
            let lines = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n")
            #expect(lines.count == 1)
            #expect(lines[0].contains(#""session":"refused""#) && lines[0].contains(#""status":404"#))
            _ = try JSONSerialization.jsonObject(with: Data(lines[0].utf8))
            let said = log.lines.map(\.text)
            #expect(
                said.contains {
                    $0.contains("a webhook is not taken") && $0.contains("it answered 404") && $0.contains("refused")
                }
            )
            #expect(said.contains { $0.contains("set aside") && $0.contains(path) })
        }
    }

    @Test(arguments: [HTTPResponse.Status.internalServerError, .tooManyRequests, .requestTimeout, .found])
    func `what may be taken later is never set aside`(status: HTTPResponse.Status) async throws {
        let manager = try SessionManager()
        let receiver = Receiver { attempt in attempt == 1 || attempt > 6 ? .ok : status }
        try await receiver.run { url in
            try await self.withSender(manager, url, patience: .milliseconds(1)) { sender in
                try await expectEventually { try receiver.received.count == 1 }
                try await manager.createSession("support")
                try await expectEventually { try receiver.received.count == 2 }
                #expect(sender.state.setAside == 0)
                #expect(sender.state.failed == 5)
            }
        }
    }

    @Test func `the name and the password of a URL are sent, and never said`() async throws {
        let manager = try SessionManager()
        let log = RecordedLog()
        let receiver = Receiver { $0 < 3 ? .internalServerError : .ok }
        try await receiver.run { url in
            let url = url.replacing("http://", with: "http://user:S3CRET@")
            try await self.withSender(manager, url, logger: log.logger(.trace)) { sender in
                try await expectEventually { try receiver.received.count == 1 }
                #expect(!sender.target.receiver.contains("S3CRET"))
            }
        }
        let headers = receiver.bodies.withLock { $0[0].headers }
        // printf 'user:S3CRET' | base64
        #expect(headers[.authorization] == "Basic dXNlcjpTM0NSRVQ=")
        #expect(headers[.userAgent] == "whatsapp-gateway/\(Version.current)")
        #expect(!log.lines.isEmpty && !log.lines.contains { $0.text.contains("S3CRET") })
    }

    @Test func `a connection that the receiver had closed is no failure, and a refusal that may pass is none`() {
        #expect(WebhookFailure.error(HTTPClientError.remoteConnectionClosed).isClosedConnection)
        #expect(WebhookFailure.error(IOError(errnoCode: ECONNRESET, reason: "read")).isClosedConnection)
        #expect(!WebhookFailure.error(HTTPClientError.connectTimeout).isClosedConnection)
        #expect(!WebhookFailure.error(IOError(errnoCode: ECONNREFUSED, reason: "connect")).isClosedConnection)
        #expect([400, 404, 499].map { WebhookFailure.status($0).refusal } == [400, 404, 499])
        #expect([200, 302, 408, 425, 429, 500].map { WebhookFailure.status($0).refusal }.allSatisfy { $0 == nil })
    }

    @Test func `a connection that is refused fails at once, and why is said`() async throws {
        let manager = try SessionManager()
        let log = RecordedLog()
        // A port that was free a moment ago.
        let port = Mutex(0)
        try await Receiver().run { url in port.withLock { $0 = URLComponents(string: url)!.port! } }
        let url = "http://127.0.0.1:\(port.withLock { $0 })/hook"
        try await withSender(manager, url, logger: log.logger(.notice)) { sender in
            let start = ContinuousClock.now
            try await expectEventually { sender.state.failed >= 3 }
            // If each tried to connect for ten seconds, three would take thirty.
            #expect(ContinuousClock.now - start < .seconds(25))
            #expect(!sender.state.isAnswering)
        }
        #expect(log.lines.count { $0.text.contains("is not taken") } == 1)
        #expect(log.lines.contains { $0.text.contains("Connection refused") })
    }

    @Test func `an answer that doesn't end holds up nothing`() async throws {
        let manager = try SessionManager()
        let sessions = Mutex<[String?]>([])
        let router = Router()
        router.post("/hook") { request, _ in
            let body = try await request.body.collect(upTo: 65_536)
            let message = try JSONDecoder.gateway.decode(Received.self, from: Data(buffer: body))
            sessions.withLock { $0.append(message.session) }
            return Response(
                status: .ok,
                body: ResponseBody { writer in
                    try await writer.write(ByteBuffer(string: "and"))
                    try await Task.sleep(for: .seconds(60))
                    try await writer.finish(nil)
                }
            )
        }
        let address = ApplicationConfiguration(address: .hostname("localhost", port: 0))
        let receiver = Application(router: router, configuration: address, logger: .quiet)
        let run = Task {
            try await receiver.test(.ahc()) { client in
                try await self.withSender(manager, "http://localhost:\(client.port!)/hook") { _ in
                    try await expectEventually { sessions.withLock(\.count) == 1 }
                    try await manager.createSession("one")
                    try await manager.createSession("two")
                    try await expectEventually { sessions.withLock { $0 } == [nil, "one", "two"] }
                }
                throw CancellationError()
            }
        }
        // The receiver itself would take a minute to end.
        try await expectEventually { sessions.withLock(\.count) == 3 }
        run.cancel()
        _ = await run.result
    }

    @Test func `metrics tell how old the change is that isn't delivered`() async throws {
        let manager = try SessionManager()
        let receiver = Receiver { $0 == 1 ? .ok : .internalServerError }
        try await receiver.run { url in
            try await self.withSender(manager, url) { sender in
                try await expectEventually { sender.state.delivered == 1 }
                try await manager.createSession("support")
                try await expectEventually { sender.state.lag > 0.2 }
            }
        }
    }

    @Test func `a certificate that can't be verified says so, and what to look at`() {
        struct TLSError: Error, CustomStringConvertible {
            let description = "handshakeFailed(SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED)"
        }
        let failure = WebhookFailure.error(TLSError())
        #expect("\(failure)".contains("its certificate can't be verified"))
        #expect("\(failure)".contains("ca-certificates"))
    }
}
