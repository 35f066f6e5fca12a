public import Foundation

/// Thrown when you update or wait for a session that doesn't exist, or that is deleted while you wait. An update never creates
/// one.
public struct SessionNotFoundError: Error, Hashable, Sendable, CustomStringConvertible, LocalizedError {
    /// The id that no session has.
    public let sessionID: String

    /// Creates the error, in a test for instance.
    public init(sessionID: String) { self.sessionID = sessionID }

    /// `Session support not found`
    public var description: String { "Session \(sessionID) not found" }
    public var errorDescription: String? { description }
    public var recoverySuggestion: String? { "Create it first. If the event is from a deleted session, drop it." }
}

/// Thrown when the id of a new session is already taken. The existing session is unchanged.
public struct SessionAlreadyExistsError: Error, Hashable, Sendable, CustomStringConvertible, LocalizedError {
    /// The id that is taken.
    public let sessionID: String

    /// Creates the error, in a test for instance.
    public init(sessionID: String) { self.sessionID = sessionID }

    /// `Session support already exists`
    public var description: String { "Session \(sessionID) already exists" }
    public var errorDescription: String? { description }
    public var recoverySuggestion: String? { "Update the existing session, delete it first, or choose another id." }
}

/// Thrown when an update would break a rule of a session (<doc:SessionRules>). Nothing has changed.
public struct InvalidSessionUpdateError: Error, Hashable, Sendable, CustomStringConvertible, LocalizedError {
    /// The rule that an update would break. Later versions may add more.
    ///
    /// Two reasons are equal if their codes are.
    public struct Reason: Hashable, Sendable, CustomStringConvertible {
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
        /// A ``Session/disconnectReason`` for a session that is, or becomes, connected.
        public static let disconnectReasonWhileConnected = Reason(
            code: "disconnect_reason_while_connected",
            description: "a connected session has no disconnect reason: clear it, or set another status"
        )
        /// A date that is not finite, or more than 292 million years from 1970: 64 bits hold no more milliseconds.
        public static let dateOutOfRange = Reason(
            code: "date_out_of_range",
            description: "the date is not finite or too far from 1970 for milliseconds in 64 bits: set another one"
        )

        public static func == (a: Self, b: Self) -> Bool { a.code == b.code }

        public func hash(into hasher: inout Hasher) { hasher.combine(code) }
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

    /// `Session support cannot be updated:` and the reason.
    public var description: String { "Session \(sessionID) cannot be updated: \(reason)" }
    public var errorDescription: String? { description }
}

/// Thrown when the changes after a cursor can't all be had: some are too old and were dropped, the next one is damaged, or the
/// cursor comes from another journal, such as that of the database that a backup was made of, or from a later state of this one.
///
/// Take a new snapshot and follow the changes after its cursor.
public struct ChangeCursorExpiredError: Error, Hashable, Sendable, CustomStringConvertible, LocalizedError {
    /// The cursor.
    public let cursor: ChangeCursor
    /// What is wrong with the next change, if it is damaged; never the malformed value.
    public let damage: String?

    /// Creates the error, in a test for instance.
    public init(cursor: ChangeCursor, damage: String? = nil) {
        self.cursor = cursor
        self.damage = damage
    }

    /// `The changes after the cursor 4711-12 are not all in the journal`, and what is damaged.
    public var description: String {
        "The changes after the cursor \(cursor) are not all in the journal" + (damage.map { ": \($0)" } ?? "")
    }
    public var errorDescription: String? { description }
    public var recoverySuggestion: String? { "Take a new snapshot, and follow the changes after its cursor." }
}

/// Thrown when a session has not reached a status in time.
public struct SessionWaitTimeoutError: Error, Hashable, Sendable, CustomStringConvertible, LocalizedError {
    /// The session that was waited for.
    public let sessionID: String
    /// The statuses that would have ended the wait.
    public let statuses: Set<Session.Status>

    /// Creates the error, in a test for instance.
    public init(sessionID: String, statuses: Set<Session.Status>) {
        self.sessionID = sessionID
        self.statuses = statuses
    }

    /// `Session support did not become connected or disconnected in time`
    public var description: String {
        let names = Session.Status.allCases.filter(statuses.contains).map(\.rawValue)
        return "Session \(sessionID) did not become \(names.joined(separator: " or ")) in time"
    }
    public var errorDescription: String? { description }
}

/// Thrown when you use a lease that has ended, or that isn't the lease of that session. Nothing has changed.
///
/// A lease never comes back: stop serving its sessions, open another one, and claim them again (<doc:Leases>).
public struct LeaseLostError: Error, Hashable, Sendable, CustomStringConvertible, LocalizedError {
    /// The lease.
    public let lease: SessionLease
    /// The session that isn't served under it; `nil` when the lease itself has ended.
    public let sessionID: String?

    /// Creates the error, in a test for instance.
    public init(lease: SessionLease, sessionID: String? = nil) {
        self.lease = lease
        self.sessionID = sessionID
    }

    /// `The lease 17 of eu-1 has ended`, or `Session support is not served under the lease 17 of eu-1`
    public var description: String {
        sessionID.map { "Session \($0) is not served under the lease \(lease)" } ?? "The lease \(lease) has ended"
    }
    public var errorDescription: String? { description }
    public var recoverySuggestion: String? { "Stop serving its sessions, open another lease, and claim them again." }
}

/// Thrown when you claim a session that is served under another lease. Nothing has changed.
public struct SessionTakenError: Error, Hashable, Sendable, CustomStringConvertible, LocalizedError {
    /// The session.
    public let sessionID: String
    /// Who serves it.
    public let holder: String

    /// Creates the error, in a test for instance.
    public init(sessionID: String, holder: String) {
        self.sessionID = sessionID
        self.holder = holder
    }

    /// `Session support is served by eu-2`
    public var description: String { "Session \(sessionID) is served by \(holder)" }
    public var errorDescription: String? { description }
    public var recoverySuggestion: String? { "Leave it to that holder, and try again once its lease is over." }
}

/// Thrown when a lease is opened or renewed with an invalid holder or duration. Nothing has changed.
public struct InvalidLeaseError: Error, Hashable, Sendable, CustomStringConvertible, LocalizedError {
    /// What is wrong with it. Later versions may add more.
    ///
    /// Two reasons are equal if their codes are.
    public struct Reason: Hashable, Sendable, CustomStringConvertible {
        /// The reason's name, which never changes, such as `empty_holder`.
        public let code: String
        /// The reason and what to do, in a sentence.
        public let description: String

        /// The holder is an empty text.
        public static let emptyHolder = Reason(
            code: "empty_holder",
            description: "the holder is empty: name the process that will serve under the lease"
        )
        /// The lease would last for less than a millisecond, or for more than 366 days.
        public static let durationOutOfRange = Reason(
            code: "duration_out_of_range",
            description: "a lease lasts from a millisecond to 366 days"
        )

        public static func == (a: Self, b: Self) -> Bool { a.code == b.code }

        public func hash(into hasher: inout Hasher) { hasher.combine(code) }
    }

    /// What is wrong.
    public let reason: Reason

    /// Creates the error, in a test for instance.
    public init(reason: Reason) { self.reason = reason }

    /// `Invalid lease:` and the reason.
    public var description: String { "Invalid lease: \(reason)" }
    public var errorDescription: String? { description }
}
