/// All that an engine keeps of its sessions, apart from the journal: what moves to another engine.
struct SessionContents: Sendable {
    /// In order of creation.
    var sessions: [StoredSession] = []
    /// Those that live.
    var leases: [StoredLease] = []
    /// The number of the lease that was opened last.
    var lastLease: Int64 = 0
}

/// A session, and what its row has beside it.
struct StoredSession: Sendable {
    let seq: Int64
    let session: Session
    /// Which code of its pairing is the last one, if it is being paired.
    let qrCodeNumber: Int64?
    /// The lease under which it was claimed last.
    let lease: Int64?
}

/// A lease, and when it ends, in milliseconds since 1970.
struct StoredLease: Sendable {
    let lease: SessionLease
    let endsAt: Int64
}

extension DatabaseError {
    /// What sessions are restored to must have none.
    static func notEmpty(sqlState: String? = nil) -> DatabaseError {
        DatabaseError(
            resultCode: .misuse,
            message: "the database has sessions already: restore to an empty one",
            sqlState: sqlState
        )
    }
}
