import AsyncHTTPClient
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Logging
import NIOCore
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
    _ test: @Sendable (RunningGateway) async throws -> Value
) async throws -> Value {
    var configuration = configuration
    configuration.port = 0
    let server = try GatewayServer(configuration, logger: .quiet)
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

    var file: String { "\(path)/sessions.sqlite" }

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
