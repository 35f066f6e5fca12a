/// All sessions at one moment, and the cursor of the last change that they include.
public struct SessionSnapshot: Sendable {
    /// The sessions in order of creation, without those that are damaged.
    public let sessions: [Session]
    /// What follows after this cursor is not in ``sessions`` yet.
    public let cursor: ChangeCursor
    /// The sessions that can't be read, in order of creation.
    public let damages: [SessionDamage]

    /// Creates a value, in a test for instance.
    public init(sessions: [Session], cursor: ChangeCursor, damages: [SessionDamage] = []) {
        self.sessions = sessions
        self.cursor = cursor
        self.damages = damages
    }
}

/// The next sessions of a list, in order of creation.
public struct SessionPage: Sendable {
    /// The sessions, without those that are damaged.
    public let sessions: [Session]
    /// The sessions that can't be read.
    public let damages: [SessionDamage]
    /// The place after which the list goes on; `nil` at its end. It stays good when sessions are created or deleted, with one
    /// exception: SQLite gives the place of the newest session again once that was deleted, so the next one that is created may be
    /// missed.
    public let next: Int64?

    /// Creates a value, in a test for instance.
    public init(sessions: [Session], damages: [SessionDamage] = [], next: Int64? = nil) {
        self.sessions = sessions
        self.damages = damages
        self.next = next
    }
}

/// A session whose row can't be read, because something wrote past the rules or the file is damaged.
///
/// Mend it with an update that sets the field, or delete it: by its id, or in the shell by its `seq`.
public struct SessionDamage: Hashable, Codable, Sendable, CustomStringConvertible {
    /// The session's id; `nil` when the id itself is damaged.
    public let sessionID: String?
    /// The `seq` of its row in the table `sessions`.
    public let seq: Int64
    /// What is wrong: which column, never its value.
    public let description: String

    /// Creates a value, in a test for instance.
    public init(sessionID: String?, seq: Int64, description: String) {
        self.sessionID = sessionID
        self.seq = seq
        self.description = description
    }
}
