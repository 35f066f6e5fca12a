public import Foundation

/// A session was to be updated that does not exist. An update never creates one.
public struct SessionNotFoundError: Error, Hashable, Sendable {
    /// The id that no session has.
    public let sessionID: String
}

/// A session was to be created with an id that another one has. That one is as it was.
public struct SessionAlreadyExistsError: Error, Hashable, Sendable {
    /// The id that is taken.
    public let sessionID: String
}

/// An update would break a rule of a session (<doc:SessionRules>). Nothing was changed.
public struct InvalidSessionUpdateError: Error, Hashable, Sendable {
    /// The rule that the update would break. There may be more of them in a later version.
    public struct Reason: Hashable, Sendable, CustomStringConvertible {
        /// The rule and what to do, in a sentence.
        public let description: String

        /// `connected` to `qr_waiting`: a late event of a dead socket, to be dropped.
        public static let connectedToQRWaiting = Reason(
            description: """
                connected never becomes qr_waiting, so this is a late event of a dead socket: \
                drop it, or set disconnected first to pair anew
                """
        )
        /// A QR code with a status other than `qr_waiting`.
        public static let qrCodeOutsideQRWaiting = Reason(
            description:
                "a QR code is kept only while the status is qr_waiting: set that status, or leave the code out"
        )
        /// `connected`, with ``Session/connectedAt`` cleared.
        public static let connectedWithoutConnectedAt = Reason(
            description: "a connected session has a connection time: set connected_at"
        )
        /// A date that is not finite, or further away than 64-bit milliseconds count: 292 million years.
        public static let dateOutOfRange = Reason(
            description: "connectedAt is not a date that whole milliseconds in 64 bits can hold: set another"
        )
    }

    /// The session that the update was for.
    public let sessionID: String
    /// The rule that it would break.
    public let reason: Reason
}

extension SessionNotFoundError: CustomStringConvertible, LocalizedError {
    /// `Session support not found`
    public var description: String { "Session \(sessionID) not found" }
    public var errorDescription: String? { description }
    public var recoverySuggestion: String? { "Create it first, or drop the event: it may be a deleted session's." }
}

extension SessionAlreadyExistsError: CustomStringConvertible, LocalizedError {
    /// `Session support already exists`
    public var description: String { "Session \(sessionID) already exists" }
    public var errorDescription: String? { description }
    public var recoverySuggestion: String? { "Update the session that exists, delete it first, or choose another id." }
}

extension InvalidSessionUpdateError: CustomStringConvertible, LocalizedError {
    /// `Session support cannot be updated:` and the reason.
    public var description: String { "Session \(sessionID) cannot be updated: \(reason)" }
    public var errorDescription: String? { description }
}
