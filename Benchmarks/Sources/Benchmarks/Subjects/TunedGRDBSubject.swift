import Foundation
import GRDB
import WhatsAppSessions

/// GRDB as one would tune it: cached statements, columns by index, autocommit.
final class TunedGRDBSubject: SynchronousSubject {
    private let queue: DatabaseQueue

    init(_ path: String?) throws {
        queue = try openQueue(path)
    }

    func run(_ operation: Operation, _ batch: Batch) throws -> Int {
        var count = 0
        switch operation {
        case .create:
            for id in batch.ids {
                try queue.inDatabase { database in
                    try database.cachedStatement(sql: "INSERT INTO sessions (id, created_at) VALUES (?1, ?2)")
                        .execute(arguments: [id, Date.millisecondsNow])
                }
                count += 1
            }
        case .get, .getMiss:
            for id in batch.ids {
                let session = try queue.inDatabase { database in
                    try TunedSession.fetchOne(database.cachedStatement(sql: select), arguments: [id])
                }
                if session != nil { count += 1 }
            }
        case .exists:
            for id in batch.ids {
                let exists = try queue.inDatabase { database in
                    try Int.fetchOne(
                        database.cachedStatement(sql: "SELECT 1 FROM sessions WHERE id = ?1"),
                        arguments: [id]
                    )
                }
                if exists != nil { count += 1 }
            }
        case .updateStatus, .updateThree, .updateQRCode, .updateName, .updateRefused:
            for id in batch.ids {
                do {
                    if try update(id, batch.updates!) != nil { count += 1 }
                } catch let error as GRDB.DatabaseError where error.resultCode == .SQLITE_CONSTRAINT {}
            }
        case .delete:
            for id in batch.ids {
                count += try queue.inDatabase { database in
                    try database.cachedStatement(sql: "DELETE FROM sessions WHERE id = ?1").execute(arguments: [id])
                    return database.changesCount
                }
            }
        case .getAll:
            count = try queue.inDatabase { database in
                let sql = "SELECT \(Schema.columns) FROM sessions ORDER BY seq"
                return try TunedSession.fetchAll(database.cachedStatement(sql: sql)).count
            }
        }
        return count
    }

    private func update(_ id: String, _ updates: SessionUpdates) throws -> TunedSession? {
        let (phoneNumber, name) = (updates.phoneNumber.change, updates.name.change)
        let (connectedAt, qrCode) = (updates.connectedAt.change, updates.qrCode.change)
        return try queue.inDatabase { database in
            try TunedSession.fetchOne(
                database.cachedStatement(sql: updateReturning),
                arguments: [
                    id, updates.status?.rawValue, phoneNumber.isChange, phoneNumber.value, name.isChange, name.value,
                    connectedAt.isChange, connectedAt.value.map { Int64($0.timeIntervalSince1970 * 1000) },
                    qrCode.isChange, qrCode.value, Date.millisecondsNow, false, nil, nil,
                ]
            )
        }
    }
}

private let select = "SELECT \(Schema.columns) FROM sessions WHERE id = ?1"

private let newQRCode = "CASE WHEN ?9 THEN ?10 WHEN coalesce(?2, status) = 'qr_waiting' THEN qr_code END"

private let updateReturning = """
    UPDATE sessions SET
        status = coalesce(?2, status),
        phone_number = iif(?3, ?4, phone_number),
        name = iif(?5, ?6, name),
        connected_at = CASE
            WHEN ?7 THEN ?8 WHEN ?2 = 'connected' AND status <> 'connected' THEN ?11 ELSE connected_at END,
        qr_code = \(newQRCode),
        status_changed_at = iif(
            coalesce(?2, status) IS status, status_changed_at,
            iif(status_changed_at BETWEEN ?11 AND ?11 + 999, status_changed_at + 1, ?11)
        ),
        qr_code_received_at = CASE
            WHEN \(newQRCode) IS qr_code THEN qr_code_received_at
            WHEN \(newQRCode) IS NOT NULL
                THEN iif(qr_code_received_at BETWEEN ?11 AND ?11 + 999, qr_code_received_at + 1, ?11)
        END,
        qr_code_number = CASE
            WHEN coalesce(?2, status) <> 'qr_waiting' THEN NULL
            WHEN \(newQRCode) IS NULL OR \(newQRCode) IS qr_code THEN qr_code_number
            ELSE coalesce(qr_code_number, 0) + 1
        END,
        disconnect_code = CASE WHEN ?12 THEN ?13 WHEN coalesce(?2, status) <> 'connected' THEN disconnect_code END,
        disconnect_text = CASE WHEN ?12 THEN ?14 WHEN coalesce(?2, status) <> 'connected' THEN disconnect_text END
    WHERE id = ?1 RETURNING \(Schema.columns)
    """

private struct TunedSession: FetchableRecord {
    let id: String
    let status: String
    let phoneNumber, name: String?
    let createdAt: Int64
    let connectedAt: Int64?
    let qrCode: String?
    let statusChangedAt, qrCodeReceivedAt, disconnectCode, qrCodeNumber: Int64?
    let disconnectText: String?

    init(row: Row) {
        id = row[0]
        status = row[1]
        phoneNumber = row[2]
        name = row[3]
        createdAt = row[4]
        connectedAt = row[5]
        qrCode = row[6]
        statusChangedAt = row[7]
        qrCodeReceivedAt = row[8]
        disconnectCode = row[9]
        disconnectText = row[10]
        qrCodeNumber = row[11]
    }
}
