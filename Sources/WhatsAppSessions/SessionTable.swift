import Foundation

extension Schema {
    /// The schema of the sessions: one script for each file in `migrations/`.
    static let sessions = Schema(
        applicationID: 0x5753_6573,  // "WSes"
        migrations: [
            PackageResources._001_create_sessions_sql,
            PackageResources._002_session_overview_sql,
            PackageResources._003_session_changes_sql,
        ],
        // A cursor into the journal of one database must not be taken for a place in the other's.
        renewal: "UPDATE journal SET history = random() & 0x7fffffffffffffff"
    )
}

/// The table of sessions. Each method is one operation: its SQL, its parameters and how its rows are read.
///
/// Every SELECT of sessions begins with the ten columns that `Session(id:row:)` reads. The first nine are those that change.
struct SessionTable {
    let connection: Connection

    init(_ connection: Connection) {
        self.connection = connection
    }

    func insert(_ id: String, createdAt: Int64) throws -> Changed<Session> {
        do {
            try connection.prepared("INSERT INTO sessions (id, created_at) VALUES (:id, :created_at)").execute(id) {
                try $0.bind(createdAt, to: ":created_at")
            }
        } catch let error as DatabaseError where error.brokenRule?.code == "already_exists" {
            throw SessionAlreadyExistsError(sessionID: id)
        }
        return Changed(value: Session(id: id, status: .initializing, createdAt: Date(milliseconds: createdAt)))
    }

    func session(_ id: String) throws -> Session? {
        try connection.prepared(
            """
            SELECT status, phone_number, name, connected_at, qr_code, status_changed_at, qr_code_received_at,
                disconnect_code, disconnect_text, created_at
            FROM sessions WHERE id = :id
            """
        ).first(id) { try Session(id: id, row: $0) }
    }

    func allSessions() throws -> [Session] {
        try connection.prepared(
            """
            SELECT status, phone_number, name, connected_at, qr_code, status_changed_at, qr_code_received_at,
                disconnect_code, disconnect_text, created_at, id, seq
            FROM sessions ORDER BY seq
            """
        ).all { try Session(id: id($0, column: 10, seq: 11), row: $0) }
    }

    func sessions(_ status: Session.Status) throws -> [Session] {
        try connection.prepared(
            """
            SELECT status, phone_number, name, connected_at, qr_code, status_changed_at, qr_code_received_at,
                disconnect_code, disconnect_text, created_at, id, seq
            FROM sessions WHERE status = :status ORDER BY seq
            """
        ).all {
            try $0.bind(status.rawValue, to: ":status")
        } read: {
            try Session(id: id($0, column: 10, seq: 11), row: $0)
        }
    }

    /// Counts in one scan; `GROUP BY` would sort the rows first.
    func counts() throws -> [Session.Status: Int] {
        try connection.prepared(
            """
            SELECT count(*) FILTER (WHERE status = 'initializing'), count(*) FILTER (WHERE status = 'qr_waiting'),
                count(*) FILTER (WHERE status = 'connected'), count(*) FILTER (WHERE status = 'disconnected'),
                count(*) AS status
            FROM sessions
            """
        ).only { row in
            let counts = try (0..<5).map { try Int(row.integer($0)) }
            guard counts[..<4].reduce(0, +) == counts[4] else { throw row.malformed(4) }
            return [.initializing: counts[0], .qrWaiting: counts[1], .connected: counts[2], .disconnected: counts[3]]
        }
    }

    /// All sessions and the newest place in the journal. One statement, so that it sees one state; and a LEFT JOIN, so that it
    /// has a row where there is no session.
    func snapshot() throws -> SessionSnapshot {
        var cursor: ChangeCursor?
        let sessions = try connection.prepared(
            """
            SELECT status, phone_number, name, connected_at, qr_code, status_changed_at, qr_code_received_at,
                disconnect_code, disconnect_text, created_at, sessions.id, seq,
                history, (SELECT max(number) FROM session_changes)
            FROM journal LEFT JOIN sessions WHERE journal.id = 1 ORDER BY seq
            """
        ).all { row -> Session? in
            if cursor == nil { cursor = try ChangeCursor(row, history: 12, number: 13) }
            guard try row.integerIfPresent(11) != nil else { return nil }
            return try Session(id: id(row, column: 10, seq: 11), row: row)
        }
        guard let cursor else { throw DatabaseError.journalLost }
        return SessionSnapshot(sessions: sessions.compactMap(\.self), cursor: cursor)
    }

    /// One session and the newest place in the journal, as they are at one moment.
    func sessionAndCursor(_ id: String) throws -> (session: Session?, cursor: ChangeCursor) {
        let found = try connection.prepared(
            """
            SELECT status, phone_number, name, connected_at, qr_code, status_changed_at, qr_code_received_at,
                disconnect_code, disconnect_text, created_at, seq,
                history, (SELECT max(number) FROM session_changes)
            FROM journal LEFT JOIN sessions ON sessions.id = :id WHERE journal.id = 1
            """
        ).first(id) { row in
            let cursor = try ChangeCursor(row, history: 11, number: 12)
            return try (session: row.integerIfPresent(10).map { _ in try Session(id: id, row: row) }, cursor: cursor)
        }
        guard let found else { throw DatabaseError.journalLost }
        return found
    }

    func exists(_ id: String) throws -> Bool {
        try connection.prepared("SELECT 1 FROM sessions WHERE id = :id").first(id) { _ in true } ?? false
    }

    /// Computes the session as it will be, then writes what was computed. In this order nothing has changed when either
    /// fails; and RETURNING would fill a temporary table: <https://sqlite.org/lang_returning.html>.
    ///
    /// A new time always differs from the one that it replaces. That is how the triggers tell this statement from others, whose
    /// times they set. Changes within the same moment are a millisecond apart.
    ///
    /// - Parameters:
    ///   - connectedAt: The new `connectedAt` of the updates, in milliseconds.
    ///   - now: The current time in milliseconds, which changes are stamped with.
    func update(_ id: String, _ updates: SessionUpdates, connectedAt: Int64?, now: Int64) throws -> Changed<Session> {
        let compute = try connection.prepared(
            """
            SELECT status, phone_number, name, connected_at, qr_code,
                CASE
                    WHEN status IS old_status THEN old_status_changed_at
                    WHEN old_status_changed_at BETWEEN :now AND :now + 999 THEN old_status_changed_at + 1
                    ELSE :now
                END AS status_changed_at,
                CASE
                    WHEN qr_code IS old_qr_code THEN old_qr_code_received_at
                    WHEN qr_code IS NULL THEN NULL
                    WHEN old_qr_code_received_at BETWEEN :now AND :now + 999 THEN old_qr_code_received_at + 1
                    ELSE :now
                END AS qr_code_received_at,
                disconnect_code, disconnect_text, created_at, seq,
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
                    seq,
                    status AS old_status,
                    status_changed_at AS old_status_changed_at,
                    qr_code AS old_qr_code,
                    qr_code_received_at AS old_qr_code_received_at
                FROM sessions WHERE id = :id
            )
            """
        )
        // The parameters come in the order of the columns above.
        let write = try connection.prepared(
            """
            UPDATE sessions
            SET status = :status, phone_number = :phone_number, name = :name, connected_at = :connected_at,
                qr_code = :qr_code, status_changed_at = :status_changed_at, qr_code_received_at = :qr_code_received_at,
                disconnect_code = :disconnect_code, disconnect_text = :disconnect_text
            WHERE seq = :seq
            """
        )
        do {
            let changed = try compute.first {
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
                try $0.bind(updates.disconnectReason.isChange, to: ":changes_disconnect_reason")
                try $0.bind(updates.disconnectReason.newValue?.code.map(Int64.init), to: ":disconnect_code")
                try $0.bind(updates.disconnectReason.newValue?.text, to: ":disconnect_text")
                try $0.bind(now, to: ":now")
            } read: { row in
                let session = try Session(id: id, row: row)
                let dropsQRCode = try row.integer(11) != 0
                try write.execute {
                    try $0.bind(0..<9, of: row)
                    try $0.bind(10, of: row, to: ":seq")
                }
                return Changed(value: session, erases: dropsQRCode)
            }
            guard let changed else { throw SessionNotFoundError(sessionID: id) }
            return changed
        } catch let error as DatabaseError {
            guard let rule = error.brokenRule else { throw error }
            throw InvalidSessionUpdateError(
                sessionID: id,
                reason: .init(code: rule.code, description: rule.sentence)
            )
        }
    }

    /// A deleted session may have had a QR code, so the log is erased either way.
    func delete(_ id: String) throws -> Changed<Bool> {
        try connection.prepared("DELETE FROM sessions WHERE id = :id").execute(id)
        let isDeleted = connection.changes > 0
        return Changed(value: isDeleted, erases: isDeleted)
    }

    /// Disconnects every live session that can be read, and gives those a reason that have none. The schema sets the times.
    ///
    /// - Returns: Those sessions as they were, and what is wrong with each damaged row.
    func disconnectAll() throws -> Changed<(sessions: [Session], damages: [String])> {
        try connection.savepoint {
            var damages: [String] = []
            let live = try connection.prepared(
                """
                SELECT status, phone_number, name, connected_at, qr_code, status_changed_at, qr_code_received_at,
                    disconnect_code, disconnect_text, created_at, id, seq
                FROM sessions WHERE status IS NOT 'disconnected' ORDER BY seq
                """
            ).all { row -> (seq: Int64, session: Session)? in
                do {
                    return (try row.integer(11), try Session(id: id(row, column: 10, seq: 11), row: row))
                } catch let error as DatabaseError where error.resultCode == .corrupt {
                    damages.append(error.message)
                    return nil
                }
            }.compactMap(\.self)
            let disconnect = try connection.prepared(
                """
                UPDATE sessions
                SET status = 'disconnected', qr_code = NULL,
                    disconnect_text = coalesce(disconnect_text, 'the gateway stopped')
                WHERE seq = :seq
                """
            )
            for (seq, _) in live { try disconnect.execute { try $0.bind(seq, to: ":seq") } }
            let sessions = live.map(\.session)
            return Changed(value: (sessions, damages), erases: sessions.contains { $0.qrCode != nil })
        }
    }

    /// The id in a row. If it is malformed, the error names the row by its sequence number.
    private func id(_ row: Row, column: Int32, seq: Int32) throws -> String {
        do {
            return try row.text(column)
        } catch let error as DatabaseError where error.resultCode == .corrupt {
            let seq = try row.integer(seq)
            throw error.explained { "\($0) in the row with the seq \(seq)" }
        }
    }
}

extension Session {
    /// Reads the first ten columns of a SELECT of `SessionTable`.
    fileprivate init(id: String, row: Row) throws {
        do {
            let createdAt = Date(milliseconds: try row.integer(9))
            self.init(
                id: id,
                status: try Status(row: row, column: 0),
                phoneNumber: try row.textIfPresent(1),
                name: try row.textIfPresent(2),
                createdAt: createdAt,
                connectedAt: try row.integerIfPresent(3).map(Date.init(milliseconds:)),
                qrCode: try row.textIfPresent(4),
                statusChangedAt: try row.integerIfPresent(5).map(Date.init(milliseconds:)),
                qrCodeReceivedAt: try row.integerIfPresent(6).map(Date.init(milliseconds:)),
                disconnectReason: try DisconnectReason(row: row, code: 7, text: 8)
            )
        } catch let error as DatabaseError where error.resultCode == .corrupt {
            throw error.explained { "\($0) in the row with the id \(id)" }
        }
    }
}

extension Session.Status {
    init(row: Row, column: Int32) throws {
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

extension DisconnectReason {
    /// `nil` when there is none.
    init?(row: Row, code: Int32, text: Int32) throws {
        guard let words = try row.textIfPresent(text) else { return nil }
        self.init(code: try row.integerIfPresent(code).map(Int.init), text: words)
    }
}
