import WhatsAppSessions

/// This library, through its public interface.
struct LibrarySubject: SynchronousSubject {
    private let manager: SessionManager

    init(_ path: String?) throws {
        manager = try SessionManager(storage: path.map { .file(path: $0) } ?? .memory)
    }

    func run(_ operation: Operation, _ batch: Batch) throws -> Int {
        var count = 0
        switch operation {
        case .create:
            for id in batch.ids {
                try manager.createSession(id)
                count += 1
            }
        case .get, .getMiss:
            for id in batch.ids where try manager.getSession(id) != nil { count += 1 }
        case .exists:
            for id in batch.ids where try manager.sessionExists(id) { count += 1 }
        case .updateStatus, .updateThree, .updateQRCode, .updateName, .updateRefused:
            for id in batch.ids {
                do {
                    try manager.updateSession(id, batch.updates!)
                    count += 1
                } catch is InvalidSessionUpdateError {}
            }
        case .delete:
            for id in batch.ids where try manager.deleteSession(id) { count += 1 }
        case .getAll:
            count = try manager.getAllSessions().count
        }
        return count
    }
}
