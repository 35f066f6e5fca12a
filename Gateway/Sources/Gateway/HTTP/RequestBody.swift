import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

extension Request {
    /// The most that a body may have, in bytes. A worker's event takes less than 2,000.
    static let maximumBodySize = 65_536

    /// Whether a body comes with it.
    var hasBody: Bool { contentLength > 0 || headers.contains(.transferEncoding) }

    /// What the request says about its body; 0 when it says nothing.
    var contentLength: Int { headers[.contentLength].flatMap { Int($0) } ?? 0 }

    /// Refuses a body where none belongs: nobody would read it, and behind a stream it could not even be thrown away.
    func requireNoBody() throws {
        guard !hasBody else {
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
        _ context: GatewayContext,
        _ bodies: OpenBodies,
        contentTypes: [String] = ["application/json"]
    ) async throws -> Value {
        guard let contentType = headers[.contentType],
            // As nearly everybody writes it; to trim and to lower a text takes microseconds.
            contentTypes.contains(contentType)
                || contentTypes.contains(
                    contentType.prefix { $0 != ";" }.trimmingCharacters(in: .whitespaces).lowercased()
                )
        else {
            throw Problem(
                status: .unsupportedMediaType,
                code: "unsupported_content_type",
                detail: "Send the header Content-Type: \(contentTypes.joined(separator: " or "))."
            )
        }
        let body = Data(buffer: try await bodies.collect(self, context))
        // Foundation would take it for UTF-16.
        guard !body.contains(0), String(validating: body, as: UTF8.self) != nil else {
            throw Problem.badRequest("invalid_body", "The JSON of the body is not UTF-8.")
        }
        do {
            return try JSONDecoder.gateway.decode(Value.self, from: body.withoutLoneSurrogates)
        } catch let error as DecodingError {
            throw Problem.badRequest("invalid_body", error.sentence)
        }
    }
}

extension Data {
    /// The same JSON, with U+FFFD for each half of a character: JavaScript cuts a text between the two and encodes what is left.
    var withoutLoneSurrogates: Data {
        guard contains(UInt8(ascii: "\\")) else { return self }
        let bytes = Array(self)
        var mended: [UInt8] = []
        var place = 0
        /// The code unit of an escape such as `\u2615`, if there is one.
        func unit(at place: Int) -> UInt16? {
            guard place + 6 <= bytes.count, bytes[place] == UInt8(ascii: "\\"), bytes[place + 1] == UInt8(ascii: "u")
            else {
                return nil
            }
            return UInt16(String(decoding: bytes[place + 2..<place + 6], as: UTF8.self), radix: 16)
        }
        while let start = bytes[place...].firstIndex(of: UInt8(ascii: "\\")) {
            mended += bytes[place..<start]
            let (first, second) = (unit(at: start), unit(at: start + 6))
            switch first {
            case let first? where UTF16.isLeadSurrogate(first) && second.map(UTF16.isTrailSurrogate) == true:
                place = start + 12
                mended += bytes[start..<place]
            case let first? where UTF16.isLeadSurrogate(first) || UTF16.isTrailSurrogate(first):
                place = start + 6
                mended += "\\ufffd".utf8
            default:
                // An escape has at least two characters; the second may be a backslash.
                place = Swift.min(start + 2, bytes.count)
                mended += bytes[start..<place]
            }
        }
        return place == 0 ? self : Data(mended + bytes[place...])
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
