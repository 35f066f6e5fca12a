/// An engine that keeps sessions: what it is asked for, whatever it keeps them in.
///
/// The `async` methods wait without blocking the thread that they are called on.
protocol SessionStore: Sendable {
    /// Whether other processes can change the sessions, so that followers must look for their changes.
    var isShared: Bool { get }

    /// The session with an id. Not among the other reads: it is the one that a gateway makes most, and a struct that can hold
    /// every answer would cost it a fifteenth more.
    func session(_ id: String) throws -> Session?
    func session(_ id: String) async throws -> Session?

    func exists(_ id: String) throws -> Bool
    func exists(_ id: String) async throws -> Bool

    /// Finds something, as it is at one moment. It sees every write that returned before.
    func read(_ read: SessionRead) throws -> Found
    func read(_ read: SessionRead) async throws -> Found

    /// Changes something: all of it or, when it throws, nothing, unless the error says that the outcome is unknown. In a file it is
    /// on the disk when this returns.
    func write(_ write: SessionWrite) throws -> Written
    func write(_ write: SessionWrite) async throws -> Written

    /// Writes the sessions to an empty file at `path`, as an SQLite database of its own. Blocks for as long as it takes.
    func copy(to path: String) throws

    /// Ends the store. Later calls throw; closing again does nothing. Blocks for as long as it takes.
    func close() throws
}

extension DatabaseError {
    static var closed: DatabaseError {
        DatabaseError(resultCode: .misuse, message: "the database was closed: open it again")
    }
}
