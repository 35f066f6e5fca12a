import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import WhatsAppSessions

extension Response {
    static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
        json(ByteBuffer(data: try JSONEncoder.gateway.encode(value)), status: status)
    }

    /// - Parameter withQRCode: Whether whoever asks may see the code.
    static func session(
        _ session: Session,
        withQRCode: Bool = true,
        status: HTTPResponse.Status = .ok
    ) -> Response {
        var text: [UInt8] = []
        text.reserveCapacity(1024)
        text.writeSession(session, withQRCode: withQRCode)
        return json(ByteBuffer(bytes: text), status: status)
    }

    static func json(_ buffer: ByteBuffer, status: HTTPResponse.Status = .ok) -> Response {
        Response(
            status: status,
            headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: buffer)
        )
    }
}

extension JSONEncoder {
    /// Dates are ISO 8601 with milliseconds; keys come in order, so that the same value has the same text.
    static var gateway: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .custom { date, encoder in
            var container = encoder.singleValueContainer()
            try container.encode(date.iso8601)
        }
        return encoder
    }
}

extension Date {
    /// From 1970 on, as long as ISO 8601 writes a year with four digits.
    static let writable = Date(timeIntervalSince1970: 0)...Date(timeIntervalSince1970: 253_402_300_799.999)

    private static let format = Date.ISO8601FormatStyle(includingFractionalSeconds: true)

    /// `2026-03-02T09:01:51.403Z`. A date that cannot be written so, which only someone using the shell can store, becomes the
    /// nearest one.
    var iso8601: String {
        // The format cuts off what is less than a millisecond, and 941 ms are 0.940999… seconds.
        Date(timeIntervalSince1970: (Double(millisecondsSince1970) + 0.5) / 1000).formatted(Self.format)
    }

    /// The whole milliseconds of ``iso8601``.
    var millisecondsSince1970: Int64 {
        let written = min(max(self, Self.writable.lowerBound), Self.writable.upperBound)
        return Int64((written.timeIntervalSince1970 * 1000).rounded())
    }

    /// Reads ISO 8601, with a fraction of a second or without.
    init?(iso8601 text: String) {
        guard let date = (try? Date(text, strategy: Self.format)) ?? (try? Date(text, strategy: .iso8601)) else {
            return nil
        }
        self.init(timeIntervalSince1970: (date.timeIntervalSince1970 * 1000).rounded() / 1000)
    }
}
