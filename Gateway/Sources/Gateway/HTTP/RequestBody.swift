import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

extension Request {
    /// The most that a body may have, in bytes. A worker's event takes less than 2,000.
    static let maximumBodySize = 65_536

    /// What the request says about its body; 0 when it says nothing.
    var contentLength: Int { headers[.contentLength].flatMap { Int($0) } ?? 0 }

    /// Refuses a body where none belongs: nobody would read it, and behind a stream it could not even be thrown away.
    func requireNoBody() throws {
        guard contentLength == 0, !headers.contains(.transferEncoding) else {
            throw Problem.badRequest("unexpected_body", "A \(method) request has no body here: leave it out.")
        }
    }

    /// Reads the body and decodes it.
    ///
    /// - Parameter contentTypes: The content types that the route accepts.
    /// - Throws: ``Problem`` with the status 415 for another content type, and 400, which names the place and never the
    ///   value, when the body is not valid.
    func json<Value: Decodable>(
        as type: Value.Type,
        contentTypes: [String] = ["application/json"]
    ) async throws -> Value {
        let contentType = headers[.contentType]?.prefix { $0 != ";" }.trimmingCharacters(in: .whitespaces).lowercased()
        guard let contentType, contentTypes.contains(contentType) else {
            throw Problem(
                status: .unsupportedMediaType,
                code: "unsupported_content_type",
                detail: "Send the header Content-Type: \(contentTypes.joined(separator: " or "))."
            )
        }
        let body = try await body.collect(upTo: Self.maximumBodySize)
        do {
            return try JSONDecoder.gateway.decode(Value.self, from: Data(buffer: body))
        } catch let error as DecodingError {
            throw Problem.badRequest("invalid_body", error.sentence)
        }
    }
}

extension DecodingError {
    /// What is wrong, and where. The description of the error itself would show the value.
    fileprivate var sentence: String {
        let (context, fault) =
            switch self {
            case .keyNotFound(let key, let context): (context, "has no field \"\(key.stringValue)\"")
            case .typeMismatch(_, let context): (context, "has the wrong type")
            case .valueNotFound(_, let context): (context, "must not be null")
            case .dataCorrupted(let context): (context, "is not valid")
            @unknown default: (Context(codingPath: [], debugDescription: ""), "is not valid")
            }
        let place = context.codingPath.map(\.stringValue).joined(separator: ".")
        return place.isEmpty ? "The JSON of the body \(fault)." : "In the JSON of the body, \"\(place)\" \(fault)."
    }
}

extension JSONDecoder {
    /// Dates are ISO 8601 with or without milliseconds, or milliseconds since 1970.
    static var gateway: JSONDecoder {
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .custom { decoder in
            let container = try decoder.singleValueContainer()
            let date =
                if let milliseconds = try? container.decode(Double.self) {
                    Date(timeIntervalSince1970: milliseconds / 1000)
                } else {
                    Date(iso8601: try container.decode(String.self))
                }
            guard let date, Date.writable.contains(date) else {
                throw DecodingError.dataCorruptedError(in: container, debugDescription: "this is not a date")
            }
            return date
        }
        return decoder
    }
}
