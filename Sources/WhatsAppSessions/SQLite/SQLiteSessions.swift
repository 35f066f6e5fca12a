import Foundation

/// How SQLite does each operation. Its SQL, its parameters and its rows stand in one function.
struct SQLiteSessions {
    let connection: Connection

    init(_ connection: Connection) {
        self.connection = connection
    }

    /// What a read finds in one statement or, between two commits, in several.
    func find(_ read: SessionRead) throws -> Found {
        switch read {
        case .list(let status): try list(status)
        case .page(let status, let place, let limit): try page(status, after: place, limit: limit)
        case .counts: Found(counts: try counts())
        case .snapshot: try list(nil, place: newestPlace())
        case .sessionAndPlace(let id): Found(session: try session(id), place: try newestPlace())
        case .newestPlace: Found(place: try newestPlace())
        case .changes(let cursor, let limit): try changes(after: cursor, limit: limit)
        case .history(let id, let limit): Found(changes: try history(of: id, limit: limit))
        case .lease(let holder): Found(lease: try lease(of: holder))
        case .leases: Found(leases: try leases())
        case .keptCursor(let holder): Found(place: try keptCursor(of: holder))
        case .contents: Found(contents: try contents())
        }
    }

    /// Makes a write: all of it or, when this throws, nothing.
    func make(_ write: SessionWrite) throws -> Written {
        switch write {
        case .create(let id, let now): try create(id, at: now)
        case .update(let id, let updates, let connectedAt, let qrCodeReceivedAt, let lease, let now):
            try update(id, updates, connectedAt, qrCodeReceivedAt, under: lease, at: now)
        case .delete(let id): try delete(id)
        case .recover(let onlyLeased, let now): try recover(onlyLeased: onlyLeased, at: now)
        case .openLease(let holder, let milliseconds, let isSole):
            try openLease(holder: holder, milliseconds, isSole: isSole)
        case .renewLease(let lease, let milliseconds): try renew(lease, milliseconds)
        case .closeLease(let lease): try close(lease)
        case .keepCursor(let cursor, let lease): try keep(cursor, under: lease)
        case .claim(let id, let lease): try claim(id, under: lease)
        case .claimUnserved(let limit, let lease): try claimUnserved(limit: limit, under: lease)
        case .release(let id, let lease): try release(id, under: lease)
        case .restore(let contents): try restore(contents)
        case .renewHistory: try renewHistory()
        }
    }
}

// MARK: - Sessions

extension SQLiteSessions {
    /// The columns of a session, in the order of ``Column``; a list adds `seq` and `id`. The first twelve are those that an update
    /// writes.
    private static let columns = """
        status, phone_number, name, connected_at, qr_code, status_changed_at, qr_code_received_at, qr_code_number, \
        disconnect_code, disconnect_text, restriction, wish, created_at, \(holder)
        """

    /// A lease's time is the database's clock, read when the statement runs: a write may have waited for its turn.
    private static let now = "CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER)"

    /// Who serves the session in a row; NULL if nobody does. A session that was never claimed costs no look at the leases.
    private static let holder = """
        CASE WHEN lease IS NOT NULL THEN (SELECT holder FROM leases WHERE number = lease AND ends_at > \(now)) END AS holder
        """

    fileprivate enum Column {
        static let status: Int32 = 0
        static let phoneNumber: Int32 = 1
        static let name: Int32 = 2
        static let connectedAt: Int32 = 3
        static let qrCode: Int32 = 4
        static let statusChangedAt: Int32 = 5
        static let qrCodeReceivedAt: Int32 = 6
        static let qrCodeNumber: Int32 = 7
        static let disconnectCode: Int32 = 8
        static let disconnectText: Int32 = 9
        static let restriction: Int32 = 10
        static let wish: Int32 = 11
        static let createdAt: Int32 = 12
        static let holder: Int32 = 13
        static let seq: Int32 = 14
        static let id: Int32 = 15
        /// In the SELECT for a claim, in place of the `seq`.
        static let lease: Int32 = 14
        /// In the SELECT of an update, in place of the id.
        static let dropsQRCode: Int32 = 15
        static let written: Range<Int32> = 0..<12
    }

    func session(_ id: String) throws -> Session? {
        try connection.prepared("SELECT \(Self.columns) FROM sessions WHERE id = :id").first(id) {
            try Session(id: id, row: $0)
        }
    }

    func exists(_ id: String) throws -> Bool {
        try connection.prepared("SELECT 1 FROM sessions WHERE id = :id").first(id) { _ in true } ?? false
    }

    /// All sessions, or those with a status.
    private func list(_ status: Session.Status?, place: ChangeCursor? = nil) throws -> Found {
        var found = Found(place: place)
        try list(status, from: .min, limit: .max, into: &found)
        return found
    }

    /// Adds the next sessions in order of creation. A damaged one is named instead.
    ///
    /// - Returns: The `seq` from which the list goes on; `nil` when it is complete.
    @discardableResult
    func list(_ status: Session.Status?, from seq: Int64, limit: Int64, into found: inout Found) throws -> Int64? {
        var (last, count) = (seq, Int64(0))
        try connection.prepared(
            """
            SELECT \(Self.columns), seq, id FROM sessions
            WHERE seq >= :seq AND (:status IS NULL OR status = :status) ORDER BY seq LIMIT :limit
            """
        ).eachRow {
            try $0.bind(seq, to: ":seq")
            try $0.bind(status?.rawValue, to: ":status")
            try $0.bind(limit, to: ":limit")
        } read: { row in
            (last, count) = (try row.integer(Column.seq), count + 1)
            if let session = try session(in: row, damages: &found.damages) { found.sessions.append(session) }
        }
        return count == limit && last < .max ? last + 1 : nil
    }

    private func page(_ status: Session.Status?, after place: Int64, limit: Int) throws -> Found {
        var found = Found()
        let from = place == .max ? nil : place + 1
        let next = try from.flatMap { try list(status, from: $0, limit: Int64(limit), into: &found) }
        found.next = next.map { $0 - 1 }
        return found
    }

    /// The session in a row, or `nil` and what is wrong with it.
    private func session(in row: Row, damages: inout [SessionDamage]) throws -> Session? {
        var id: String?
        do {
            id = try row.text(Column.id)
            return try Session(id: id!, row: row)
        } catch let error as DatabaseError where error.resultCode == .corrupt {
            let seq = try row.integer(Column.seq)
            let description = id == nil ? "\(error.message) in the row with the seq \(seq)" : error.message
            damages.append(SessionDamage(sessionID: id, seq: seq, description: description))
            return nil
        }
    }

    /// Counts in one scan; `GROUP BY` would sort the rows first.
    private func counts() throws -> [Session.Status: Int] {
        try connection.prepared(
            """
            SELECT count(*) FILTER (WHERE status = 'initializing'), count(*) FILTER (WHERE status = 'qr_waiting'),
                count(*) FILTER (WHERE status = 'connected'), count(*) FILTER (WHERE status = 'disconnected')
            FROM sessions
            """
        ).only { row in
            [
                .initializing: try Int(row.integer(0)), .qrWaiting: try Int(row.integer(1)),
                .connected: try Int(row.integer(2)), .disconnected: try Int(row.integer(3)),
            ]
        }
    }

    private func create(_ id: String, at now: Int64) throws -> Written {
        do {
            try connection.prepared("INSERT INTO sessions (id, created_at) VALUES (:id, :created_at)").execute(id) {
                try $0.bind(now, to: ":created_at")
            }
        } catch let error as DatabaseError where error.brokenRule?.code == "already_exists" {
            return Written()
        }
        return Written(session: Session(id: id, status: .initializing, createdAt: Date(milliseconds: now)))
    }

    /// Computes the session as it will be, then writes what was computed. In this order nothing has changed when either
    /// fails; and RETURNING would fill a temporary table: <https://sqlite.org/lang_returning.html>.
    ///
    /// A new time always differs from the one that it replaces. That is how the triggers tell this statement from others, whose
    /// times they set. Changes within the same moment are a millisecond apart.
    private func update(
        _ id: String,
        _ updates: SessionUpdates,
        _ connectedAt: Int64?,
        _ qrCodeReceivedAt: Int64?,
        under lease: SessionLease?,
        at now: Int64
    ) throws -> Written {
        let compute = try connection.prepared(
            """
            SELECT status, phone_number, name, connected_at, qr_code,
                CASE
                    WHEN status IS old_status THEN old_status_changed_at
                    WHEN old_status_changed_at BETWEEN :now AND :now + 999 THEN old_status_changed_at + 1
                    ELSE :now
                END,
                CASE
                    WHEN qr_code IS old_qr_code THEN old_qr_code_received_at
                    WHEN qr_code IS NULL THEN NULL
                    WHEN old_qr_code_received_at BETWEEN received_at AND received_at + 999 THEN old_qr_code_received_at + 1
                    ELSE received_at
                END,
                CASE
                    WHEN status <> 'qr_waiting' THEN NULL
                    WHEN qr_code IS NULL OR qr_code IS old_qr_code THEN old_qr_code_number
                    ELSE coalesce(old_qr_code_number, old_qr_code IS NOT NULL) + 1
                END,
                disconnect_code, disconnect_text, restriction, wish, created_at, \(Self.holder), seq,
                old_qr_code IS NOT NULL AND old_qr_code IS NOT qr_code
            FROM (
                SELECT
                    coalesce(:status, status) AS status,
                    iif(:changes_phone_number, :phone_number, phone_number) AS phone_number,
                    iif(:changes_name, :name, name) AS name,
                    created_at,
                    CASE
                        WHEN :changes_connected_at THEN :connected_at
                        WHEN :status = 'connected' AND status <> 'connected' THEN :now
                        ELSE connected_at
                    END AS connected_at,
                    CASE
                        WHEN :changes_qr_code THEN :qr_code
                        WHEN coalesce(:status, status) = 'qr_waiting' THEN qr_code
                    END AS qr_code,
                    CASE
                        WHEN :changes_disconnect_reason THEN :disconnect_code
                        WHEN coalesce(:status, status) <> 'connected' THEN disconnect_code
                    END AS disconnect_code,
                    CASE
                        WHEN :changes_disconnect_reason THEN :disconnect_text
                        WHEN coalesce(:status, status) <> 'connected' THEN disconnect_text
                    END AS disconnect_text,
                    iif(:changes_restriction, :restriction, restriction) AS restriction,
                    iif(:changes_wish, :wish, wish) AS wish,
                    min(coalesce(:qr_code_received_at, :now), :now) AS received_at,
                    lease,
                    seq,
                    status AS old_status,
                    status_changed_at AS old_status_changed_at,
                    qr_code AS old_qr_code,
                    qr_code_received_at AS old_qr_code_received_at,
                    qr_code_number AS old_qr_code_number
                FROM sessions
                WHERE id = :id AND (
                    :lease IS NULL
                    OR lease = :lease AND EXISTS (
                        SELECT 1 FROM leases WHERE \(Self.isLiving)
                    )
                )
            )
            """
        )
        let write = try connection.prepared(
            """
            UPDATE sessions
            SET status = :status, phone_number = :phone_number, name = :name, connected_at = :connected_at,
                qr_code = :qr_code, status_changed_at = :status_changed_at, qr_code_received_at = :qr_code_received_at,
                qr_code_number = :qr_code_number, disconnect_code = :disconnect_code, disconnect_text = :disconnect_text,
                restriction = :restriction, wish = :wish
            WHERE seq = :seq
            """
        )
        do {
            return try compute.first {
                try $0.bind(id, to: ":id")
                try $0.bind(updates.status?.rawValue, to: ":status")
                try $0.bind(updates.phoneNumber.isChange, to: ":changes_phone_number")
                try $0.bind(updates.phoneNumber.newValue, to: ":phone_number")
                try $0.bind(updates.name.isChange, to: ":changes_name")
                try $0.bind(updates.name.newValue, to: ":name")
                try $0.bind(updates.connectedAt.isChange, to: ":changes_connected_at")
                try $0.bind(connectedAt, to: ":connected_at")
                try $0.bind(updates.qrCode.isChange, to: ":changes_qr_code")
                try $0.bind(updates.qrCode.newValue, to: ":qr_code")
                try $0.bind(qrCodeReceivedAt, to: ":qr_code_received_at")
                try $0.bind(updates.disconnectReason.isChange, to: ":changes_disconnect_reason")
                try $0.bind(updates.disconnectReason.newValue?.code.map(Int64.init), to: ":disconnect_code")
                try $0.bind(updates.disconnectReason.newValue?.text, to: ":disconnect_text")
                try $0.bind(updates.restriction.isChange, to: ":changes_restriction")
                try $0.bind(updates.restriction.newValue, to: ":restriction")
                try $0.bind(updates.wish.isChange, to: ":changes_wish")
                try $0.bind(updates.wish.newValue?.rawValue, to: ":wish")
                try bindLease(lease, $0)
                try $0.bind(now, to: ":now")
            } read: { row in
                let session = try Session(id: id, row: row)
                let dropsQRCode = try row.integer(Column.dropsQRCode) != 0
                try write.execute {
                    try $0.bind(Column.written, of: row)
                    try $0.bind(Column.seq, of: row, to: ":seq")
                }
                return Written(session: session, dropsQRCode: dropsQRCode)
            } ?? notUpdated(id, under: lease)
        } catch let error as DatabaseError {
            guard let rule = error.brokenRule else { throw error }
            throw InvalidSessionUpdateError(
                sessionID: id,
                reason: .init(code: rule.code, description: rule.sentence)
            )
        }
    }

    /// A deleted session may have had a QR code, so deleting one always erases the log.
    private func delete(_ id: String) throws -> Written {
        try connection.prepared("DELETE FROM sessions WHERE id = :id").execute(id)
        let deleted = connection.changes
        return Written(deleted: deleted, dropsQRCode: deleted > 0)
    }

    /// Why an update found no row.
    private func notUpdated(_ id: String, under lease: SessionLease?) throws -> Written {
        guard let lease, try exists(id) else { return Written() }
        throw LeaseLostError(lease: lease, sessionID: try isLiving(lease) ? id : nil)
    }

    /// Disconnects the live sessions that can be read and have no living lease, or only those of them that were once leased.
    private func recover(onlyLeased: Bool, at now: Int64) throws -> Written {
        try dropEndedLeases()
        if onlyLeased, try !hasLostSessions() { return Written() }
        let isLost = "status IS NOT 'disconnected' AND \(Self.isUnserved) AND (:all IS NOT NULL OR lease IS NOT NULL)"
        var written = Written()
        try connection.prepared(
            "SELECT \(Self.columns), seq, id FROM sessions WHERE \(isLost) ORDER BY seq"
        ).eachRow {
            try $0.bind(!onlyLeased, to: ":all")
        } read: { row in
            if let session = try session(in: row, damages: &written.damages) {
                if session.qrCode != nil { written.dropsQRCode = true }
                written.recovered.append(session)
            }
        }
        let disconnect = try connection.prepared(
            """
            UPDATE sessions
            SET status = 'disconnected', qr_code = NULL, qr_code_received_at = NULL, qr_code_number = NULL,
                status_changed_at = iif(
                    status_changed_at BETWEEN :now AND :now + 999, status_changed_at + 1, :now
                ),
                disconnect_code = iif(lease IS NULL, disconnect_code, NULL),
                disconnect_text = iif(lease IS NULL, coalesce(disconnect_text, 'the gateway stopped'), 'worker gone'),
                lease = NULL
            WHERE \(isLost) AND seq BETWEEN :first AND :last
            """
        )
        // Also of sessions that were disconnected already, so that followers hear that nobody serves them.
        let release = try connection.prepared(
            """
            UPDATE sessions SET lease = NULL
            WHERE lease IS NOT NULL AND lease NOT IN (SELECT number FROM leases) AND seq BETWEEN :first AND :last
            """
        )
        try change(through: .max, except: written.damages) { first, last in
            try disconnect.execute {
                try $0.bind(!onlyLeased, to: ":all")
                try $0.bind(first, to: ":first")
                try $0.bind(last, to: ":last")
                try $0.bind(now, to: ":now")
            }
            try release.execute {
                try $0.bind(first, to: ":first")
                try $0.bind(last, to: ":last")
            }
        }
        return written
    }

    /// Whether the lease of some session is over, which the index of leases tells.
    private func hasLostSessions() throws -> Bool {
        try connection.prepared(
            "SELECT 1 FROM sessions WHERE lease IS NOT NULL AND lease NOT IN (SELECT number FROM leases) LIMIT 1"
        ).first { _ in true } ?? false
    }

    /// Changes the rows up to a `seq` without the damaged ones, which are in order: all that is between them.
    private func change(
        through last: Int64,
        except damages: [SessionDamage],
        _ change: (_ first: Int64, _ last: Int64) throws -> Void
    ) throws {
        // One statement: in a savepoint each later one takes longer than the one before.
        guard !damages.isEmpty else { return try change(.min, last) }
        try connection.savepoint {
            var first: Int64? = .min
            for damage in damages {
                if let first, first < damage.seq { try change(first, damage.seq - 1) }
                first = damage.seq == .max ? nil : damage.seq + 1
            }
            if let first, first <= last { try change(first, last) }
        }
    }
}

// MARK: - Leases

extension SQLiteSessions {
    /// Whether the session in a row has no living lease, once the leases that are over were dropped.
    private static let isUnserved = "(lease IS NULL OR lease NOT IN (SELECT number FROM leases))"
    /// Whether a row of the leases is this one, and it lives.
    private static let isLiving = "number = :lease AND holder = :holder AND ends_at > \(now)"

    /// Afterwards a lease that has a row is a living one for the rest of the write, however long that takes.
    private func dropEndedLeases() throws {
        try connection.prepared("DELETE FROM leases WHERE ends_at <= \(Self.now)").execute()
    }

    private func openLease(holder: String, _ milliseconds: Int64, isSole: Bool) throws -> Written {
        try dropEndedLeases()
        if try isSole && lease(of: holder) != nil { return Written() }
        let number = try connection.prepared(
            "SELECT max(\(Self.now), 1 + coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'leases'), 0))"
        ).only { try $0.integer(0) }
        try connection.prepared(
            "INSERT INTO leases (number, holder, ends_at) VALUES (:number, :holder, \(Self.now) + :milliseconds)"
        ).execute {
            try $0.bind(number, to: ":number")
            try $0.bind(holder, to: ":holder")
            try $0.bind(milliseconds, to: ":milliseconds")
        }
        return Written(lease: SessionLease(holder: holder, number: number))
    }

    private func lease(of holder: String) throws -> SessionLease? {
        try connection.prepared(
            "SELECT number FROM leases WHERE holder = :holder AND ends_at > \(Self.now) ORDER BY number DESC LIMIT 1"
        ).first(holder) { SessionLease(holder: holder, number: try $0.integer(0)) }
    }

    private func leases() throws -> [LeaseOverview] {
        try connection.rows(
            of: """
                SELECT number, holder, ends_at, (SELECT count(*) FROM sessions WHERE lease = number)
                FROM leases WHERE ends_at > \(Self.now) ORDER BY number
                """
        ) { row in
            LeaseOverview(
                lease: SessionLease(holder: try row.text(1), number: try row.integer(0)),
                endsAt: Date(milliseconds: try row.integer(2)),
                sessions: Int(try row.integer(3))
            )
        }
    }

    private func renew(_ lease: SessionLease, _ milliseconds: Int64) throws -> Written {
        try connection.prepared(
            """
            UPDATE leases SET ends_at = \(Self.now) + :milliseconds WHERE \(Self.isLiving)
            """
        ).execute {
            try bindLease(lease, $0)
            try $0.bind(milliseconds, to: ":milliseconds")
        }
        guard connection.changes > 0 else { throw LeaseLostError(lease: lease) }
        return Written()
    }

    /// Also one that is over already.
    private func close(_ lease: SessionLease) throws -> Written {
        try connection.prepared("DELETE FROM leases WHERE number = :lease AND holder = :holder").execute {
            try bindLease(lease, $0)
        }
        return Written()
    }

    private func keep(_ cursor: ChangeCursor, under lease: SessionLease) throws -> Written {
        try connection.prepared(
            """
            INSERT INTO kept_cursors (holder, history, number)
            SELECT :holder, :history, :place WHERE EXISTS (SELECT 1 FROM leases WHERE \(Self.isLiving))
            ON CONFLICT DO UPDATE SET history = excluded.history, number = excluded.number
            """
        ).execute {
            try bindLease(lease, $0)
            try $0.bind(cursor.history, to: ":history")
            try $0.bind(cursor.number, to: ":place")
        }
        guard connection.changes > 0 else { throw LeaseLostError(lease: lease) }
        return Written()
    }

    private func keptCursor(of holder: String) throws -> ChangeCursor? {
        try connection.prepared("SELECT history, number FROM kept_cursors WHERE holder = :holder").first(holder) {
            ChangeCursor(history: try $0.integer(0), number: try $0.integer(1))
        }
    }

    private func isLiving(_ lease: SessionLease) throws -> Bool {
        try connection.prepared("SELECT 1 FROM leases WHERE \(Self.isLiving)").first {
            try bindLease(lease, $0)
        } read: { _ in
            true
        } ?? false
    }

    private func bindLease(_ lease: SessionLease?, _ parameters: Parameters) throws {
        try parameters.bind(lease?.number, to: ":lease")
        try parameters.bind(lease?.holder, to: ":holder")
    }

    /// A session, and the lease under which it was claimed last, living or not.
    private func sessionAndLease(_ id: String) throws -> (session: Session, lease: Int64?)? {
        try connection.prepared("SELECT \(Self.columns), lease FROM sessions WHERE id = :id").first(id) {
            try (Session(id: id, row: $0), $0.integerIfPresent(Column.lease))
        }
    }

    private func setLease(_ number: Int64?, of id: String) throws {
        try connection.prepared("UPDATE sessions SET lease = :lease WHERE id = :id").execute {
            try $0.bind(number, to: ":lease")
            try $0.bind(id, to: ":id")
        }
    }

    private func claim(_ id: String, under lease: SessionLease) throws -> Written {
        guard try isLiving(lease) else { throw LeaseLostError(lease: lease) }
        guard let (session, number) = try sessionAndLease(id) else { return Written() }
        if number != lease.number {
            if let holder = session.holder { throw SessionTakenError(sessionID: id, holder: holder) }
            try setLease(lease.number, of: id)
        }
        return Written(session: session.served(by: lease.holder))
    }

    private func release(_ id: String, under lease: SessionLease) throws -> Written {
        guard try isLiving(lease) else { throw LeaseLostError(lease: lease) }
        guard let (session, number) = try sessionAndLease(id) else { return Written() }
        guard number == lease.number else { throw LeaseLostError(lease: lease, sessionID: id) }
        try setLease(nil, of: id)
        return Written(session: session.served(by: nil))
    }

    private func claimUnserved(limit: Int, under lease: SessionLease) throws -> Written {
        try dropEndedLeases()
        guard try isLiving(lease) else { throw LeaseLostError(lease: lease) }
        var written = Written()
        var damages: [SessionDamage] = []
        var last = Int64.min
        try connection.prepared(
            "SELECT \(Self.columns), seq, id FROM sessions WHERE \(Self.isUnserved) ORDER BY seq"
        ).prefix { _ in
        } while: { row in
            last = try row.integer(Column.seq)
            if let session = try session(in: row, damages: &damages) {
                written.claimed.append(session.served(by: lease.holder))
            }
            return written.claimed.count < limit
        }
        let claim = try connection.prepared(
            "UPDATE sessions SET lease = :lease WHERE \(Self.isUnserved) AND seq BETWEEN :first AND :last"
        )
        try change(through: last, except: damages) { first, last in
            try claim.execute {
                try $0.bind(lease.number, to: ":lease")
                try $0.bind(first, to: ":first")
                try $0.bind(last, to: ":last")
            }
        }
        return written
    }
}

// MARK: - Moving to another database

extension SQLiteSessions {
    /// - Throws: ``DatabaseError`` with the code ``DatabaseError/ResultCode/corrupt`` when a row can't be read.
    private func contents() throws -> SessionContents {
        var contents = SessionContents()
        try connection.prepared("SELECT \(Self.columns), seq, id, lease FROM sessions ORDER BY seq").eachRow { _ in
        } read: { row in
            contents.sessions.append(
                StoredSession(
                    seq: try row.integer(Column.seq),
                    session: try Session(id: row.text(Column.id), row: row),
                    qrCodeNumber: try row.integerIfPresent(Column.qrCodeNumber),
                    lease: try row.integerIfPresent(Column.id + 1)
                )
            )
        }
        contents.leases = try connection.rows(
            of: "SELECT number, holder, ends_at FROM leases WHERE ends_at > \(Self.now) ORDER BY number"
        ) { row in
            StoredLease(
                lease: SessionLease(holder: try row.text(1), number: try row.integer(0)),
                endsAt: try row.integer(2)
            )
        }
        contents.lastLease = try connection.prepared(
            "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'leases'), 0)"
        ).only { try $0.integer(0) }
        return contents
    }

    private func restore(_ contents: SessionContents) throws -> Written {
        try connection.savepoint {
            let isEmpty = try connection.prepared("SELECT NOT EXISTS (SELECT 1 FROM sessions)").only {
                try $0.integer(0) != 0
            }
            guard isEmpty else { throw DatabaseError.notEmpty() }
            for lease in contents.leases { try restore(lease) }
            for row in contents.sessions { try restore(row) }
            // The next number is greater than all that were ever given, here and there.
            try connection.prepared(
                "UPDATE sqlite_sequence SET seq = :last WHERE name = 'leases' AND seq < :last"
            ).execute { try $0.bind(contents.lastLease, to: ":last") }
            try connection.prepared(
                """
                INSERT INTO sqlite_sequence (name, seq)
                SELECT 'leases', :last WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'leases')
                """
            ).execute { try $0.bind(contents.lastLease, to: ":last") }
        }
        return Written()
    }

    private func restore(_ lease: StoredLease) throws {
        try connection.prepared(
            "INSERT OR IGNORE INTO leases (number, holder, ends_at) VALUES (:number, :holder, :ends_at)"
        ).execute {
            try $0.bind(lease.lease.number, to: ":number")
            try $0.bind(lease.lease.holder, to: ":holder")
            try $0.bind(lease.endsAt, to: ":ends_at")
        }
    }

    private func restore(_ row: StoredSession) throws {
        let session = row.session
        try connection.prepared(
            """
            INSERT INTO sessions (
                seq, id, status, phone_number, name, created_at, connected_at, qr_code, status_changed_at,
                qr_code_received_at, qr_code_number, disconnect_code, disconnect_text, lease, restriction, wish
            ) VALUES (
                :seq, :id, :status, :phone_number, :name, :created_at, :connected_at, :qr_code, :status_changed_at,
                :qr_code_received_at, iif(:qr_code IS NULL, NULL, :qr_code_number), :disconnect_code, :disconnect_text, :lease,
                :restriction, :wish
            )
            """
        ).execute {
            try $0.bind(row.seq, to: ":seq")
            try $0.bind(session.id, to: ":id")
            try $0.bind(session.status.rawValue, to: ":status")
            try $0.bind(session.phoneNumber, to: ":phone_number")
            try $0.bind(session.name, to: ":name")
            try $0.bind(session.createdAt.milliseconds, to: ":created_at")
            try $0.bind(session.connectedAt?.milliseconds, to: ":connected_at")
            try $0.bind(session.qrCode, to: ":qr_code")
            try $0.bind(session.statusChangedAt.milliseconds, to: ":status_changed_at")
            try $0.bind(session.qrCodeReceivedAt?.milliseconds, to: ":qr_code_received_at")
            try $0.bind(row.qrCodeNumber, to: ":qr_code_number")
            try $0.bind(session.disconnectReason?.code.map(Int64.init), to: ":disconnect_code")
            try $0.bind(session.disconnectReason?.text, to: ":disconnect_text")
            try $0.bind(row.lease, to: ":lease")
            try $0.bind(session.restriction, to: ":restriction")
            try $0.bind(session.wish?.rawValue, to: ":wish")
        }
        // A code that was cleared leaves its number.
        guard session.qrCode == nil, row.qrCodeNumber != nil else { return }
        try connection.prepared("UPDATE sessions SET qr_code_number = :number WHERE seq = :seq").execute {
            try $0.bind(row.qrCodeNumber, to: ":number")
            try $0.bind(row.seq, to: ":seq")
        }
    }
}

extension Session {
    fileprivate init(id: String, row: Row) throws {
        typealias Column = SQLiteSessions.Column
        do {
            let createdAt = Date(milliseconds: try row.integer(Column.createdAt))
            let qrCodeReceivedAt = try row.integerIfPresent(Column.qrCodeReceivedAt)
            let isFirst = try row.integerIfPresent(Column.qrCodeNumber) == 1
            self.init(
                id: id,
                status: try Status(row: row, column: Column.status),
                phoneNumber: try row.textIfPresent(Column.phoneNumber),
                name: try row.textIfPresent(Column.name),
                createdAt: createdAt,
                connectedAt: try row.integerIfPresent(Column.connectedAt).map(Date.init(milliseconds:)),
                qrCode: try row.textIfPresent(Column.qrCode),
                statusChangedAt: try row.integerIfPresent(Column.statusChangedAt).map(Date.init(milliseconds:)),
                qrCodeReceivedAt: qrCodeReceivedAt.map(Date.init(milliseconds:)),
                disconnectReason: try DisconnectReason(row, Column.disconnectCode, Column.disconnectText),
                qrCodeExpiresAt: qrCodeReceivedAt.map { Date(milliseconds: $0 &+ (isFirst ? 60_000 : 20_000)) },
                restriction: try row.textIfPresent(Column.restriction),
                holder: try row.textIfPresent(Column.holder),
                wish: try Wish(row)
            )
        } catch let error as DatabaseError where error.resultCode == .corrupt {
            throw error.explained { "\($0) in the row with the id \(id)" }
        }
    }
}

extension Session.Status {
    fileprivate init(row: Row, column: Int32) throws {
        // Faster than `init(rawValue:)`, which compares the texts out of line.
        switch try row.text(column) {
        case Self.initializing.rawValue: self = .initializing
        case Self.qrWaiting.rawValue: self = .qrWaiting
        case Self.connected.rawValue: self = .connected
        case Self.disconnected.rawValue: self = .disconnected
        default: throw row.malformed(column)
        }
    }
}

extension Session.Wish {
    /// `nil` when there is none.
    fileprivate init?(_ row: Row) throws {
        let column = SQLiteSessions.Column.wish
        guard let text = try row.textIfPresent(column) else { return nil }
        guard let wish = Self(rawValue: text) else { throw row.malformed(column) }
        self = wish
    }
}

extension DisconnectReason {
    /// `nil` when there is none.
    fileprivate init?(_ row: Row, _ code: Int32, _ text: Int32) throws {
        // Also a code without a text, which an update couldn't store again.
        let number = try row.integerIfPresent(code)
        guard let words = try row.textIfPresent(text) else { return nil }
        self.init(code: number.map(Int.init), text: words)
    }
}

// MARK: - The journal

extension SQLiteSessions {
    /// The newest place in the journal.
    func newestPlace() throws -> ChangeCursor {
        let place = try connection.prepared(
            """
            SELECT history, (SELECT max(number) FROM session_changes) FROM journal WHERE id = 1
            """
        ).first { row in
            // Beyond the last number SQLite counts no further, and chooses by chance.
            let number = try row.integerIfPresent(1) ?? 0
            guard number < .max else { throw row.malformed(1) }
            return ChangeCursor(history: try row.integer(0), number: number)
        }
        guard let place else {
            throw DatabaseError(resultCode: .corrupt, message: "the table journal is empty: restore a backup")
        }
        return place
    }

    /// Whether the history is this database's. Copies that SQLite makes have another schema version than their original, and so
    /// has a file that a copy was restored to.
    func hasOwnHistory() throws -> Bool {
        try connection.prepared(
            "SELECT schema_version IS (SELECT schema_version FROM pragma_schema_version) FROM journal WHERE id = 1"
        ).first { try $0.integer(0) != 0 } != false
    }

    private func renewHistory() throws -> Written {
        // Another process may have done it meanwhile.
        if try !hasOwnHistory() { try connection.savepoint { try beginHistory() } }
        return Written()
    }

    /// Begins a new history, so that no cursor into another database's journal is taken for a place in this one's.
    func beginHistory() throws {
        try connection.renewSchemaVersion()
        try connection.prepared(
            """
            UPDATE journal
            SET history = random() & 0x7fffffffffffffff,
                schema_version = (SELECT schema_version FROM pragma_schema_version)
            """
        ).execute()
    }

    /// The changes after a cursor, the oldest first; none if the cursor is the newest. They end before a damaged one. And the
    /// newest place, at the same moment.
    private func changes(after cursor: ChangeCursor, limit: Int) throws -> Found {
        let newest = try newestPlace()
        guard cursor.history == newest.history, cursor.number <= newest.number else {
            throw ChangeCursorExpiredError(cursor: cursor)
        }
        var changes: [SessionChange] = []
        var damage: String?
        var number = cursor.number
        try connection.prepared(
            """
            SELECT number, session_id, previous_status, status, fields, disconnect_code, disconnect_text, changed_at
            FROM session_changes WHERE number > :number ORDER BY number LIMIT :limit
            """
        ).prefix {
            try $0.bind(cursor.number, to: ":number")
            try $0.bind(Int64(limit), to: ":limit")
        } while: { row in
            // The numbers have no gaps, so one that is missing was dropped.
            guard try row.integer(0) == number + 1 else { throw ChangeCursorExpiredError(cursor: cursor) }
            number += 1
            do {
                changes.append(try SessionChange(ChangeCursor(history: cursor.history, number: number), row))
                return true
            } catch let error as DatabaseError where error.resultCode == .corrupt {
                damage = "\(error.message) in the change with the number \(number)"
                return false
            }
        }
        if changes.isEmpty, damage != nil || cursor.number < newest.number {
            throw ChangeCursorExpiredError(cursor: cursor, damage: damage)
        }
        return Found(changes: changes, place: newest)
    }
}

extension SQLiteSessions {
    /// The last changes of a session, the newest first. A damaged one is left out: what it said nobody knows.
    private func history(of id: String, limit: Int) throws -> [SessionChange] {
        let history = try newestPlace().history
        var changes: [SessionChange] = []
        try connection.prepared(
            """
            SELECT number, session_id, previous_status, status, fields, disconnect_code, disconnect_text, changed_at
            FROM session_changes WHERE session_id = :id ORDER BY number DESC LIMIT :limit
            """
        ).eachRow {
            try $0.bind(id, to: ":id")
            try $0.bind(Int64(limit), to: ":limit")
        } read: { row in
            do {
                let cursor = ChangeCursor(history: history, number: try row.integer(0))
                changes.append(try SessionChange(cursor, row))
            } catch let error as DatabaseError where error.resultCode == .corrupt {}
        }
        return changes
    }
}

extension SessionChange {
    /// Reads a row of the SELECTs above.
    fileprivate init(_ cursor: ChangeCursor, _ row: Row) throws {
        func status(_ column: Int32) throws -> Session.Status? {
            try row.isNull(column) ? nil : Session.Status(row: row, column: column)
        }
        let (before, after) = (try status(2), try status(3))
        guard before != nil || after != nil else { throw row.malformed(3) }
        self.init(
            cursor: cursor,
            sessionID: try row.text(1),
            kind: before == nil ? .created : after == nil ? .deleted : .updated,
            date: Date(milliseconds: try row.integer(7)),
            fields: Fields(rawValue: Int(try row.integer(4))),
            previousStatus: before,
            status: after,
            disconnectReason: try DisconnectReason(row, 5, 6)
        )
    }
}
