/// All sessions at one moment, and the place in the journal where what comes after begins.
public struct SessionSnapshot: Sendable {
    /// The sessions in order of creation.
    public let sessions: [Session]
    /// What follows after this cursor is not in ``sessions`` yet.
    public let cursor: ChangeCursor
}
