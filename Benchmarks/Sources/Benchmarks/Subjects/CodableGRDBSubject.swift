import Foundation
import GRDB
import WhatsAppSessions

/// GRDB with a Codable record, as most people write it.
final class CodableGRDBSubject: SynchronousSubject {
    private let queue: DatabaseQueue

    init(_ path: String?) throws {
        queue = try openQueue(path)
    }

    func run(_ operation: Operation, _ batch: Batch) throws -> Int {
        var count = 0
        switch operation {
        case .create:
            for id in batch.ids {
                try queue.write { database in
                    try SessionRecord(id: id, status: "initializing", createdAt: Date()).insert(database)
                }
                count += 1
            }
        case .get, .getMiss:
            for id in batch.ids where try queue.read({ try SessionRecord.fetchOne($0, key: ["id": id]) }) != nil {
                count += 1
            }
        case .exists:
            for id in batch.ids where try queue.read({ try SessionRecord.exists($0, key: ["id": id]) }) { count += 1 }
        case .updateStatus, .updateThree, .updateQRCode, .updateName, .updateRefused:
            for id in batch.ids {
                do {
                    try update(id, batch.updates!)
                    count += 1
                } catch let error as GRDB.DatabaseError where error.resultCode == .SQLITE_CONSTRAINT {}
            }
        case .delete:
            for id in batch.ids where try queue.write({ try SessionRecord.deleteOne($0, key: ["id": id]) }) {
                count += 1
            }
        case .getAll:
            count = try queue.read { try SessionRecord.order(Column("seq")).fetchAll($0) }.count
        }
        return count
    }

    private func update(_ id: String, _ updates: SessionUpdates) throws {
        try queue.write { database in
            var session = try SessionRecord.find(database, key: ["id": id])
            try session.updateChanges(database) { session in
                let (old, oldQRCode) = (session.status, session.qrCode)
                session.status = updates.status?.rawValue ?? old
                if case (true, let value) = updates.phoneNumber.change { session.phoneNumber = value }
                if case (true, let value) = updates.name.change { session.name = value }
                if case (true, let value) = updates.connectedAt.change {
                    session.connectedAt = value
                } else if session.status == "connected", old != "connected" {
                    session.connectedAt = Date()
                }
                if case (true, let value) = updates.qrCode.change {
                    session.qrCode = value
                } else if session.status != "qr_waiting" {
                    session.qrCode = nil
                }
                if session.status == "connected" {
                    session.disconnectCode = nil
                    session.disconnectText = nil
                }
                let now = Date()
                if session.status != old { session.statusChangedAt = now }
                if session.qrCode != oldQRCode { session.qrCodeReceivedAt = session.qrCode == nil ? nil : now }
                if session.status != "qr_waiting" {
                    session.qrCodeNumber = nil
                } else if session.qrCode != nil, session.qrCode != oldQRCode {
                    session.qrCodeNumber = (session.qrCodeNumber ?? 0) + 1
                }
            }
        }
    }
}

private struct SessionRecord: Codable, FetchableRecord, PersistableRecord {
    static let databaseTableName = "sessions"
    static let databaseColumnDecodingStrategy = DatabaseColumnDecodingStrategy.convertFromSnakeCase
    static let databaseColumnEncodingStrategy = DatabaseColumnEncodingStrategy.convertToSnakeCase
    static func databaseDateEncodingStrategy(for column: String) -> DatabaseDateEncodingStrategy {
        .millisecondsSince1970
    }
    static func databaseDateDecodingStrategy(for column: String) -> DatabaseDateDecodingStrategy {
        .millisecondsSince1970
    }

    var seq: Int64?
    var id: String
    var status: String
    var phoneNumber: String?
    var name: String?
    var createdAt: Date
    var connectedAt: Date?
    var qrCode: String?
    var statusChangedAt: Date?
    var qrCodeReceivedAt: Date?
    var disconnectCode: Int?
    var disconnectText: String?
    var qrCodeNumber: Int?
}
