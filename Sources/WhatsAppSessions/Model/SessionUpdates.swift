public import Foundation

/// A change to some fields of a session: TypeScript's `Partial<Session>`, where clearing a field can be said.
///
/// For example:
/// ```swift
/// try manager.updateSession("support", SessionUpdates(status: .qrWaiting, qrCode: .set(code)))
/// ```
///
/// In JSON it is a merge patch ([RFC 7396](https://www.rfc-editor.org/rfc/rfc7396)): an absent field stays unchanged, and
/// `null` clears it. `"status": null`, unknown statuses and unknown wishes are decoding errors. The id and the creation time never change,
/// so they are not here; in JSON they are ignored, as any unknown field is. A reason is replaced as a whole, unlike an
/// object in RFC 7396, whose members are merged.
public struct SessionUpdates: Hashable, Sendable {
    /// The new status; `nil` leaves it unchanged.
    public var status: Session.Status?
    /// The account's number, in digits with the country code.
    public var phoneNumber: FieldUpdate<String>
    /// The account's own name.
    public var name: FieldUpdate<String>
    /// The start of the connection, rounded to whole milliseconds. It is stamped with the current time when the status
    /// becomes connected and this is unchanged.
    public var connectedAt: FieldUpdate<Date>
    /// The QR code to scan; a credential. It is dropped when the status leaves `qr_waiting`.
    public var qrCode: FieldUpdate<String>
    /// When WhatsApp sent ``qrCode``, rounded to whole milliseconds, for a code that comes late. Defaults to the current time, which
    /// also replaces a time in the future, and is ignored unless ``qrCode`` changes.
    public var qrCodeReceivedAt: Date?
    /// Why the account went offline. It is cleared when the status becomes connected.
    public var disconnectReason: FieldUpdate<DisconnectReason>
    /// What WhatsApp doesn't let the account do.
    public var restriction: FieldUpdate<String>
    /// The operator's pending request.
    public var wish: FieldUpdate<Session.Wish>

    /// Creates an update; what is not named stays unchanged.
    public init(
        status: Session.Status? = nil,
        phoneNumber: FieldUpdate<String> = .unchanged,
        name: FieldUpdate<String> = .unchanged,
        connectedAt: FieldUpdate<Date> = .unchanged,
        qrCode: FieldUpdate<String> = .unchanged,
        qrCodeReceivedAt: Date? = nil,
        disconnectReason: FieldUpdate<DisconnectReason> = .unchanged,
        restriction: FieldUpdate<String> = .unchanged,
        wish: FieldUpdate<Session.Wish> = .unchanged
    ) {
        self.status = status
        self.phoneNumber = phoneNumber
        self.name = name
        self.connectedAt = connectedAt
        self.qrCode = qrCode
        self.qrCodeReceivedAt = qrCodeReceivedAt
        self.disconnectReason = disconnectReason
        self.restriction = restriction
        self.wish = wish
    }
}

extension SessionUpdates: Codable {
    private enum CodingKeys: CodingKey {
        case status, phoneNumber, name, connectedAt, qrCode, qrCodeReceivedAt, disconnectReason, restriction, wish
    }

    /// Decodes a JSON merge patch; a date as the decoder's strategy has it.
    ///
    /// - Throws: `DecodingError` when `status` is `null` or unknown, `wish` is unknown, or a field has another type. It names the field, never
    ///   the value.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)

        func value<Value: Decodable>(_ key: CodingKeys) throws -> Value {
            do {
                return try container.decode(Value.self, forKey: key)
            } catch {
                // The decoder's own description may show the value.
                throw DecodingError.dataCorruptedError(
                    forKey: key,
                    in: container,
                    debugDescription: "\(key.stringValue) is not a valid \(Value.self)"
                )
            }
        }

        func field<Value: Decodable>(_ key: CodingKeys) throws -> FieldUpdate<Value> {
            guard container.contains(key) else { return .unchanged }
            return try container.decodeNil(forKey: key) ? .clear : .set(value(key))
        }

        // `decodeIfPresent` would take null for absent.
        status = container.contains(.status) ? try value(.status) as Session.Status : nil
        phoneNumber = try field(.phoneNumber)
        name = try field(.name)
        connectedAt = try field(.connectedAt)
        qrCode = try field(.qrCode)
        qrCodeReceivedAt = try (field(.qrCodeReceivedAt) as FieldUpdate<Date>).newValue
        disconnectReason = try field(.disconnectReason)
        restriction = try field(.restriction)
        wish = try field(.wish)
    }

    /// Encodes the JSON merge patch that decodes to this update.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)

        func encode<Value: Encodable>(_ update: FieldUpdate<Value>, _ key: CodingKeys) throws {
            switch update {
            case .unchanged: break
            case .set(let value): try container.encode(value, forKey: key)
            case .clear: try container.encodeNil(forKey: key)
            }
        }

        try container.encodeIfPresent(status, forKey: .status)
        try encode(phoneNumber, .phoneNumber)
        try encode(name, .name)
        try encode(connectedAt, .connectedAt)
        try encode(qrCode, .qrCode)
        try container.encodeIfPresent(qrCodeReceivedAt, forKey: .qrCodeReceivedAt)
        try encode(disconnectReason, .disconnectReason)
        try encode(restriction, .restriction)
        try encode(wish, .wish)
    }
}
