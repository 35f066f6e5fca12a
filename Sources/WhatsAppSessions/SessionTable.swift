import Foundation

extension Schema {
    /// The schema of the sessions: one script for each file in `migrations/`.
    static let sessions = Schema(
        applicationID: 0x5753_6573,  // "WSes"
        migrations: [
            PackageResources._001_create_sessions_sql,
            PackageResources._002_session_overview_sql,
        ]
    )
}

/// The table of sessions. Each method is one operation: its SQL, its parameters and how its rows are read.
///
/// Every SELECT begins with the columns that `Session(id:row:)` reads.
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
            SELECT status, phone_number, name, created_at, connected_at, qr_code
            FROM sessions WHERE id = :id
            """
        ).first(id) { try Session(id: id, row: $0) }
    }

    func allSessions() throws -> [Session] {
        try connection.prepared(
            """
            SELECT status, phone_number, name, created_at, connected_at, qr_code, id, seq
            FROM sessions ORDER BY seq
            """
        ).all { try Session(id: id($0, column: 6, seq: 7), row: $0) }
    }

    func exists(_ id: String) throws -> Bool {
        try connection.prepared("SELECT 1 FROM sessions WHERE id = :id").first(id) { _ in true } ?? false
    }

    /// Computes the session as it will be, then writes what was computed. In this order nothing has changed when either
    /// fails; and RETURNING would fill a temporary table: <https://sqlite.org/lang_returning.html>.
    ///
    /// - Parameters:
    ///   - connectedAt: The new `connectedAt` of the updates, in milliseconds.
    ///   - now: The current time in milliseconds, which a new connection is stamped with.
    func update(_ id: String, _ updates: SessionUpdates, connectedAt: Int64?, now: Int64) throws -> Changed<Session> {
        let compute = try connection.prepared(
            """
            SELECT status, phone_number, name, created_at, connected_at, qr_code, seq,
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
                    seq,
                    qr_code AS old_qr_code
                FROM sessions WHERE id = :id
            )
            """
        )
        let write = try connection.prepared(
            """
            UPDATE sessions
            SET status = :status, phone_number = :phone_number, name = :name, connected_at = :connected_at,
                qr_code = :qr_code
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
                try $0.bind(now, to: ":now")
            } read: { row in
                let session = try Session(id: id, row: row)
                let dropsQRCode = try row.integer(7) != 0
                try write.execute {
                    try $0.bind(0, of: row, to: ":status")
                    try $0.bind(1, of: row, to: ":phone_number")
                    try $0.bind(2, of: row, to: ":name")
                    try $0.bind(4, of: row, to: ":connected_at")
                    try $0.bind(5, of: row, to: ":qr_code")
                    try $0.bind(6, of: row, to: ":seq")
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

    /// Disconnects every live session that can be read.
    ///
    /// - Returns: Those sessions as they were, and what is wrong with each damaged row.
    func disconnectAll() throws -> Changed<(sessions: [Session], damages: [String])> {
        try connection.savepoint {
            var damages: [String] = []
            let live = try connection.prepared(
                """
                SELECT status, phone_number, name, created_at, connected_at, qr_code, id, seq
                FROM sessions WHERE status IS NOT 'disconnected' ORDER BY seq
                """
            ).all { row -> (seq: Int64, session: Session)? in
                do {
                    return (try row.integer(7), try Session(id: id(row, column: 6, seq: 7), row: row))
                } catch let error as DatabaseError where error.resultCode == .corrupt {
                    damages.append(error.message)
                    return nil
                }
            }.compactMap(\.self)
            let disconnect = try connection.prepared(
                "UPDATE sessions SET status = 'disconnected', qr_code = NULL WHERE seq = :seq"
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
    /// Reads the first six columns of a SELECT of `SessionTable`.
    fileprivate init(id: String, row: Row) throws {
        do {
            // Faster than `Status(rawValue:)`, which compares the texts out of line.
            let status: Status =
                switch try row.text(0) {
                case Status.initializing.rawValue: .initializing
                case Status.qrWaiting.rawValue: .qrWaiting
                case Status.connected.rawValue: .connected
                case Status.disconnected.rawValue: .disconnected
                default: throw row.malformed(0)
                }
            self.init(
                id: id,
                status: status,
                phoneNumber: try row.textIfPresent(1),
                name: try row.textIfPresent(2),
                createdAt: Date(milliseconds: try row.integer(3)),
                connectedAt: try row.integerIfPresent(4).map(Date.init(milliseconds:)),
                qrCode: try row.textIfPresent(5)
            )
        } catch let error as DatabaseError where error.resultCode == .corrupt {
            throw error.explained { "\($0) in the row with the id \(id)" }
        }
    }
}
