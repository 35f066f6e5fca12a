/// What a caller asks an engine to change, as a value: it can wait in a queue, share a commit, and be made again.
enum SessionWrite: Sendable {
    /// A time is in milliseconds since 1970.
    case create(id: String, at: Int64)
    /// - Parameters:
    ///   - connectedAt: The new `connectedAt` of the updates, in milliseconds.
    ///   - qrCodeReceivedAt: And the `qrCodeReceivedAt`.
    ///   - lease: The lease that the session must have, if any.
    case update(
        id: String,
        SessionUpdates,
        connectedAt: Int64?,
        qrCodeReceivedAt: Int64?,
        under: SessionLease?,
        at: Int64
    )
    case delete(id: String)
    /// Disconnects every session that isn't disconnected and has no living lease, or only those of them that were once leased.
    case recover(onlyLeased: Bool, at: Int64)
    /// - Parameter isSole: Whether no other lease of the holder may live.
    case openLease(holder: String, milliseconds: Int64, isSole: Bool)
    case renewLease(SessionLease, milliseconds: Int64)
    case closeLease(SessionLease)
    /// Keeps how far the holder has come in the journal.
    case keepCursor(ChangeCursor, under: SessionLease)
    case claim(id: String, under: SessionLease)
    /// Claims the first sessions that nobody serves.
    case claimUnserved(limit: Int, under: SessionLease)
    case release(id: String, under: SessionLease)
    /// Adds all sessions of another database to one that has none.
    case restore(SessionContents)
    /// Begins a new history of the journal, if the one there is belongs to another database.
    case renewHistory
}

/// What a write did. Each kind fills in what it has, and a refused one throws.
struct Written: Sendable {
    /// The session after it was created, updated, claimed or released; `nil` if the id to create is taken, or no session has the id.
    var session: Session?
    /// The lease that was opened; `nil` if it would not have been the only one.
    var lease: SessionLease?
    /// How many rows were deleted.
    var deleted = 0
    /// The sessions that a recovery disconnected, as they were before.
    var recovered: [Session] = []
    /// The sessions that were claimed, as they are now.
    var claimed: [Session] = []
    /// The rows that it couldn't read.
    var damages: [SessionDamage] = []
    /// Whether a QR code was dropped, which must not be kept in a log.
    var dropsQRCode = false
}

/// What became of a write: made, or refused.
typealias Outcome = Result<Written, any Error>

/// What a caller asks an engine to find, apart from one session by its id.
enum SessionRead: Sendable {
    /// All sessions, or those with a status.
    case list(Session.Status?)
    /// The next sessions after a place in the order of creation, or those of them with a status.
    case page(Session.Status?, after: Int64, limit: Int)
    case counts
    /// The list, and the newest place in the journal.
    case snapshot
    /// One session, and the newest place in the journal.
    case sessionAndPlace(id: String)
    case newestPlace
    case changes(after: ChangeCursor, limit: Int)
    /// The last changes of one session, the newest first.
    case history(id: String, limit: Int)
    /// The newest living lease of a holder.
    case lease(holder: String)
    /// The leases that live, and how many sessions each has.
    case leases
    /// How far a holder had come when it was kept last.
    case keptCursor(holder: String)
    /// All that moves to another database.
    case contents

    /// Whether it may take so long that short reads should not wait for it.
    var isLong: Bool {
        switch self {
        // A history may be anywhere in the journal.
        case .list, .counts, .snapshot, .history, .contents: true
        case .changes(_, let limit), .page(_, _, let limit): limit > 1000
        case .sessionAndPlace, .newestPlace, .lease, .leases, .keptCursor: false
        }
    }
}

/// What a read found. Each kind fills in what it was asked for.
struct Found: Sendable {
    var session: Session?
    var sessions: [Session] = []
    /// The rows that couldn't be read.
    var damages: [SessionDamage] = []
    var counts: [Session.Status: Int] = [:]
    var changes: [SessionChange] = []
    var lease: SessionLease?
    var leases: [LeaseOverview] = []
    var contents = SessionContents()
    /// The newest place in the journal, or the one that was kept.
    var place: ChangeCursor?
    /// The place in the order of creation after which a page's list goes on.
    var next: Int64?
}
