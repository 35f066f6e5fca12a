import Foundation
import Synchronization
import WhatsAppSessions

/// What a Swift programmer would write instead: the same rules on a dictionary.
struct SessionDictionary {
    enum Failure: Error { case alreadyExists, notFound, refused }

    private var sessions: [String: (order: Int, session: Session)] = [:]
    private var created = 0

    mutating func create(_ id: String) throws -> Session {
        guard sessions[id] == nil else { throw Failure.alreadyExists }
        let createdAt = Date(timeIntervalSince1970: Double(Date.millisecondsNow) / 1000)
        let session = Session(id: id, status: .initializing, createdAt: createdAt)
        sessions[id] = (created, session)
        created += 1
        return session
    }

    func get(_ id: String) -> Session? { sessions[id]?.session }

    func exists(_ id: String) -> Bool { sessions[id] != nil }

    func all() -> [Session] { sessions.values.sorted { $0.order < $1.order }.map(\.session) }

    mutating func update(_ id: String, _ updates: SessionUpdates) throws -> Session {
        guard let (order, old) = sessions[id] else { throw Failure.notFound }
        let status = updates.status ?? old.status
        if old.status == .connected, status == .qrWaiting { throw Failure.refused }
        var connectedAt = old.connectedAt
        if case (true, let date) = updates.connectedAt.change {
            connectedAt = date
        } else if status == .connected, old.status != .connected {
            connectedAt = Date(timeIntervalSince1970: Double(Date.millisecondsNow) / 1000)
        }
        if status == .connected, connectedAt == nil { throw Failure.refused }
        var qrCode = status == .qrWaiting ? old.qrCode : nil
        if case (true, let code) = updates.qrCode.change { qrCode = code }
        if qrCode != nil, status != .qrWaiting { throw Failure.refused }
        var reason = status == .connected ? nil : old.disconnectReason
        if case (true, let value) = updates.disconnectReason.change { reason = value }
        if status == .connected, reason != nil { throw Failure.refused }
        let now = Date(timeIntervalSince1970: Double(Date.millisecondsNow) / 1000)
        let (phoneNumber, name) = (updates.phoneNumber.change, updates.name.change)
        let session = Session(
            id: old.id,
            status: status,
            phoneNumber: phoneNumber.isChange ? phoneNumber.value : old.phoneNumber,
            name: name.isChange ? name.value : old.name,
            createdAt: old.createdAt,
            connectedAt: connectedAt,
            qrCode: qrCode,
            statusChangedAt: status == old.status ? old.statusChangedAt : now,
            qrCodeReceivedAt: qrCode == old.qrCode ? old.qrCodeReceivedAt : qrCode == nil ? nil : now,
            disconnectReason: reason,
            qrCodeExpiresAt: qrCode == nil
                ? nil
                : qrCode == old.qrCode
                    ? old.qrCodeExpiresAt : now.addingTimeInterval(old.status == .qrWaiting ? 20 : 60)
        )
        sessions[id] = (order, session)
        return session
    }

    mutating func delete(_ id: String) -> Bool { sessions.removeValue(forKey: id) != nil }
}

final class MutexDictionarySubject: SynchronousSubject {
    private let dictionary = Mutex(SessionDictionary())

    func run(_ operation: Operation, _ batch: Batch) throws -> Int {
        var count = 0
        switch operation {
        case .create:
            for id in batch.ids {
                _ = try dictionary.withLock { try $0.create(id) }
                count += 1
            }
        case .get, .getMiss:
            for id in batch.ids where dictionary.withLock({ $0.get(id) }) != nil { count += 1 }
        case .exists:
            for id in batch.ids where dictionary.withLock({ $0.exists(id) }) { count += 1 }
        case .updateStatus, .updateThree, .updateQRCode, .updateName, .updateRefused:
            for id in batch.ids {
                do {
                    _ = try dictionary.withLock { try $0.update(id, batch.updates!) }
                    count += 1
                } catch SessionDictionary.Failure.refused {}
            }
        case .delete:
            for id in batch.ids where dictionary.withLock({ $0.delete(id) }) { count += 1 }
        case .getAll:
            count = dictionary.withLock { $0.all() }.count
        }
        return count
    }
}

private actor DictionaryActor {
    private var dictionary = SessionDictionary()

    func create(_ id: String) throws -> Session { try dictionary.create(id) }
    func get(_ id: String) -> Session? { dictionary.get(id) }
    func exists(_ id: String) -> Bool { dictionary.exists(id) }
    func all() -> [Session] { dictionary.all() }
    func update(_ id: String, _ updates: SessionUpdates) throws -> Session { try dictionary.update(id, updates) }
    func delete(_ id: String) -> Bool { dictionary.delete(id) }
}

struct ActorDictionarySubject: Subject {
    private let dictionary = DictionaryActor()

    func run(_ operation: Operation, _ batch: Batch) async throws -> Int {
        var count = 0
        switch operation {
        case .create:
            for id in batch.ids {
                _ = try await dictionary.create(id)
                count += 1
            }
        case .get, .getMiss:
            for id in batch.ids where await dictionary.get(id) != nil { count += 1 }
        case .exists:
            for id in batch.ids where await dictionary.exists(id) { count += 1 }
        case .updateStatus, .updateThree, .updateQRCode, .updateName, .updateRefused:
            for id in batch.ids {
                do {
                    _ = try await dictionary.update(id, batch.updates!)
                    count += 1
                } catch SessionDictionary.Failure.refused {}
            }
        case .delete:
            for id in batch.ids where await dictionary.delete(id) { count += 1 }
        case .getAll:
            count = await dictionary.all().count
        }
        return count
    }
}
