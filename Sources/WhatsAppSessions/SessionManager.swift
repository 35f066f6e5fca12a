import Foundation

/// The sessions of a gateway, one for each WhatsApp account.
///
/// For example:
/// ```swift
/// let manager = try SessionManager()
/// try manager.createSession("support")
/// try manager.updateSession("support", SessionUpdates(status: .qrWaiting, qrCode: .set(code)))
/// try manager.updateSession("support", SessionUpdates(status: .connected))
/// ```
///
/// The rows are in an SQLite database, or in PostgreSQL for several hosts (<doc:BeyondOneMachine>), and the schema holds the rules
/// (<doc:SessionRules>). An update that would break one throws an error and changes nothing.
///
/// Every method may be called from any thread. Each that reads or writes the database has an `async` overload, which Swift
/// chooses in `async` code. In memory both take microseconds; `backUp` and a list take longer the more sessions there are. In
/// a file a read waits neither for the disk nor for a writer, and a change waits for the disk and for the locks of other
/// processes, for at most about a minute from its own call (<doc:Durability>). An `async` call waits without blocking a
/// thread of Swift's cooperative pool. Cancelling a task does not cancel its call; only following changes and waiting for a
/// session end then.
///
/// Any method may also throw ``DatabaseError``, when the database cannot do its work: out of memory, a
/// disk error, a text longer than 1,000,000,000 bytes in SQLite or 8,000,000 in PostgreSQL, a damaged row, a manager that was closed, or a
/// process that was forked since the manager was opened.
public final class SessionManager: Sendable {
    /// A manager for programs that need only one. Its sessions are in memory and end with the process.
    ///
    /// Opening it can fail only if memory runs out or SQLite is older than 3.37. Both terminate the process.
    public static let shared = try! SessionManager()

    let store: any SessionStore
    let feed: ChangeFeed
    /// For `async` calls of what blocks.
    let copying = Threads(limit: 2)
    let closing = Threads(limit: 1)
    let owner = Fork.Owner()

    init(_ store: any SessionStore) {
        self.store = store
        feed = ChangeFeed(store)
    }

    /// Opens the sessions in memory, new and empty, or in a file (<doc:Durability>).
    ///
    /// - Throws: ``DatabaseError`` with the reason when the file cannot be opened or created, belongs to another program
    ///   or a newer version of this library, is damaged, or cannot have a write-ahead log.
    public convenience init(storage: Storage = .memory) throws {
        self.init(try storage.open())
    }

    #if Postgres
    /// Opens the sessions, and has `log` told what an operator should know later: that the connection to the server was lost or is
    /// back, and, every five seconds, which process holds a lock that a change waits for.
    ///
    /// - Parameters:
    ///   - storage: Where the rows are.
    ///   - log: Called with a sentence, on any thread, while a call waits: it should return soon. About sessions in memory or in a file
    ///     there is nothing to tell.
    /// - Throws: ``DatabaseError`` with the reason when the database cannot be reached or used.
    public convenience init(storage: Storage, log: @escaping @Sendable (String) -> Void) throws {
        self.init(try storage.open(log: log))
    }
    #endif

    deinit { try? store.close() }

    /// Creates a session that is ``Session/Status/initializing``.
    ///
    /// - Parameter sessionID: Any text, kept byte for byte. `nil` or `""` generates a version 4 UUID in lowercase.
    /// - Returns: The new session.
    /// - Throws: ``SessionAlreadyExistsError`` when the id is taken; the existing session is unchanged.
    @discardableResult
    public func createSession(_ sessionID: String? = nil) throws -> Session {
        let id = Self.id(sessionID)
        guard let session = try write(.create(id: id, at: Date.millisecondsNow)).session else {
            throw SessionAlreadyExistsError(sessionID: id)
        }
        return session
    }

    /// Returns the session with this id, or `nil`.
    ///
    /// - Throws: ``DatabaseError`` with the code ``DatabaseError/ResultCode/corrupt`` when its row is damaged.
    public func getSession(_ sessionID: String) throws -> Session? {
        try store.session(sessionID)
    }

    /// Returns all sessions in order of creation, as they were at one moment, without damaged ones: a snapshot
    /// names those.
    public func getAllSessions() throws -> [Session] {
        try store.read(.list(nil)).sessions
    }

    /// Returns the sessions that have this status, in order of creation, as they were at one moment, without damaged ones.
    public func getSessions(status: Session.Status) throws -> [Session] {
        try store.read(.list(status)).sessions
    }

    /// Returns the next sessions of a list, in order of creation: the first ones, or those after the ``SessionPage/next`` of another
    /// page. Each page is as of its own moment.
    ///
    /// - Parameters:
    ///   - status: The status that they have; `nil` for any.
    ///   - place: Where the page before ended.
    ///   - limit: The greatest number of rows to read, damaged ones among them.
    /// - Throws: ``DatabaseError`` with the code ``DatabaseError/ResultCode/misuse`` for a limit below 1.
    public func getSessions(status: Session.Status?, after place: Int64 = 0, limit: Int) throws -> SessionPage {
        try Self.page(store.read(.page(status, after: place, limit: Self.atLeastOne(limit))))
    }

    /// Returns how many sessions have each status, including zero. One without a valid status isn't counted.
    public func countSessions() throws -> [Session.Status: Int] {
        try store.read(.counts).counts
    }

    /// Changes some fields of a session: all of them or, when this throws, none.
    ///
    /// Becoming connected stamps ``Session/connectedAt`` unless the update sets it, and clears the disconnect reason; leaving
    /// `qr_waiting` drops the QR code. An update that changes nothing leaves every time as it was.
    ///
    /// - Returns: The session after the update.
    /// - Throws: ``SessionNotFoundError`` when there is no such session; an update never creates one.
    ///   ``InvalidSessionUpdateError`` when the update would break a rule, which the error names.
    @discardableResult
    public func updateSession(_ sessionID: String, _ updates: SessionUpdates) throws -> Session {
        try Self.found(write(Self.update(of: sessionID, updates)), sessionID)
    }

    /// Deletes a session.
    ///
    /// - Returns: `false` when there was none.
    @discardableResult
    public func deleteSession(_ sessionID: String) throws -> Bool {
        try write(.delete(id: sessionID)).deleted > 0
    }

    /// Returns whether there is a session with this id.
    public func sessionExists(_ sessionID: String) throws -> Bool {
        try store.exists(sessionID)
    }

    /// Marks the sessions that a dead process left behind as disconnected, so that the host can connect them again. Sessions that
    /// are served under a living lease (<doc:Leases>) stay as they are.
    ///
    /// Call it once when the gateway starts, before any worker starts. If two gateways shared the file, it would disconnect
    /// the sessions that the other one serves without a lease.
    ///
    /// - Returns: The sessions that were `initializing`, `qr_waiting` or `connected`, as they were, in order of creation.
    ///   Each is now ``Session/Status/disconnected`` without a QR code: for the reason "worker gone" if its lease is over;
    ///   else for the reason that it has already, or "the gateway stopped". Sessions that were disconnected stay so, and have no holder
    ///   any more if their lease is over.
    /// - Throws: ``DatabaseError`` with the code ``DatabaseError/ResultCode/corrupt`` when rows are damaged: it names each
    ///   of them, and all others are disconnected all the same. After any other error nothing has changed, apart from
    ///   the exceptions in <doc:Durability>.
    @discardableResult
    public func recoverSessions() throws -> [Session] {
        try Self.recovered(write(.recover(onlyLeased: false, at: Date.millisecondsNow)))
    }

    /// Writes a consistent copy of the database to a new file, which a manager can open.
    ///
    /// The copy appears at `path` only once it is complete and synced; only its owner can read it. Until then it is
    /// `path.partial`, and a file of that name is replaced. If the process is killed meanwhile, that file and perhaps
    /// `path.partial-journal` stay until the next backup to the same path. In memory, changes and lists wait until the
    /// database's pages are copied, which takes a fraction of the time; other reads go on, and in a file everything does. It
    /// needs as much memory as the database is large. The copy's journal has a history of its own, so it refuses the cursors of this database
    /// (<doc:FollowingChanges>).
    ///
    /// - Parameter path: Where to write the copy; an existing file is never overwritten.
    /// - Throws: ``DatabaseError`` when there is something at `path`, or the copy cannot be written; then nothing is left.
    public func backUp(to path: String) throws {
        try Backup(to: path).create { try store.copy(to: $0) }
    }

    /// Brings the sessions of a file into this database, which must have none: their ids, times and order, and the leases that live.
    ///
    /// So sessions move from a file to PostgreSQL, and a backup comes back. The journal has them as created; the file's cursors don't fit
    /// it. The file is opened as a manager opens it: one of an older version is brought up to date.
    ///
    /// - Parameter path: A database of this library, such as a backup. No program should change it meanwhile.
    /// - Throws: ``DatabaseError`` with the code ``DatabaseError/ResultCode/misuse`` when this database has sessions already, and
    ///   ``DatabaseError/ResultCode/corrupt`` when a session in the file is damaged; also when there is no such file. Nothing has
    ///   changed.
    public func restoreSessions(from path: String) throws {
        try owner.requireThisProcess()
        guard FileManager.default.fileExists(atPath: path) else {
            throw DatabaseError(resultCode: .cannotOpen, message: "\(path) doesn't exist")
        }
        let file = try Storage.file(path: path).open()
        let contents: SessionContents
        do {
            contents = try file.read(.contents).contents
        } catch {
            try? file.close()
            throw error
        }
        try file.close()
        _ = try write(.restore(contents))
    }

    /// Finishes the waiting changes, erases dropped QR codes from the log, and closes the manager.
    ///
    /// Later calls throw ``DatabaseError``, and so do followers and waits that are under way. Closing again does nothing. It waits
    /// for the calls that are under way. If you don't call it, releasing the last reference closes the manager and blocks that
    /// thread meanwhile; followers and waits keep a reference. The erasure is tried once; if another program is reading from the
    /// log, codes stay in it (<doc:Durability>).
    ///
    /// - Throws: ``DatabaseError`` when the file is no longer in its place. The manager is closed all the same.
    public func close() throws {
        // Before the followers' lock is taken.
        try owner.requireThisProcess()
        defer { feed.noteChange() }
        try store.close()
    }
}

// What both kinds of a method share.
extension SessionManager {
    static func page(_ found: Found) -> SessionPage {
        SessionPage(sessions: found.sessions, damages: found.damages, next: found.next)
    }

    static func atLeastOne(_ limit: Int) throws -> Int {
        guard limit > 0 else {
            throw DatabaseError(resultCode: .misuse, message: "the limit is \(limit): ask for at least one")
        }
        return limit
    }

    func write(_ write: SessionWrite) throws -> Written {
        let written = try store.write(write)
        feed.noteChange()
        return written
    }

    func write(_ write: SessionWrite) async throws -> Written {
        let written = try await store.write(write)
        feed.noteChange()
        return written
    }

    static func id(_ sessionID: String?) -> String {
        if let sessionID, !sessionID.isEmpty { sessionID } else { UUID().uuidString.lowercased() }
    }

    static func update(
        of sessionID: String,
        _ updates: SessionUpdates,
        under lease: SessionLease? = nil
    ) throws -> SessionWrite {
        func milliseconds(_ date: Date?) throws -> Int64? {
            guard let date else { return nil }
            guard let milliseconds = date.milliseconds else {
                throw InvalidSessionUpdateError(sessionID: sessionID, reason: .dateOutOfRange)
            }
            return milliseconds
        }
        return .update(
            id: sessionID,
            updates,
            connectedAt: try milliseconds(updates.connectedAt.newValue),
            qrCodeReceivedAt: try milliseconds(updates.qrCodeReceivedAt),
            under: lease,
            at: Date.millisecondsNow
        )
    }

    static func found(_ written: Written, _ sessionID: String) throws -> Session {
        guard let session = written.session else { throw SessionNotFoundError(sessionID: sessionID) }
        return session
    }

    static func recovered(_ written: Written) throws -> [Session] {
        guard written.damages.isEmpty else {
            let damages = written.damages.map(\.description).joined(separator: "; ")
            throw DatabaseError(
                resultCode: .corrupt,
                message: "all sessions were recovered except damaged ones: \(damages)"
            )
        }
        return written.recovered
    }
}
