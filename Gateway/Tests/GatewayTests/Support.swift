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

/// A gateway that serves on a free port while a test runs.
struct RunningGateway: Sendable {
    let client: any TestClientProtocol
    let manager: SessionManager
    let changes: ChangeStream
    /// The place in the journal before the test.
    let start: ChangeCursor

    var url: String { "http://localhost:\(client.port!)" }

    func get(_ path: String, _ headers: HTTPFields = [:]) async throws -> TestResponse {
        try await client.execute(uri: path, method: .get, headers: headers)
    }

    @discardableResult
    func send(_ method: HTTPRequest.Method, _ path: String, _ json: String) async throws -> TestResponse {
        let headers: HTTPFields = [.contentType: "application/json"]
        return try await client.execute(uri: path, method: method, headers: headers, body: ByteBuffer(string: json))
    }

    /// Posts a worker's event whose data is JSON.
    @discardableResult
    func post(_ event: String, _ data: String, to id: String = "support", worker: String? = nil) async throws
        -> TestResponse
    {
        let worker = worker.map { #","worker":"\#($0)""# } ?? ""
        return try await send(.post, "/sessions/\(id)/events", #"{"event":"\#(event)","data":\#(data)\#(worker)}"#)
    }
}

func withGateway<Value: Sendable>(
    _ configuration: Configuration = Configuration(),
    logger: Logger = .quiet,
    runsServices: Bool = false,
    _ test: @Sendable (RunningGateway) async throws -> Value
) async throws -> Value {
    var configuration = configuration
    configuration.port = 0
    let server = try GatewayServer(configuration, logger: logger)
    let services = runsServices ? server.services.map { service in Task { try await service.run() } } : []
    defer { for service in services { service.cancel() } }
    return try await server.application.test(.ahc()) { client in
        try await test(
            RunningGateway(
                client: client,
                manager: server.manager,
                changes: server.changes,
                start: server.manager.snapshot().cursor
            )
        )
    }
}

extension Configuration {
    init(token: Token, readToken: Token? = nil) {
        self.init()
        readSecrets = { Secrets.Values(token: token, readToken: readToken) }
    }
}

/// What was logged.
final class RecordedLog: Sendable {
    private let recorded = Mutex<[(level: Logger.Level, text: String)]>([])

    /// Each message with its metadata, in order of their names.
    var lines: [(level: Logger.Level, text: String)] { recorded.withLock { $0 } }

    func logger(_ level: Logger.Level) -> Logger {
        var logger = Logger(label: "test") { _ in Handler(log: self) }
        logger.logLevel = level
        return logger
    }

    private struct Handler: LogHandler {
        let log: RecordedLog
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.info

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let all = metadata.merging(event.metadata ?? [:]) { $1 }.sorted { $0.key < $1.key }
            let text = "\(event.message) \(all.map { "\($0.key)=\($0.value)" }.joined(separator: " "))"
            log.recorded.withLock { $0.append((event.level, text)) }
        }
    }
}

extension Logger {
    static var quiet: Logger {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return logger
    }
}

extension TestResponse {
    var text: String { String(buffer: body) }

    func json<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
        try JSONDecoder.gateway.decode(type, from: Data(buffer: body))
    }

    var session: Session { get throws { try json() } }
    var problem: ProblemDetails { get throws { try json() } }
}

struct ProblemDetails: Decodable, Equatable {
    var status: Int, code: String, title: String, detail: String
}

/// What a follower of `/changes` reads.
struct Followed: Equatable {
    var event: String, id: String?, data: String

    var session: Session { get throws { try JSONDecoder.gateway.decode(Session.self, from: Data(data.utf8)) } }
}

/// Follows `/changes` and hands each event to the test, until that returns `false`.
func follow(
    _ gateway: RunningGateway,
    _ query: String = "",
    headers: [(String, String)] = [],
    _ each: (Followed) async throws -> Bool
) async throws {
    var request = HTTPClientRequest(url: "\(gateway.url)/changes\(query)")
    for (name, value) in headers { request.headers.add(name: name, value: value) }
    let response = try await HTTPClient.shared.execute(request, timeout: .seconds(30))
    guard response.status == .ok else { throw UnexpectedStatus(status: Int(response.status.code)) }
    var text = ""
    for try await buffer in response.body {
        text += String(buffer: buffer)
        while let end = text.firstRange(of: "\n\n") {
            var followed = Followed(event: "", id: nil, data: "")
            for line in text[..<end.lowerBound].split(separator: "\n") {
                let (name, value) = (line.prefix { $0 != ":" }, String(line.drop { $0 != ":" }.dropFirst(2)))
                switch name {
                case "event": followed.event = value
                case "id": followed.id = value
                default: followed.data = value
                }
            }
            text = String(text[end.upperBound...])
            if try await !each(followed) { return }
        }
    }
}

struct UnexpectedStatus: Error { var status: Int }

/// A folder of a test's own, which is removed with it.
final class TemporaryFolder: Sendable {
    let path = FileManager.default.temporaryDirectory.appending(path: "gateway-\(UUID().uuidString)").path

    init() { try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit { try? FileManager.default.removeItem(atPath: path) }

    var file: String { self["sessions.sqlite"] }
    subscript(name: String) -> String { "\(path)/\(name)" }

    func write(_ text: String, to name: String, mode: Int = 0o600) throws -> String {
        let path = "\(path)/\(name)"
        try Data(text.utf8).write(to: URL(filePath: path))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
        return path
    }
}

/// Looks again for half a minute until a condition holds.
func expectEventually(
    _ condition: () async throws -> Bool,
    sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    for _ in 0..<3000 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("not in half a minute", sourceLocation: sourceLocation)
}

/// A client that sends a byte now and then.
enum Trickle {
    /// Whether the server closes the connection.
    static func isDropped(_ head: String, port: Int, within limit: Duration) async throws -> Bool {
        let descriptor = socket(AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = in_port_t(port).bigEndian
        address.sin6_addr = in6addr_loopback
        var connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
            }
        }
        var other: Int32 = -1
        defer { if other >= 0 { close(other) } }
        var used = descriptor
        if connected != 0 {
            other = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = in_port_t(port).bigEndian
            address.sin_addr.s_addr = in_addr_t(INADDR_LOOPBACK).bigEndian
            connected = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(other, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            used = other
        }
        guard connected == 0 else { throw CocoaError(.fileReadUnknown) }
        _ = head.withCString { send(used, $0, strlen($0), Int32(MSG_NOSIGNAL)) }
        let start = ContinuousClock.now
        var byte: UInt8 = 0
        while start.duration(to: .now) < limit {
            try await Task.sleep(for: .milliseconds(100))
            let received = recv(used, &byte, 1, Int32(MSG_DONTWAIT))
            if received == 0 || (received < 0 && errno != EAGAIN) { return true }
            // What it answers is read, and the body goes on.
            if send(used, " ", 1, Int32(MSG_NOSIGNAL)) < 0 { return true }
        }
        return false
    }
}
