public import Foundation

/// What an update does with a field that can be empty.
public enum FieldUpdate<Value> {
    /// The field keeps its value.
    case unchanged
    /// The field takes this value.
    case set(Value)
    /// The field becomes `nil`.
    case clear
}

extension FieldUpdate {
    var isChange: Bool {
        if case .unchanged = self { false } else { true }
    }

    var newValue: Value? {
        if case .set(let value) = self { value } else { nil }
    }
}

extension FieldUpdate: Equatable where Value: Equatable {}
extension FieldUpdate: Hashable where Value: Hashable {}
extension FieldUpdate: Sendable where Value: Sendable {}

/// A change to some fields of a session: TypeScript's `Partial<Session>`, where clearing a field can be said.
///
/// For example:
/// ```swift
/// try manager.updateSession("support", SessionUpdates(status: .qrWaiting, qrCode: .set(code)))
/// ```
///
/// It decodes from a JSON merge patch ([RFC 7396](https://www.rfc-editor.org/rfc/rfc7396)): a field that is absent stays
/// unchanged, `null` clears it. `"status": null` and a status that does not exist are decoding errors. The id and the
/// creation time cannot be changed, so they are not here; in JSON they are passed over, as every unknown field is.
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

    /// Creates an update; what is not named stays unchanged.
    public init(
        status: Session.Status? = nil,
        phoneNumber: FieldUpdate<String> = .unchanged,
        name: FieldUpdate<String> = .unchanged,
        connectedAt: FieldUpdate<Date> = .unchanged,
        qrCode: FieldUpdate<String> = .unchanged
    ) {
        self.status = status
        self.phoneNumber = phoneNumber
        self.name = name
        self.connectedAt = connectedAt
        self.qrCode = qrCode
    }
}

extension SessionUpdates: Decodable {
    private enum CodingKeys: CodingKey {
        case status, phoneNumber, name, connectedAt, qrCode
    }

    /// Decodes a JSON merge patch; a date as the decoder's strategy has it.
    ///
    /// - Throws: `DecodingError` when `status` is `null` or unknown, or a field has another type.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)

        func field<Value: Decodable>(_ key: CodingKeys) throws -> FieldUpdate<Value> {
            guard container.contains(key) else { return .unchanged }
            return try container.decodeNil(forKey: key) ? .clear : .set(container.decode(Value.self, forKey: key))
        }

        // `decodeIfPresent` would read null as absent.
        status = container.contains(.status) ? try container.decode(Session.Status.self, forKey: .status) : nil
        phoneNumber = try field(.phoneNumber)
        name = try field(.name)
        connectedAt = try field(.connectedAt)
        qrCode = try field(.qrCode)
    }
}

extension SessionUpdates: Redacted {
    /// The update's fields, with `(hidden)` in place of a QR code.
    public var customMirror: Mirror {
        let children: KeyValuePairs<String, Any> = [
            "status": status as Any,
            "phoneNumber": phoneNumber,
            "name": name,
            "connectedAt": connectedAt,
            "qrCode": qrCode.newValue == nil ? qrCode : .set(Self.hidden),
        ]
        return Mirror(self, children: children, displayStyle: .struct)
    }
}
