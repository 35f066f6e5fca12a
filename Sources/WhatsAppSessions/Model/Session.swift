public import Foundation

/// The state of one WhatsApp account, as ``SessionManager`` knew it when asked.
public struct Session: Identifiable, Hashable, Codable, Sendable {
    /// The state of the account's connection to WhatsApp.
    ///
    /// Any status may follow any other, except that ``connected`` never becomes ``qrWaiting``. See <doc:SessionRules>.
    public enum Status: String, Codable, CaseIterable, Sendable {
        /// The worker is opening a socket, or reconnecting.
        case initializing
        /// A QR code is waiting to be scanned; `qr_waiting` in JSON and in the database.
        case qrWaiting = "qr_waiting"
        /// The account is online.
        case connected
        /// The account is offline, and nothing is being done about it.
        case disconnected
    }

    /// An operator's request. It is kept, across restarts, until an update clears it: the host tells the worker, and clears the
    /// wish once the worker has done it.
    public enum Wish: String, Codable, CaseIterable, Sendable {
        /// Close the connection, and keep what links the account.
        case stop
        /// Unlink the account on the phone.
        case logOut = "logout"
        /// Forget what links the account, and show a code.
        case pair
    }

    /// The id that the host chose, or a generated UUID in lowercase. Ids are compared byte by byte, so two that Swift
    /// calls equal (`é` as one scalar or as two) are two sessions.
    public let id: String
    /// The state of the connection.
    public let status: Status
    /// The account's number in digits with the country code and no `+`, known after pairing.
    public let phoneNumber: String?
    /// The account's own name. WhatsApp sends it seconds after the connection.
    public let name: String?
    /// When the session was created, in whole milliseconds like a JavaScript `Date`.
    public let createdAt: Date
    /// The start of the current connection, or of the last one, in whole milliseconds; `nil` before the first.
    public let connectedAt: Date?
    /// The QR code that is waiting to be scanned; never set outside ``Status/qrWaiting``.
    ///
    /// It is a credential: whoever scans it links a device to the account. Printing a session shows only that there is
    /// one. Encoding a session includes it, for the page that draws it.
    public let qrCode: String?
    /// When ``status`` became what it is, in whole milliseconds; ``createdAt`` until it first changes.
    public let statusChangedAt: Date
    /// When WhatsApp sent ``qrCode``, if the worker said so, or else when it was stored; in whole milliseconds, `nil` without one.
    public let qrCodeReceivedAt: Date?
    /// When WhatsApp stops accepting ``qrCode``; `nil` without one.
    ///
    /// The first code of a pairing is good for 60 seconds, later ones for 20. Whether a code is the first since the status became
    /// ``Status/qrWaiting`` is decided when it is stored.
    public let qrCodeExpiresAt: Date?
    /// Why the account last went offline. It stays while the account is paired again, and is `nil` once it is connected.
    public let disconnectReason: DisconnectReason?
    /// What WhatsApp doesn't let the account do although it may be online, in the worker's words; `nil` when there is nothing. Only an
    /// update clears it, not a change of the status.
    public let restriction: String?
    /// Who serves the session: the holder of the lease under which it was claimed, until that lease is over; `nil` when nobody does
    /// (<doc:Leases>).
    public let holder: String?
    /// The operator's pending request, or `nil`. No change of the status clears it.
    public let wish: Wish?

    /// Creates a value, in a test for instance. No manager knows of it. `statusChangedAt` is `createdAt` unless given.
    public init(
        id: String,
        status: Status,
        phoneNumber: String? = nil,
        name: String? = nil,
        createdAt: Date,
        connectedAt: Date? = nil,
        qrCode: String? = nil,
        statusChangedAt: Date? = nil,
        qrCodeReceivedAt: Date? = nil,
        disconnectReason: DisconnectReason? = nil,
        qrCodeExpiresAt: Date? = nil,
        restriction: String? = nil,
        holder: String? = nil,
        wish: Wish? = nil
    ) {
        self.id = id
        self.status = status
        self.phoneNumber = phoneNumber
        self.name = name
        self.createdAt = createdAt
        self.connectedAt = connectedAt
        self.qrCode = qrCode
        self.statusChangedAt = statusChangedAt ?? createdAt
        self.qrCodeReceivedAt = qrCodeReceivedAt
        self.qrCodeExpiresAt = qrCodeExpiresAt
        self.disconnectReason = disconnectReason
        self.holder = holder
        self.restriction = restriction
        self.wish = wish
    }
}

extension Session {
    /// The same session, served by this holder or by nobody.
    func served(by holder: String?) -> Session {
        Session(
            id: id,
            status: status,
            phoneNumber: phoneNumber,
            name: name,
            createdAt: createdAt,
            connectedAt: connectedAt,
            qrCode: qrCode,
            statusChangedAt: statusChangedAt,
            qrCodeReceivedAt: qrCodeReceivedAt,
            disconnectReason: disconnectReason,
            qrCodeExpiresAt: qrCodeExpiresAt,
            restriction: restriction,
            holder: holder,
            wish: wish
        )
    }
}

extension Session.Status {
    /// Decodes the raw value.
    ///
    /// - Throws: `DecodingError` for any other text. It doesn't show the text, which may be a QR code in the wrong place.
    public init(from decoder: any Decoder) throws { self = try decoder.decodeCase(of: "status") }
}

extension Session.Wish {
    /// Decodes the raw value.
    ///
    /// - Throws: `DecodingError` for any other text, which it doesn't show.
    public init(from decoder: any Decoder) throws { self = try decoder.decodeCase(of: "wish") }
}

extension Decoder {
    fileprivate func decodeCase<Value: RawRepresentable<String> & CaseIterable>(of name: String) throws -> Value {
        let container = try singleValueContainer()
        guard let value = Value(rawValue: try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(
                in: container,
                debugDescription: "the \(name) is none of \(Value.allCases.map(\.rawValue).joined(separator: ", "))"
            )
        }
        return value
    }
}

extension Session: Redacted {
    /// The session's fields, with `(hidden)` in place of a QR code.
    public var customMirror: Mirror {
        let children: KeyValuePairs<String, Any> = [
            "id": id,
            "status": status,
            "phoneNumber": phoneNumber as Any,
            "name": name as Any,
            "createdAt": createdAt,
            "connectedAt": connectedAt as Any,
            "qrCode": qrCode.map { _ in Self.hidden } as Any,
            "statusChangedAt": statusChangedAt,
            "qrCodeReceivedAt": qrCodeReceivedAt as Any,
            "qrCodeExpiresAt": qrCodeExpiresAt as Any,
            "disconnectReason": disconnectReason as Any,
            "restriction": restriction as Any,
            "holder": holder as Any,
            "wish": wish as Any,
        ]
        return Mirror(self, children: children, displayStyle: .struct)
    }
}
