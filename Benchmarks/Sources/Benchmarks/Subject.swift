import Foundation
import WhatsAppSessions

/// What is measured.
enum Operation: String, CaseIterable {
    case get
    case getMiss = "get, no such id"
    case exists
    case getAll = "getAll, a row"
    case create
    case updateQRCode = "update: a new QR code"
    case updateStatus = "update: the status"
    case updateThree = "update: three fields"
    case updateName = "update: the name"
    case updateRefused = "update: refused"
    case delete

    /// An update begins where the one before it ended: a session waits for its QR code to be scanned, starts anew, is
    /// connected, and hears of a QR code too late.
    var updates: SessionUpdates? {
        switch self {
        case .updateQRCode: SessionUpdates(status: .qrWaiting, qrCode: .set(randomQRCode()))
        case .updateStatus: SessionUpdates(status: .initializing)
        case .updateThree:
            SessionUpdates(status: .connected, phoneNumber: .set("447700900123"), name: .set("Ana Souza"))
        case .updateName: SessionUpdates(name: .set("Ana Souza \(Int.random(in: 0..<1000))"))
        case .updateRefused: SessionUpdates(status: .qrWaiting, qrCode: .set(randomQRCode()))
        case .get, .getMiss, .exists, .getAll, .create, .delete: nil
        }
    }
}

/// Some ids, as Swift and as C have them, and what is to be done with each.
final class Batch: @unchecked Sendable {
    let ids: [String]
    let cIDs: [UnsafeMutablePointer<CChar>?]
    let updates: SessionUpdates?

    init(_ ids: [String], for operation: Operation) {
        self.ids = ids
        cIDs = ids.map { strdup($0) }
        updates = operation.updates
    }

    deinit {
        for id in cIDs { free(id) }
    }
}

/// One way to keep sessions.
protocol Subject: Sendable {
    /// Does `operation` for every id of the batch and says for how many it succeeded.
    func run(_ operation: Operation, _ batch: Batch) async throws -> Int
}

/// A way that a thread can use without `await`.
protocol SynchronousSubject: Subject {
    func run(_ operation: Operation, _ batch: Batch) throws -> Int
}

/// The ways that are compared, in the order of the table's columns.
enum Kind: String, CaseIterable {
    case c = "C"
    case library = "this library"
    case tunedGRDB = "GRDB, tuned"
    case codableGRDB = "GRDB, Codable"
    case mutexDictionary = "dictionary, Mutex"
    case actorDictionary = "dictionary, actor"

    /// A new and empty one, in memory or in a durable file.
    func open(_ path: String? = nil) throws -> any Subject {
        switch self {
        case .c: CSubject(path)
        case .library: try LibrarySubject(path)
        case .tunedGRDB: try TunedGRDBSubject(path)
        case .codableGRDB: try CodableGRDBSubject(path)
        case .mutexDictionary: MutexDictionarySubject()
        case .actorDictionary: ActorDictionarySubject()
        }
    }
}

enum Schema {
    /// The library's own.
    static let sql = script(
        PackageResources._001_create_sessions_sql,
        PackageResources._002_session_overview_sql,
        PackageResources._003_session_changes_sql,
        PackageResources._004_qr_code_numbers_sql,
        PackageResources._005_cheaper_journal_sql,
        PackageResources._006_history_of_one_file_sql,
        PackageResources._007_room_for_seq_sql,
        PackageResources._008_restrictions_sql,
        PackageResources._009_leases_sql,
        PackageResources._010_wishes_sql,
        PackageResources._011_kept_cursors_sql
    )

    static let withoutJournal = script(
        PackageResources._001_create_sessions_sql,
        PackageResources._002_session_overview_sql,
        PackageResources._004_qr_code_numbers_sql,
        PackageResources._007_room_for_seq_sql
    )

    private static func script(_ migrations: [UInt8]...) -> String {
        migrations.map { String(decoding: $0, as: UTF8.self) }.joined()
    }

    static let columns = """
        id, status, phone_number, name, created_at, connected_at, qr_code, status_changed_at, qr_code_received_at,
        disconnect_code, disconnect_text, qr_code_number
        """
}

extension Date {
    static var millisecondsNow: Int64 { Int64(Date().timeIntervalSince1970 * 1000) }
}

extension FieldUpdate {
    /// Whether the field changes, and to what.
    var change: (isChange: Bool, value: Value?) {
        switch self {
        case .unchanged: (false, nil)
        case .set(let value): (true, value)
        case .clear: (true, nil)
        }
    }
}
