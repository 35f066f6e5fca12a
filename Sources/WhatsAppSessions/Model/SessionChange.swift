public import Foundation

/// One change of a session, as the journal keeps it.
///
/// It holds no QR code, number or name: the journal outlives them. Read the session for those.
public struct SessionChange: Identifiable, Hashable, Codable, Sendable {
    /// What happened to the session.
    public enum Kind: String, Codable, Sendable {
        case created, updated, deleted
    }

    /// The position right after this change. Keep it to resume from here.
    public let cursor: ChangeCursor
    /// The session that changed, which may be gone by now.
    public let sessionID: String
    /// What happened to it.
    public let kind: Kind
    /// When the database made the change, in whole milliseconds.
    public let date: Date
    /// Which fields an update changed; empty for other kinds.
    public let fields: Fields
    /// The status before; `nil` for a creation.
    public let previousStatus: Session.Status?
    /// The status after; `nil` for a deletion. For an update without ``Fields/status`` it is the same as before.
    public let status: Session.Status?
    /// Why the account is offline, in a change of the status or the reason; `nil` in any other.
    public let disconnectReason: DisconnectReason?

    /// The same as ``cursor``.
    public var id: ChangeCursor { cursor }

    /// Creates a value, in a test for instance.
    public init(
        cursor: ChangeCursor,
        sessionID: String,
        kind: Kind,
        date: Date,
        fields: Fields = [],
        previousStatus: Session.Status? = nil,
        status: Session.Status? = nil,
        disconnectReason: DisconnectReason? = nil
    ) {
        self.cursor = cursor
        self.sessionID = sessionID
        self.kind = kind
        self.date = date
        self.fields = fields
        self.previousStatus = previousStatus
        self.status = status
        self.disconnectReason = disconnectReason
    }
}

extension SessionChange {
    /// Fields of a session. In JSON it is an array of their names.
    public struct Fields: OptionSet, Hashable, Sendable {
        // The view `session_history` has the same bits.
        public let rawValue: Int

        public init(rawValue: Int) { self.rawValue = rawValue }

        public static let status = Fields(rawValue: 1)
        public static let phoneNumber = Fields(rawValue: 2)
        public static let name = Fields(rawValue: 4)
        public static let connectedAt = Fields(rawValue: 8)
        public static let qrCode = Fields(rawValue: 16)
        public static let disconnectReason = Fields(rawValue: 32)
        /// The session was claimed, released or recovered. When a lease runs out, ``Session/holder`` becomes `nil` without a change.
        public static let holder = Fields(rawValue: 64)
        public static let restriction = Fields(rawValue: 128)
        public static let wish = Fields(rawValue: 256)

        static let names: [(field: Fields, name: String)] = [
            (.status, "status"), (.phoneNumber, "phoneNumber"), (.name, "name"), (.connectedAt, "connectedAt"),
            (.qrCode, "qrCode"), (.disconnectReason, "disconnectReason"), (.holder, "holder"),
            (.restriction, "restriction"), (.wish, "wish"),
        ]
    }
}

extension SessionChange.Fields: Codable {
    /// Decodes an array of names; ignores those that it doesn't know, which a later version may have added.
    public init(from decoder: any Decoder) throws {
        let found = try decoder.singleValueContainer().decode([String].self)
        self.init(Self.names.filter { found.contains($0.name) }.map(\.field))
    }

    /// Encodes an array of names.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(Self.names.filter { contains($0.field) }.map(\.name))
    }
}

extension SessionChange.Fields: CustomStringConvertible {
    /// `[status, qrCode]`
    public var description: String {
        "[\(Self.names.filter { contains($0.field) }.map(\.name).joined(separator: ", "))]"
    }
}
