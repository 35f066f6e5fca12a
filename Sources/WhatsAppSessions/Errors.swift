public import Foundation

/// Thrown when you update a session that doesn't exist. An update never creates one.
public struct SessionNotFoundError: Error, Hashable, Sendable {
    /// The id that no session has.
    public let sessionID: String

    /// Creates the error, in a test for instance.
    public init(sessionID: String) { self.sessionID = sessionID }
}

/// Thrown when the id of a new session is already taken. The existing session is unchanged.
public struct SessionAlreadyExistsError: Error, Hashable, Sendable {
    /// The id that is taken.
    public let sessionID: String

    /// Creates the error, in a test for instance.
    public init(sessionID: String) { self.sessionID = sessionID }
}

/// Thrown when an update would break a rule of a session (<doc:SessionRules>). Nothing has changed.
public struct InvalidSessionUpdateError: Error, Hashable, Sendable {
    /// The rule that an update would break. Later versions may add more.
    ///
    /// Two reasons are equal if their codes are.
    public struct Reason: Sendable, CustomStringConvertible {
        /// The rule's name, which never changes, such as `connected_to_qr_waiting`.
        public let code: String
        /// The rule and what to do, in a sentence.
        public let description: String

        /// A connected session never becomes `qr_waiting`: a late event from a dead socket, to be dropped.
        public static let connectedToQRWaiting = Reason(
            code: "connected_to_qr_waiting",
            description: """
                connected never becomes qr_waiting, so this is a late event from a dead socket: \
                drop it, or set disconnected first to pair again
                """
        )
        /// A QR code with a status other than `qr_waiting`.
        public static let qrCodeOutsideQRWaiting = Reason(
            code: "qr_code_outside_qr_waiting",
            description:
                "a QR code is kept only while the status is qr_waiting: set that status, or leave the code out"
        )
        /// A connected session whose ``Session/connectedAt`` would be cleared.
        public static let connectedWithoutConnectedAt = Reason(
            code: "connected_without_connected_at",
            description: "a connected session has a connection time: set connected_at"
        )
        /// A date that is not finite, or more than 292 million years from 1970: 64 bits hold no more milliseconds.
        public static let dateOutOfRange = Reason(
            code: "date_out_of_range",
            description: "connectedAt is not finite or too far from 1970 for milliseconds in 64 bits: set another date"
        )
    }

    /// The session that the update was for.
    public let sessionID: String
    /// The rule that it would break.
    public let reason: Reason

    /// Creates the error, in a test for instance.
    public init(sessionID: String, reason: Reason) {
        self.sessionID = sessionID
        self.reason = reason
    }
}

extension InvalidSessionUpdateError.Reason: Hashable {
    public static func == (a: Self, b: Self) -> Bool { a.code == b.code }

    public func hash(into hasher: inout Hasher) { hasher.combine(code) }
}

extension SessionNotFoundError: CustomStringConvertible, LocalizedError {
    /// `Session support not found`
    public var description: String { "Session \(sessionID) not found" }
    public var errorDescription: String? { description }
    public var recoverySuggestion: String? { "Create it first. If the event is from a deleted session, drop it." }
}

extension SessionAlreadyExistsError: CustomStringConvertible, LocalizedError {
    /// `Session support already exists`
    public var description: String { "Session \(sessionID) already exists" }
    public var errorDescription: String? { description }
    public var recoverySuggestion: String? { "Update the existing session, delete it first, or choose another id." }
}

extension InvalidSessionUpdateError: CustomStringConvertible, LocalizedError {
    /// `Session support cannot be updated:` and the reason.
    public var description: String { "Session \(sessionID) cannot be updated: \(reason)" }
    public var errorDescription: String? { description }
}
