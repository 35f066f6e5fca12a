import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import WhatsAppSessions

/// A session as its JSON: the library's, and what a worker or a page would have to work out.
struct SessionJSON: Encodable {
    private let session: Session
    private let pairing: Pairing?

    /// How the code that waits is used: scanned, or typed into the phone.
    private enum Pairing: String, Encodable { case qr, code }

    /// A single session has its code, for whoever asks for that one. Lists, events and webhooks have none.
    init(_ session: Session, withQRCode: Bool = false) {
        pairing = session.qrCode.map { PairingCode.isOne($0) ? .code : .qr }
        self.session = session.shown(withQRCode: withQRCode, withExpiry: pairing != .code)
    }

    private enum CodingKeys: String, CodingKey {
        case needsSocket
        case isLinked = "linked"
        case pairing
    }

    func encode(to encoder: any Encoder) throws {
        try session.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(session.needsSocket, forKey: .needsSocket)
        try container.encode(session.isLinked, forKey: .isLinked)
        try container.encodeIfPresent(pairing, forKey: .pairing)
    }
}

/// A code of eight characters that a person types into the phone, where no picture can be scanned.
enum PairingCode {
    static func isOne(_ text: String) -> Bool {
        // Not by a regular expression, which takes microseconds.
        let bytes = Array(text.utf8.prefix(10))
        let letters = bytes.count == 9 && bytes[4] == UInt8(ascii: "-") ? bytes[..<4] + bytes[5...] : bytes[...]
        return letters.count == 8
            && letters.allSatisfy {
                (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
            }
    }
}

extension Session {
    /// - Parameter withExpiry: Whether the end of the code is known: the library's is that of a QR code.
    fileprivate func shown(withQRCode: Bool, withExpiry: Bool) -> Session {
        Session(
            id: id,
            status: status,
            phoneNumber: phoneNumber,
            name: name,
            createdAt: createdAt,
            connectedAt: connectedAt,
            qrCode: withQRCode ? qrCode : nil,
            statusChangedAt: statusChangedAt,
            qrCodeReceivedAt: qrCodeReceivedAt,
            disconnectReason: disconnectReason,
            qrCodeExpiresAt: withExpiry ? qrCodeExpiresAt : nil,
            restriction: restriction,
            holder: holder,
            wish: wish
        )
    }
}

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
        var buffer = ByteBuffer()
        buffer.reserveCapacity(512)
        buffer.writeSession(session, withQRCode: withQRCode)
        return json(buffer, status: status)
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
