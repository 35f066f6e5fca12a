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

/// The table of sessions in one database: its statements, each prepared once, and its rows as sessions.
struct SessionTable: ~Copyable {
    let insert, select, selectAll, selectLive, selectQRCode, exists, selectUpdated, update, disconnectLive,
        delete: Statement
    var connection: Connection

    static func open(_ storage: SessionManager.Storage) throws -> SessionTable {
        let connection =
            switch storage {
            case .memory: try Connection.open(schema: .sessions)
            case .file(let path): try Connection.open(DatabaseFile(path), schema: .sessions)
            }
        let fields = "status, phone_number, name, created_at, connected_at, qr_code"
        // The values of an update, with two parameters for a field that can be cleared: whether it changes, and to what.
        // ?11 is the current time.
        let status = "coalesce(?2, status)"
        let phoneNumber = "iif(?3, ?4, phone_number)"
        let name = "iif(?5, ?6, name)"
        let connectedAt = """
            CASE WHEN ?7 THEN ?8 WHEN ?2 = 'connected' AND status <> 'connected' THEN ?11 ELSE connected_at END
            """
        let qrCode = "CASE WHEN ?9 THEN ?10 WHEN coalesce(?2, status) = 'qr_waiting' THEN qr_code END"
        return SessionTable(
            insert: try connection.prepare("INSERT INTO sessions (id, created_at) VALUES (?1, ?2)"),
            // An id that is known already is not read from the row.
            select: try connection.prepare("SELECT ?1 AS id, \(fields) FROM sessions WHERE id = ?1"),
            selectAll: try connection.prepare("SELECT id, \(fields) FROM sessions ORDER BY seq"),
            selectLive: try connection.prepare(
                "SELECT id, \(fields) FROM sessions WHERE status <> 'disconnected' ORDER BY seq"
            ),
            selectQRCode: try connection.prepare(
                "SELECT hex(qr_code) FROM sessions WHERE id = ?1 AND qr_code IS NOT NULL"
            ),
            exists: try connection.prepare("SELECT 1 FROM sessions WHERE id = ?1"),
            // What the update is going to write. It runs first, so that nothing has changed when one of the two fails.
            // RETURNING would fill a temporary table: https://sqlite.org/lang_returning.html
            selectUpdated: try connection.prepare(
                """
                SELECT ?1 AS id, \(status) AS status, \(phoneNumber) AS phone_number, \(name) AS name, created_at,
                    \(connectedAt) AS connected_at, \(qrCode) AS qr_code, seq
                FROM sessions WHERE id = ?1
                """
            ),
            update: try connection.prepare(
                """
                UPDATE sessions SET
                    status = \(status),
                    phone_number = \(phoneNumber),
                    name = \(name),
                    connected_at = \(connectedAt),
                    qr_code = \(qrCode)
                WHERE seq = ?1
                """
            ),
            disconnectLive: try connection.prepare(
                "UPDATE sessions SET status = 'disconnected', qr_code = NULL WHERE status <> 'disconnected'"
            ),
            delete: try connection.prepare("DELETE FROM sessions WHERE id = ?1"),
            connection: connection
        )
    }

    /// The sessions that one of the SELECT statements finds.
    func sessions(_ statement: borrowing Statement) throws -> [Session] {
        try statement.run { row in
            var sessions: [Session] = []
            while try row.step() { try sessions.append(Session(id: row.text(0), row: row)) }
            return sessions
        }
    }

    /// The QR code of a session as hexadecimal digits, which a damaged one has too.
    func qrCode(_ sessionID: String) throws -> String? {
        try selectQRCode.run(sessionID) { try $0.step() ? $0.text(0) : nil }
    }
}

extension Session {
    /// Reads a row of the columns that `SessionTable` selects. Whoever has the id already spares reading it again.
    init(id: String, row: borrowing Statement) throws {
        // Faster than `Status(rawValue:)`, which compares the texts out of line.
        let status: Status =
            switch try row.text(1) {
            case Status.initializing.rawValue: .initializing
            case Status.qrWaiting.rawValue: .qrWaiting
            case Status.connected.rawValue: .connected
            case Status.disconnected.rawValue: .disconnected
            default: throw row.malformed(1)
            }
        self.init(
            id: id,
            status: status,
            phoneNumber: try row.textIfPresent(2),
            name: try row.textIfPresent(3),
            createdAt: Date(milliseconds: try row.integer(4)),
            connectedAt: try row.integerIfPresent(5).map(Date.init(milliseconds:)),
            qrCode: try row.textIfPresent(6)
        )
    }
}
