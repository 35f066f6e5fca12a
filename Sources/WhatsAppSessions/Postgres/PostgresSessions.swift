#if Postgres
import Foundation
import WhatsAppSessionsLibpq

/// How PostgreSQL does each operation. Its SQL, its parameters and its rows stand in one function.
struct PostgresSessions {
    let connection: PostgresConnection
    let deadline: ContinuousClock.Instant

    init(_ connection: PostgresConnection, until deadline: ContinuousClock.Instant) {
        (self.connection, self.deadline) = (connection, deadline)
    }

    /// Finds something, in one statement, so as it is at one moment.
    func find(_ read: SessionRead) throws -> Found {
        switch read {
        case .list(let status): try list(status)
        case .page(let status, let place, let limit): try page(status, after: place, limit: limit)
        case .counts: Found(counts: try counts())
        case .snapshot: try snapshot()
        case .sessionAndPlace(let id): try sessionAndPlace(id)
        case .newestPlace: Found(place: try newestPlace())
        case .changes(let cursor, let limit): try changes(after: cursor, limit: limit)
        case .history(let id, let limit): Found(changes: try history(of: id, limit: limit))
        case .lease(let holder): Found(lease: try lease(of: holder))
        case .leases: Found(leases: try leases())
        case .keptCursor(let holder): Found(place: try keptCursor(of: holder))
        case .contents: Found(contents: try contents())
        }
    }

    /// Makes writes that can be made together, in one statement and so in one transaction.
    ///
    /// - Returns: The outcome of each, in their order.
    func make(_ writes: [PostgresWrite]) throws -> [Outcome] {
        switch writes[0].write {
        case .create: try create(writes)
        case .update: try update(writes)
        case .delete: try delete(writes)
        case .claim, .release: try claim(writes)
        case .renewLease: try renewLeases(writes)
        case .recover(let onlyLeased, _): [.success(try recover(writes[0], onlyLeased: onlyLeased))]
        case .openLease(let holder, let milliseconds, let isSole):
            [.success(try openLease(writes[0], holder: holder, milliseconds, isSole: isSole))]
        case .closeLease(let lease): [.success(try closeLease(writes[0], lease))]
        case .keepCursor(let cursor, let lease): [try keep(cursor, under: lease)]
        case .claimUnserved(let limit, let lease):
            [try claimUnserved(writes[0], limit: limit, under: lease)]
        case .restore(let contents): [.success(try restore(writes[0], contents))]
        case .renewHistory: [.success(try renewHistory())]
        }
    }
}

// MARK: - Sessions

extension PostgresSessions {
    /// The columns of a session, in the order in which it is read.
    private static func columns(of row: String) -> String {
        [
            "id", "status", "phone_number", "name", "created_at", "connected_at", "qr_code", "status_changed_at",
            "qr_code_received_at", "qr_code_number", "disconnect_code", "disconnect_text", "restriction", "wish",
        ].map { "\(row).\($0)" }.joined(separator: ", ")
    }

    /// Who serves the session `s`; NULL if nobody does.
    private static let holder = """
        CASE WHEN s.lease IS NOT NULL THEN (
            SELECT l.holder FROM whatsapp_sessions.leases l WHERE l.number = s.lease AND l.ends_at > whatsapp_sessions.now()
        ) END AS holder
        """

    private static let newest = """
        SELECT
            (SELECT h.history FROM whatsapp_sessions.histories h ORDER BY h.position DESC LIMIT 1) AS history,
            coalesce((SELECT max(c.number) FROM whatsapp_sessions.session_changes c), 0) AS number
        """

    /// The sessions with these ids: each as often as it is asked for.
    func sessions(_ ids: [String]) throws -> [Result<Session?, any Error>] {
        let statement = PostgresStatement(
            name: "sessions",
            sql: """
                SELECT s.seq, \(Self.columns(of: "s")), \(Self.holder)
                FROM unnest($1) WITH ORDINALITY AS g(id, place)
                LEFT JOIN LATERAL (SELECT * FROM whatsapp_sessions.sessions s WHERE s.id = g.id) s ON true ORDER BY g.place
                """,
            types: [.texts]
        )
        var values = PostgresValues()
        values.add(ids)
        return try connection.run(statement, values, until: deadline).map { row in
            Result { try row.integerIfPresent() == nil ? nil : try Session(&row) }
        }
    }

    func exist(_ ids: [String]) throws -> [Result<Bool, any Error>] {
        let statement = PostgresStatement(
            name: "exist",
            sql: """
                SELECT EXISTS (SELECT FROM whatsapp_sessions.sessions s WHERE s.id = g.id)
                FROM unnest($1) WITH ORDINALITY AS g(id, place) ORDER BY g.place
                """,
            types: [.texts]
        )
        var values = PostgresValues()
        values.add(ids)
        return try connection.run(statement, values, until: deadline).map { row in Result { try row.boolean() } }
    }

    private func list(_ status: Session.Status?) throws -> Found {
        let statement = PostgresStatement(
            name: "list",
            sql: """
                SELECT s.seq, \(Self.columns(of: "s")), \(Self.holder) FROM whatsapp_sessions.sessions s
                WHERE $1 IS NULL OR s.status = $1 ORDER BY s.seq
                """,
            types: [.text]
        )
        var values = PostgresValues()
        values.add(status?.rawValue)
        var found = Found()
        try connection.run(statement, values, until: deadline).each { _ = try add($0, to: &found) }
        return found
    }

    private func page(_ status: Session.Status?, after place: Int64, limit: Int) throws -> Found {
        let statement = PostgresStatement(
            name: "page",
            sql: """
                SELECT s.seq, \(Self.columns(of: "s")), \(Self.holder) FROM whatsapp_sessions.sessions s
                WHERE s.seq > $2 AND ($1 IS NULL OR s.status = $1) ORDER BY s.seq LIMIT $3
                """,
            types: [.text, .bigint, .bigint]
        )
        var values = PostgresValues()
        values.add(status?.rawValue)
        values.add(place)
        values.add(Int64(limit))
        var found = Found()
        let rows = try connection.run(statement, values, until: deadline)
        try rows.each { found.next = try add($0, to: &found) }
        if rows.count < limit { found.next = nil }
        return found
    }

    /// All sessions, and the newest place in the journal, which stands in each row.
    private func snapshot() throws -> Found {
        let statement = PostgresStatement(
            name: "snapshot",
            sql: """
                SELECT n.history, n.number, s.seq, \(Self.columns(of: "s")), \(Self.holder)
                FROM (\(Self.newest)) n LEFT JOIN whatsapp_sessions.sessions s ON true ORDER BY s.seq
                """,
            types: []
        )
        var found = Found()
        try connection.run(statement, until: deadline).each { row in
            found.place = try ChangeCursor(&row)
            if !row.isNull { _ = try add(row, to: &found) }
        }
        return found
    }

    private func sessionAndPlace(_ id: String) throws -> Found {
        let statement = PostgresStatement(
            name: "session_and_place",
            sql: """
                SELECT n.history, n.number, s.seq, \(Self.columns(of: "s")), \(Self.holder)
                FROM (\(Self.newest)) n LEFT JOIN whatsapp_sessions.sessions s ON s.id = $1
                """,
            types: [.text]
        )
        var values = PostgresValues()
        values.add(id)
        return try connection.run(statement, values, until: deadline).first { row in
            let place = try ChangeCursor(&row)
            return Found(session: try row.integerIfPresent() == nil ? nil : Session(&row), place: place)
        } ?? Found()
    }

    /// Adds the session in a row, which begins with its `seq`; what is wrong with it instead, if it cannot be read.
    ///
    /// - Returns: The `seq`.
    private func add(_ row: PostgresRow, to found: inout Found) throws -> Int64 {
        var row = row
        let seq = try row.integer()
        let id = try row.textAhead()
        do {
            found.sessions.append(try Session(&row))
        } catch let error as DatabaseError where error.resultCode == .corrupt {
            found.damages.append(SessionDamage(sessionID: id, seq: seq, description: error.message))
        }
        return seq
    }

    private func counts() throws -> [Session.Status: Int] {
        let statement = PostgresStatement(
            name: "counts",
            sql: """
                SELECT count(*) FILTER (WHERE status = 'initializing'), count(*) FILTER (WHERE status = 'qr_waiting'),
                    count(*) FILTER (WHERE status = 'connected'), count(*) FILTER (WHERE status = 'disconnected')
                FROM whatsapp_sessions.sessions
                """,
            types: []
        )
        return try connection.run(statement, until: deadline).first { row in
            [
                .initializing: try Int(row.integer()), .qrWaiting: try Int(row.integer()),
                .connected: try Int(row.integer()), .disconnected: try Int(row.integer()),
            ]
        } ?? [:]
    }

    private func create(_ writes: [PostgresWrite]) throws -> [Outcome] {
        let statement = PostgresStatement(
            name: "create_sessions",
            sql: "SELECT whatsapp_sessions.create_sessions($1, $2, $3, $4)",
            types: [.integer, .boolean, .bigints, .texts]
        )
        let ids = writes.map { if case .create(let id, _) = $0.write { id } else { "" } }
        var values = begin(writes)
        values.add(writes.map { $0.request as Int64? })
        values.add(ids as [String?])
        let rows = try connection.run(statement, values, until: deadline).map { try $0.integerIfPresent() }
        return zip(ids, rows).map { id, createdAt in
            .success(
                Written(
                    session: createdAt.map {
                        Session(id: id, status: .initializing, createdAt: Date(milliseconds: $0))
                    }
                )
            )
        }
    }

    private func update(_ writes: [PostgresWrite]) throws -> [Outcome] {
        let statement = PostgresStatement(
            name: "update_sessions",
            sql: """
                SELECT u.refusal, \(Self.columns(of: "(u.session)")), u.holder
                FROM whatsapp_sessions.update_sessions(
                    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17
                ) u
                """,
            types: [
                .integer, .boolean, .bigints, .texts, .integers, .texts, .texts, .texts, .bigints, .texts, .bigints,
                .bigints, .texts, .texts, .texts, .bigints, .texts,
            ]
        )
        var columns = UpdateColumns(count: writes.count)
        for write in writes { columns.add(write) }
        var values = begin(writes)
        columns.add(to: &values)
        return outcomes(of: writes, in: try connection.run(statement, values, until: deadline))
    }

    private func delete(_ writes: [PostgresWrite]) throws -> [Outcome] {
        let statement = PostgresStatement(
            name: "delete_sessions",
            sql: "SELECT whatsapp_sessions.delete_sessions($1, $2, $3, $4)",
            types: [.integer, .boolean, .bigints, .texts]
        )
        var values = begin(writes)
        values.add(writes.map { $0.request as Int64? })
        values.add(writes.map { if case .delete(let id) = $0.write { id } else { nil } })
        return try connection.run(statement, values, until: deadline).map { row in
            .success(Written(deleted: try row.boolean() ? 1 : 0))
        }
    }

    private func recover(_ write: PostgresWrite, onlyLeased: Bool) throws -> Written {
        let statement = PostgresStatement(
            name: "recover_sessions",
            sql: """
                SELECT s.seq, \(Self.columns(of: "s")), NULL::text AS holder
                FROM whatsapp_sessions.recover_sessions($1, $2, $3, $4) s
                """,
            types: [.integer, .boolean, .bigint, .boolean]
        )
        var values = begin([write])
        values.add(write.request)
        values.add(onlyLeased)
        var found = Found()
        try connection.run(statement, values, until: deadline).each { _ = try add($0, to: &found) }
        return Written(recovered: found.sessions, damages: found.damages)
    }

    /// What every function of the schema is told first: how long to wait for the turn, and whether it may have been asked before.
    private func begin(_ writes: [PostgresWrite]) -> PostgresValues {
        var values = PostgresValues()
        values.add(patience)
        values.add(writes.contains(where: \.mayBeMade))
        return values
    }

    /// How long the server waits for a lock, in milliseconds: until it is time to say who holds it, and not until the caller has left.
    private var patience: Int32 {
        let rest = (deadline - .now) / .milliseconds(1)
        return Int32(min(max(rest - 300, rest / 2, 1), 5000))
    }

    /// The outcomes that `update_sessions` and `claim_sessions` answer.
    private func outcomes(of writes: [PostgresWrite], in rows: PostgresRows) -> [Outcome] {
        var writes = writes[...]
        return rows.map { row in
            let write = writes.removeFirst()
            return Result {
                if let refusal = try row.textIfPresent() { return try write.refused(refusal, by: &row) }
                return Written(session: try Session(&row))
            }
        }
    }
}

/// The parameters of many updates, by column.
private struct UpdateColumns {
    private var requests: [Int64?] = [], ids: [String?] = [], changes: [Int32?] = [], statuses: [String?] = []
    private var phoneNumbers: [String?] = [], names: [String?] = [], connectedAts: [Int64?] = [],
        qrCodes: [String?] = []
    private var qrCodeReceivedAts: [Int64?] = [], disconnectCodes: [Int64?] = [], disconnectTexts: [String?] = []
    private var restrictions: [String?] = [], wishes: [String?] = [], leases: [Int64?] = [], holders: [String?] = []

    init(count: Int) { requests.reserveCapacity(count) }

    mutating func add(_ write: PostgresWrite) {
        guard case .update(let id, let updates, let connectedAt, let receivedAt, let lease, _) = write.write else {
            return
        }
        requests.append(write.request)
        ids.append(id)
        changes.append(
            Int32(
                Self.bit(.phoneNumber, updates.phoneNumber) + Self.bit(.name, updates.name)
                    + Self.bit(.connectedAt, updates.connectedAt) + Self.bit(.qrCode, updates.qrCode)
                    + Self.bit(.disconnectReason, updates.disconnectReason)
                    + Self.bit(.restriction, updates.restriction) + Self.bit(.wish, updates.wish)
            )
        )
        statuses.append(updates.status?.rawValue)
        phoneNumbers.append(updates.phoneNumber.newValue)
        names.append(updates.name.newValue)
        connectedAts.append(connectedAt)
        qrCodes.append(updates.qrCode.newValue)
        qrCodeReceivedAts.append(receivedAt)
        disconnectCodes.append(updates.disconnectReason.newValue?.code.map(Int64.init))
        disconnectTexts.append(updates.disconnectReason.newValue?.text)
        restrictions.append(updates.restriction.newValue)
        wishes.append(updates.wish.newValue?.rawValue)
        leases.append(lease?.number)
        holders.append(lease?.holder)
    }

    private static func bit<Value>(_ field: SessionChange.Fields, _ update: FieldUpdate<Value>) -> Int {
        update.isChange ? field.rawValue : 0
    }

    func add(to values: inout PostgresValues) {
        values.add(requests)
        values.add(ids)
        values.add(changes)
        values.add(statuses)
        values.add(phoneNumbers)
        values.add(names)
        values.add(connectedAts)
        values.add(qrCodes)
        values.add(qrCodeReceivedAts)
        values.add(disconnectCodes)
        values.add(disconnectTexts)
        values.add(restrictions)
        values.add(wishes)
        values.add(leases)
        values.add(holders)
    }
}

extension PostgresWrite {
    /// What a refusal of the schema means: a word, or a rule as `code: sentence`.
    fileprivate func refused(_ refusal: String, by row: inout PostgresRow) throws -> Written {
        let (id, lease): (String, SessionLease?) =
            switch write {
            case .update(let id, _, _, _, let lease, _): (id, lease)
            case .claim(let id, let lease), .release(let id, let lease): (id, lease)
            default: ("", nil)
            }
        switch refusal {
        case "not_found": return Written()
        case "lease_ended": throw LeaseLostError(lease: lease!)
        case "lease_lost": throw LeaseLostError(lease: lease!, sessionID: id)
        case "damaged":
            _ = try Session(&row)
            throw row.malformed()
        case "taken": throw SessionTakenError(sessionID: id, holder: try Session(&row).holder ?? "")
        default:
            guard let colon = refusal.firstRange(of: ": ") else { throw row.malformed() }
            throw InvalidSessionUpdateError(
                sessionID: id,
                reason: .init(
                    code: String(refusal[..<colon.lowerBound]),
                    description: String(refusal[colon.upperBound...])
                )
            )
        }
    }
}

// MARK: - Leases

extension PostgresSessions {
    private func openLease(
        _ write: PostgresWrite,
        holder: String,
        _ milliseconds: Int64,
        isSole: Bool
    ) throws -> Written {
        let statement = PostgresStatement(
            name: "open_lease",
            sql: "SELECT whatsapp_sessions.open_lease($1, $2, $3, $4, $5, $6)",
            types: [.integer, .boolean, .bigint, .text, .bigint, .boolean]
        )
        var values = begin([write])
        values.add(write.request)
        values.add(holder)
        values.add(milliseconds)
        values.add(isSole)
        return try connection.run(statement, values, until: deadline).first { row in
            Written(lease: try row.integerIfPresent().map { SessionLease(holder: holder, number: $0) })
        } ?? Written()
    }

    private func renewLeases(_ writes: [PostgresWrite]) throws -> [Outcome] {
        let statement = PostgresStatement(
            name: "renew_leases",
            sql: "SELECT whatsapp_sessions.renew_leases($1, $2, $3, $4)",
            types: [.integer, .bigints, .texts, .bigints]
        )
        let renewals = writes.compactMap {
            if case .renewLease(let lease, let time) = $0.write { (lease, time) } else { nil }
        }
        var values = PostgresValues()
        values.add(patience)
        values.add(renewals.map { $0.0.number as Int64? })
        values.add(renewals.map { $0.0.holder as String? })
        values.add(renewals.map { $0.1 as Int64? })
        let rows = try connection.run(statement, values, until: deadline).map { try $0.boolean() }
        return zip(renewals, rows).map { renewal, isRenewed in
            isRenewed ? .success(Written()) : .failure(LeaseLostError(lease: renewal.0))
        }
    }

    private func closeLease(_ write: PostgresWrite, _ lease: SessionLease) throws -> Written {
        let statement = PostgresStatement(
            name: "close_lease",
            sql: "SELECT whatsapp_sessions.close_lease($1, $2, $3)",
            types: [.integer, .bigint, .text]
        )
        var values = PostgresValues()
        values.add(patience)
        values.add(lease.number)
        values.add(lease.holder)
        _ = try connection.run(statement, values, until: deadline)
        return Written()
    }

    private func keep(_ cursor: ChangeCursor, under lease: SessionLease) throws -> Outcome {
        let statement = PostgresStatement(
            name: "keep_cursor",
            sql: "SELECT whatsapp_sessions.keep_cursor($1, $2, $3, $4, $5)",
            types: [.integer, .bigint, .text, .bigint, .bigint]
        )
        var values = PostgresValues()
        values.add(patience)
        values.add(lease.number)
        values.add(lease.holder)
        values.add(cursor.history)
        values.add(cursor.number)
        let isKept = try connection.run(statement, values, until: deadline).first { try $0.boolean() }
        return isKept == true ? .success(Written()) : .failure(LeaseLostError(lease: lease))
    }

    private func keptCursor(of holder: String) throws -> ChangeCursor? {
        let statement = PostgresStatement(
            name: "kept_cursor",
            sql: "SELECT c.history, c.number FROM whatsapp_sessions.kept_cursors c WHERE c.holder = $1",
            types: [.text]
        )
        var values = PostgresValues()
        values.add(holder)
        return try connection.run(statement, values, until: deadline).first { try ChangeCursor(&$0) }
    }

    private func claim(_ writes: [PostgresWrite]) throws -> [Outcome] {
        let statement = PostgresStatement(
            name: "claim_sessions",
            sql: """
                SELECT c.refusal, \(Self.columns(of: "(c.session)")), c.holder
                FROM whatsapp_sessions.claim_sessions($1, $2, $3, $4, $5, $6, $7) c
                """,
            types: [.integer, .boolean, .bigints, .texts, .bigints, .texts, .booleans]
        )
        let claims: [(id: String, lease: SessionLease, isRelease: Bool)] = writes.compactMap {
            switch $0.write {
            case .claim(let id, let lease): (id, lease, false)
            case .release(let id, let lease): (id, lease, true)
            default: nil
            }
        }
        var values = begin(writes)
        values.add(writes.map { $0.request as Int64? })
        values.add(claims.map { $0.id as String? })
        values.add(claims.map { $0.lease.number as Int64? })
        values.add(claims.map { $0.lease.holder as String? })
        values.add(claims.map { $0.isRelease as Bool? })
        return outcomes(of: writes, in: try connection.run(statement, values, until: deadline))
    }

    private func claimUnserved(_ write: PostgresWrite, limit: Int, under lease: SessionLease) throws -> Outcome {
        let statement = PostgresStatement(
            name: "claim_unserved",
            sql: """
                SELECT s.seq, \(Self.columns(of: "s")), $5::text AS holder
                FROM whatsapp_sessions.claim_unserved($1, $2, $3, $4, $5, $6) s
                """,
            types: [.integer, .boolean, .bigint, .bigint, .text, .bigint]
        )
        var values = begin([write])
        values.add(write.request)
        values.add(lease.number)
        values.add(lease.holder)
        values.add(Int64(limit))
        let rows = try connection.run(statement, values, until: deadline)
        return Result {
            var found = Found()
            try rows.each { row in
                // One row of NULLs says so.
                guard !row.isNull else { throw LeaseLostError(lease: lease) }
                _ = try add(row, to: &found)
            }
            return Written(claimed: found.sessions)
        }
    }

    private func lease(of holder: String) throws -> SessionLease? {
        let statement = PostgresStatement(
            name: "lease",
            sql: """
                SELECT l.number FROM whatsapp_sessions.leases l
                WHERE l.holder = $1 AND l.ends_at > whatsapp_sessions.now() ORDER BY l.number DESC LIMIT 1
                """,
            types: [.text]
        )
        var values = PostgresValues()
        values.add(holder)
        return try connection.run(statement, values, until: deadline).first { row in
            SessionLease(holder: holder, number: try row.integer())
        }
    }

    private func leases() throws -> [LeaseOverview] {
        let statement = PostgresStatement(
            name: "leases",
            sql: """
                SELECT l.number, l.holder, l.ends_at,
                    (SELECT count(*) FROM whatsapp_sessions.sessions s WHERE s.lease = l.number)
                FROM whatsapp_sessions.leases l WHERE l.ends_at > whatsapp_sessions.now() ORDER BY l.number
                """,
            types: []
        )
        return try connection.run(statement, until: deadline).map { row in
            let number = try row.integer()
            return LeaseOverview(
                lease: SessionLease(holder: try row.text(), number: number),
                endsAt: Date(milliseconds: try row.integer()),
                sessions: Int(try row.integer())
            )
        }
    }
}

// MARK: - Moving to another database

extension PostgresSessions {
    /// - Throws: ``DatabaseError`` with the code ``DatabaseError/ResultCode/corrupt`` when a row can't be read.
    private func contents() throws -> SessionContents {
        let rows = PostgresStatement(
            name: "contents",
            sql: """
                SELECT s.seq, \(Self.columns(of: "s")), NULL::text AS holder, s.qr_code_number, s.lease
                FROM whatsapp_sessions.sessions s ORDER BY s.seq
                """,
            types: []
        )
        let leases = PostgresStatement(
            name: "contents_leases",
            sql: """
                SELECT number, holder, ends_at FROM whatsapp_sessions.leases
                WHERE ends_at > whatsapp_sessions.now() ORDER BY number
                """,
            types: []
        )
        let last = PostgresStatement(
            name: "contents_last",
            sql: "SELECT last_lease FROM whatsapp_sessions.state",
            types: []
        )
        return try connection.snapshot(until: deadline) {
            var contents = SessionContents()
            contents.sessions = try connection.run(rows, until: deadline).map { row in
                let seq = try row.integer()
                let session = try Session(&row)
                let number = try row.integerIfPresent()
                return StoredSession(
                    seq: seq,
                    session: session,
                    qrCodeNumber: number,
                    lease: try row.integerIfPresent()
                )
            }
            contents.leases = try connection.run(leases, until: deadline).map { row in
                let number = try row.integer()
                let lease = SessionLease(holder: try row.text(), number: number)
                return StoredLease(lease: lease, endsAt: try row.integer())
            }
            contents.lastLease = try connection.run(last, until: deadline).first { try $0.integer() } ?? 0
            return contents
        }
    }

    private func restore(_ write: PostgresWrite, _ contents: SessionContents) throws -> Written {
        let statement = PostgresStatement(
            name: "restore_sessions",
            sql: """
                SELECT whatsapp_sessions.restore_sessions(
                    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23
                )
                """,
            types: [
                .integer, .boolean, .bigint, .bigints, .texts, .texts, .texts, .texts, .bigints, .bigints, .texts,
                .bigints,
                .bigints, .bigints, .bigints, .texts, .texts, .texts, .bigints, .bigints, .texts, .bigints, .bigint,
            ]
        )
        let stored = contents.sessions
        let sessions = stored.map(\.session)
        var values = begin([write])
        values.add(write.request)
        values.add(stored.map { $0.seq as Int64? })
        values.add(sessions.map { $0.id as String? })
        values.add(sessions.map { $0.status.rawValue as String? })
        values.add(sessions.map(\.phoneNumber))
        values.add(sessions.map(\.name))
        values.add(sessions.map(\.createdAt.milliseconds))
        values.add(sessions.map { $0.connectedAt?.milliseconds })
        values.add(sessions.map(\.qrCode))
        values.add(sessions.map(\.statusChangedAt.milliseconds))
        values.add(sessions.map { $0.qrCodeReceivedAt?.milliseconds })
        values.add(stored.map(\.qrCodeNumber))
        values.add(sessions.map { $0.disconnectReason?.code.map(Int64.init) })
        values.add(sessions.map { $0.disconnectReason?.text })
        values.add(sessions.map(\.restriction))
        values.add(sessions.map { $0.wish?.rawValue })
        values.add(stored.map(\.lease))
        values.add(contents.leases.map { $0.lease.number as Int64? })
        values.add(contents.leases.map { $0.lease.holder as String? })
        values.add(contents.leases.map { $0.endsAt as Int64? })
        values.add(contents.lastLease)
        let isDone = try connection.run(statement, values, until: deadline).first { try $0.boolean() }
        guard isDone == true else { throw DatabaseError.notEmpty(sqlState: "55000") }
        return Written()
    }
}

// MARK: - The journal

extension PostgresSessions {
    /// The columns of a change, in the order in which it is read: first its place, in the history in which it was made.
    private static let changeColumns = """
        (SELECT h.history FROM whatsapp_sessions.histories h WHERE h.after < c.number ORDER BY h.position DESC LIMIT 1), \
        c.number, c.session_id, c.previous_status, c.status, c.fields, c.disconnect_code, c.disconnect_text, c.changed_at
        """

    private func newestPlace() throws -> ChangeCursor? {
        let statement = PostgresStatement(name: "newest_place", sql: Self.newest, types: [])
        return try connection.run(statement, until: deadline).first { try ChangeCursor(&$0) }
    }

    /// Begins a new history, if the one there is belongs to another database.
    @discardableResult
    func renewHistory() throws -> Written {
        let statement = PostgresStatement(
            name: "renew_history",
            sql: "SELECT whatsapp_sessions.renew_history()",
            types: []
        )
        _ = try connection.run(statement, until: deadline)
        return Written()
    }

    /// The changes after a cursor, the oldest first; none if the cursor is the newest. They end before a damaged one. And the newest
    /// place, at the same moment.
    private func changes(after cursor: ChangeCursor, limit: Int) throws -> Found {
        // A history ends where the next one begins. A cursor beyond that is of a future that this database doesn't have.
        let statement = PostgresStatement(
            name: "changes",
            sql: """
                SELECT n.history, n.number,
                    EXISTS (
                        SELECT FROM whatsapp_sessions.histories h
                        WHERE h.history = $1 AND $2 <= coalesce(
                            (SELECT min(l.after) FROM whatsapp_sessions.histories l WHERE l.position > h.position), n.number
                        )
                    ),
                    c.*
                FROM (\(Self.newest)) n
                LEFT JOIN (
                    SELECT \(Self.changeColumns)
                    FROM whatsapp_sessions.session_changes c WHERE c.number > $2 ORDER BY c.number LIMIT $3
                ) c ON true
                ORDER BY c.number
                """,
            types: [.bigint, .bigint, .bigint]
        )
        var values = PostgresValues()
        values.add(cursor.history)
        values.add(cursor.number)
        values.add(Int64(limit))
        var found = Found()
        var number = cursor.number
        var damage: String?
        try connection.run(statement, values, until: deadline).each { row in
            let newest = try ChangeCursor(&row)
            found.place = newest
            guard try row.boolean() else { throw ChangeCursorExpiredError(cursor: cursor) }
            guard !row.isNull, damage == nil else { return }
            let place = try ChangeCursor(&row)
            // The numbers have no gaps, so one that is missing was dropped.
            guard place.number == number + 1 else { throw ChangeCursorExpiredError(cursor: cursor) }
            number += 1
            do {
                found.changes.append(try SessionChange(place, &row))
            } catch let error as DatabaseError where error.resultCode == .corrupt {
                damage = "\(error.message) in the change with the number \(number)"
            }
        }
        if found.changes.isEmpty, let newest = found.place, damage != nil || cursor.number < newest.number {
            throw ChangeCursorExpiredError(cursor: cursor, damage: damage)
        }
        return found
    }

    /// The last changes of a session, the newest first, without damaged ones.
    private func history(of id: String, limit: Int) throws -> [SessionChange] {
        let statement = PostgresStatement(
            name: "history",
            sql: """
                SELECT \(Self.changeColumns)
                FROM whatsapp_sessions.session_changes c WHERE c.session_id = $1 ORDER BY c.number DESC LIMIT $2
                """,
            types: [.text, .bigint]
        )
        var values = PostgresValues()
        values.add(id)
        values.add(Int64(limit))
        var changes: [SessionChange] = []
        try connection.run(statement, values, until: deadline).each { row in
            do {
                changes.append(try SessionChange(ChangeCursor(&row), &row))
            } catch let error as DatabaseError where error.resultCode == .corrupt {}
        }
        return changes
    }
}

// MARK: - Who is in the way

extension PostgresSessions {
    /// Who holds the turn, or a lock on a table that keeps writes out: the number of the process, and what it does.
    func blockers() throws -> String? {
        let statement = PostgresStatement(name: "blockers", sql: "SELECT whatsapp_sessions.blockers()", types: [])
        return try connection.run(statement, until: deadline).first { try $0.textIfPresent() } ?? nil
    }
}

// MARK: - Rows

extension PostgresRow {
    /// The text of the next column, which isn't taken.
    fileprivate func textAhead() throws -> String {
        var row = self
        return try row.text()
    }
}

extension Session {
    /// Reads the columns of a session, and its holder.
    fileprivate init(_ row: inout PostgresRow) throws {
        let id = try row.text()
        do {
            let status = try Status(&row)
            let phoneNumber = try row.textIfPresent()
            let name = try row.textIfPresent()
            let createdAt = Date(milliseconds: try row.integer())
            let connectedAt = try row.integerIfPresent().map(Date.init(milliseconds:))
            let qrCode = try row.textIfPresent()
            let statusChangedAt = try row.integerIfPresent().map(Date.init(milliseconds:))
            let qrCodeReceivedAt = try row.integerIfPresent()
            let isFirst = try row.integerIfPresent() == 1
            let reason = try DisconnectReason(&row)
            let restriction = try row.textIfPresent()
            let wish = try Wish(&row)
            self.init(
                id: id,
                status: status,
                phoneNumber: phoneNumber,
                name: name,
                createdAt: createdAt,
                connectedAt: connectedAt,
                qrCode: qrCode,
                statusChangedAt: statusChangedAt,
                qrCodeReceivedAt: qrCodeReceivedAt.map(Date.init(milliseconds:)),
                disconnectReason: reason,
                qrCodeExpiresAt: qrCodeReceivedAt.map { Date(milliseconds: $0 &+ (isFirst ? 60_000 : 20_000)) },
                restriction: restriction,
                holder: try row.textIfPresent(),
                wish: wish
            )
        } catch let error as DatabaseError where error.resultCode == .corrupt {
            throw error.explained { "\($0) in the row with the id \(id)" }
        }
    }
}

extension Session.Status {
    fileprivate init(_ row: inout PostgresRow) throws {
        guard let status = Self(rawValue: try row.text()) else { throw row.malformed() }
        self = status
    }
}

extension Session.Wish {
    /// `nil` when there is none.
    fileprivate init?(_ row: inout PostgresRow) throws {
        guard let text = try row.textIfPresent() else { return nil }
        guard let wish = Self(rawValue: text) else { throw row.malformed() }
        self = wish
    }
}

extension DisconnectReason {
    /// `nil` when there is none.
    fileprivate init?(_ row: inout PostgresRow) throws {
        let code = try row.integerIfPresent()
        guard let text = try row.textIfPresent() else { return nil }
        self.init(code: code.map(Int.init), text: text)
    }
}

extension ChangeCursor {
    fileprivate init(_ row: inout PostgresRow) throws {
        let history = try row.integer()
        self.init(history: history, number: try row.integer())
    }
}

extension SessionChange {
    /// Reads the columns of a change after its number.
    fileprivate init(_ cursor: ChangeCursor, _ row: inout PostgresRow) throws {
        func status() throws -> Session.Status? {
            guard row.isNull else { return try Session.Status(&row) }
            row.skip()
            return nil
        }
        let id = try row.text()
        let (before, after) = (try status(), try status())
        guard before != nil || after != nil else { throw row.malformed() }
        let fields = Fields(rawValue: Int(try row.integer()))
        let reason = try DisconnectReason(&row)
        self.init(
            cursor: cursor,
            sessionID: id,
            kind: before == nil ? .created : after == nil ? .deleted : .updated,
            date: Date(milliseconds: try row.integer()),
            fields: fields,
            previousStatus: before,
            status: after,
            disconnectReason: reason
        )
    }
}
#endif
