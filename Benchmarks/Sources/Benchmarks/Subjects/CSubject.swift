import CBaseline
import Foundation
import WhatsAppSessions

/// SQLite from C; the loop over the ids is in C too. It takes no lock, so one thread at a time may use it.
final class CSubject: SynchronousSubject, @unchecked Sendable {
    private let baseline: OpaquePointer

    init(_ path: String?, schema: String = Schema.sql) {
        baseline = baseline_open(path ?? ":memory:", schema)!
    }

    deinit {
        baseline_close(baseline)
    }

    func run(_ operation: Operation, _ batch: Batch) -> Int {
        switch operation {
        case .create: baseline_create(baseline, batch.cIDs, batch.cIDs.count)
        case .get, .getMiss: baseline_get(baseline, batch.cIDs, batch.cIDs.count)
        case .exists: baseline_exists(baseline, batch.cIDs, batch.cIDs.count)
        case .updateStatus, .updateThree, .updateQRCode, .updateName, .updateRefused: update(batch)
        case .delete: baseline_delete(baseline, batch.cIDs, batch.cIDs.count)
        case .getAll: baseline_get_all(baseline)
        }
    }

    private func update(_ batch: Batch) -> Int {
        let updates = batch.updates!
        let (phoneNumber, name) = (updates.phoneNumber.change, updates.name.change)
        let (connectedAt, qrCode) = (updates.connectedAt.change, updates.qrCode.change)
        let texts = [updates.status?.rawValue, phoneNumber.value, name.value, qrCode.value].map {
            $0.flatMap { strdup($0) }
        }
        defer { for text in texts { free(text) } }
        var cUpdates = baseline_updates(
            status: texts[0],
            phone_number: texts[1],
            name: texts[2],
            qr_code: texts[3],
            connected_at: Int64((connectedAt.value?.timeIntervalSince1970 ?? 0) * 1000),
            sets_phone_number: phoneNumber.isChange,
            sets_name: name.isChange,
            sets_connected_at: connectedAt.isChange,
            sets_qr_code: qrCode.isChange,
            sets_disconnect_reason: false
        )
        return baseline_update(baseline, batch.cIDs, batch.cIDs.count, &cUpdates)
    }
}
