/// All sessions at one moment, and the cursor of the last change that they include.
public struct SessionSnapshot: Sendable {
    /// The sessions in order of creation.
    public let sessions: [Session]
    /// What follows after this cursor is not in ``sessions`` yet.
    public let cursor: ChangeCursor

    /// Creates a value, in a test for instance.
    public init(sessions: [Session], cursor: ChangeCursor) {
        self.sessions = sessions
        self.cursor = cursor
    }
}
