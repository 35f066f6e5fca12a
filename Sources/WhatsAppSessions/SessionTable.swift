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
    let insert, select, selectAll, selectLive, selectQRCode, exists, update, disconnectLive, delete: Statement
    var connection: Connection

    static func open(_ storage: SessionManager.Storage) throws -> SessionTable {
        let connection =
            switch storage {
            case .memory: try Connection.open(schema: .sessions)
            case .file(let path): try Connection.open(DatabaseFile(path), schema: .sessions)
            }
        let columns = "id, status, phone_number, name, created_at, connected_at, qr_code"
        return SessionTable(
            insert: try connection.prepare("INSERT INTO sessions (id, created_at) VALUES (?1, ?2)"),
            select: try connection.prepare("SELECT \(columns) FROM sessions WHERE id = ?1"),
            selectAll: try connection.prepare("SELECT \(columns) FROM sessions ORDER BY seq"),
            selectLive: try connection.prepare(
                "SELECT \(columns) FROM sessions WHERE status <> 'disconnected' ORDER BY seq"
            ),
            selectQRCode: try connection.prepare(
                "SELECT hex(qr_code) FROM sessions WHERE id = ?1 AND qr_code IS NOT NULL"
            ),
            exists: try connection.prepare("SELECT 1 FROM sessions WHERE id = ?1"),
            // Two parameters for a field that can be cleared: whether it changes, and to what. ?11 is the current time.
            update: try connection.prepare(
                """
                UPDATE sessions SET
                    status = coalesce(?2, status),
                    phone_number = iif(?3, ?4, phone_number),
                    name = iif(?5, ?6, name),
                    connected_at = CASE
                        WHEN ?7 THEN ?8
                        WHEN ?2 = 'connected' AND status <> 'connected' THEN ?11
                        ELSE connected_at
                    END,
                    qr_code = CASE
                        WHEN ?9 THEN ?10
                        WHEN coalesce(?2, status) = 'qr_waiting' THEN qr_code
                    END
                WHERE id = ?1
                RETURNING \(columns)
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
        var sessions: [Session] = []
        try statement.run(row: { try sessions.append(Session(row: $0)) })
        return sessions
    }

    /// The QR code of a session as hexadecimal digits, which a damaged one has too.
    func qrCode(_ sessionID: String) throws -> String? {
        try selectQRCode.run {
            try $0.bind(sessionID, at: 1)
        } row: {
            try $0.text(0)
        }
    }
}

extension Session {
    /// Reads a row of the columns that `SessionTable` selects.
    init(row: borrowing Statement) throws {
        guard let status = Status(rawValue: try row.text(1)) else { throw row.malformed(1) }
        self.init(
            id: try row.text(0),
            status: status,
            phoneNumber: try row.textIfPresent(2),
            name: try row.textIfPresent(3),
            createdAt: Date(milliseconds: try row.integer(4)),
            connectedAt: try row.integerIfPresent(5).map(Date.init(milliseconds:)),
            qrCode: try row.textIfPresent(6)
        )
    }
}
