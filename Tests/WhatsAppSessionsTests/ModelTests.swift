import Foundation
import Testing
import WhatsAppSessions

/// A random walk over all operations, compared step by step with a dictionary that follows the written rules. At its end
/// the journal must tell the whole walk.
@Suite(.eachEngine) struct ModelTests {
    // The seeds are fixed, so that a failure can be repeated.
    @Test(arguments: [1, 2, 3, 4] as [UInt64])
    func `10,000 random operations do what the rules say`(seed: UInt64) throws {
        try walk(Engine.current.open(), Self.ids, steps: 10_000, seed: seed)
    }

    @Test func `in a file, 8 threads with ids of their own do what the rules say, as if each were alone`() async throws
    {
        let folder = TemporaryFolder()
        let manager = try folder.open()
        try await withThrowingTaskGroup { group in
            for thread in 0..<8 {
                group.addTask {
                    try await onThread {
                        try walk(manager, Self.ids.map { "\(thread) \($0)" }, steps: 500, seed: UInt64(thread))
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    static let ids = [
        "a", "b", "A", "a ", "a\0", "\u{e9}", "e\u{301}", "☕", "'", "0", "00", String(repeating: "x", count: 300),
    ]

    /// Takes random steps on sessions with these ids, and looks after each whether the manager and the model agree.
    private func walk(_ manager: SessionManager, _ ids: [String], steps: Int, seed: UInt64) throws {
        var random = SplitMix64(state: seed)
        var model = Model()
        let mine = Set(ids.map { Array($0.utf8) })
        var cursor = try manager.snapshot().cursor

        for step in 0..<steps {
            let id = ids.randomElement(using: &random)!
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<20:
                let result = Result { try manager.createSession(id) }
                model.create(id, expecting: result, step)
            case 20..<80:
                let updates = randomUpdates(using: &random)
                let before = Date.now
                let result = Result { try manager.updateSession(id, updates) }
                model.update(id, updates, expecting: result, step, stampedFrom: before)
            case 80..<86:
                #expect(try manager.deleteSession(id) == model.delete(id), "step \(step)")
            case 86..<93:
                #expect(try manager.getSession(id) == model[id], "step \(step)")
            default:
                #expect(try manager.sessionExists(id) == (model[id] != nil), "step \(step)")
            }
            if step % 25 == 0 || step == steps - 1 {
                let sessions = try manager.getAllSessions().filter { mine.contains(Array($0.id.utf8)) }
                #expect(sessions == model.sessions, "step \(step)")
            }
        }
        var changes: [Change] = []
        while let page = try Optional(manager.getChanges(after: cursor, limit: 97)), let last = page.last {
            changes += page.map(Change.init).filter { mine.contains($0.id) }
            cursor = last.cursor
        }
        #expect(changes == model.changes)
    }

    private func randomUpdates(using random: inout SplitMix64) -> SessionUpdates {
        func field<Value>(_ values: [Value]) -> FieldUpdate<Value> {
            switch Int.random(in: 0..<4, using: &random) {
            case 0: .set(values.randomElement(using: &random)!)
            case 1: .clear
            default: .unchanged
            }
        }
        return SessionUpdates(
            status: Bool.random(using: &random) ? Session.Status.allCases.randomElement(using: &random) : nil,
            phoneNumber: field(["447700900123", ""]),
            name: field(["Ana Souza ☕", "a\0b"]),
            connectedAt: field([Date(timeIntervalSince1970: 1.5), Date(timeIntervalSince1970: -2), .distantFuture]),
            qrCode: field(["2@one", "2@two"]),
            disconnectReason: field([DisconnectReason(code: 401, text: "logged out"), DisconnectReason(text: "")])
        )
    }
}

/// A change of the journal, as far as a model can know it.
private struct Change: Equatable {
    var id: [UInt8], kind: SessionChange.Kind, fields: SessionChange.Fields = []
    var previousStatus: Session.Status?, status: Session.Status?, reason: DisconnectReason?
}

extension Change {
    init(_ change: SessionChange) {
        self.init(
            id: Array(change.sessionID.utf8),
            kind: change.kind,
            fields: change.fields,
            previousStatus: change.previousStatus,
            status: change.status,
            reason: change.disconnectReason
        )
    }
}

/// The rules of a session as a programmer would write them over a dictionary.
private struct Model {
    // Keyed by bytes, since Swift calls some ids equal that are not.
    private var rows: [[UInt8]: Session] = [:]
    /// Which code of its pairing each session has, or had before it was cleared.
    private var codeNumbers: [[UInt8]: Int] = [:]
    private var order: [[UInt8]] = []
    private(set) var changes: [Change] = []

    var sessions: [Session] { order.map { rows[$0]! } }
    subscript(id: String) -> Session? { rows[Array(id.utf8)] }

    mutating func create(_ id: String, expecting result: Result<Session, any Error>, _ step: Int) {
        if self[id] != nil {
            #expect(throws: SessionAlreadyExistsError.self, "step \(step)") { try result.get() }
        } else if let session = try? result.get() {
            #expect(session == Session(id: id, status: .initializing, createdAt: session.createdAt), "step \(step)")
            rows[Array(id.utf8)] = session
            order.append(Array(id.utf8))
            changes.append(Change(id: Array(id.utf8), kind: .created, status: .initializing))
        } else {
            Issue.record("step \(step): \(result)")
        }
    }

    mutating func delete(_ id: String) -> Bool {
        codeNumbers[Array(id.utf8)] = nil
        order.removeAll { $0 == Array(id.utf8) }
        guard let old = rows.removeValue(forKey: Array(id.utf8)) else { return false }
        changes.append(Change(id: Array(id.utf8), kind: .deleted, previousStatus: old.status))
        return true
    }

    mutating func update(
        _ id: String,
        _ updates: SessionUpdates,
        expecting result: Result<Session, any Error>,
        _ step: Int,
        stampedFrom before: Date
    ) {
        guard let old = self[id] else {
            #expect(throws: SessionNotFoundError.self, "step \(step)") { try result.get() }
            return
        }
        let status = updates.status ?? old.status
        let isNewConnection = status == .connected && old.status != .connected
        let answer = try? result.get()
        let stamp = answer?.connectedAt
        let connectedAt = apply(updates.connectedAt, to: isNewConnection ? stamp : old.connectedAt)
        let qrCode = apply(updates.qrCode, to: status == .qrWaiting ? old.qrCode : nil)

        let reason = apply(updates.disconnectReason, to: status == .connected ? nil : old.disconnectReason)

        let isRefused =
            old.status == .connected && status == .qrWaiting
            || qrCode != nil && status != .qrWaiting
            || status == .connected && updates.connectedAt == .clear
            || reason != nil && status == .connected
        if isRefused {
            #expect(throws: InvalidSessionUpdateError.self, "step \(step)") { try result.get() }
            return
        }
        let key = Array(id.utf8)
        if status != .qrWaiting { codeNumbers[key] = nil }
        if let qrCode, qrCode != old.qrCode { codeNumbers[key, default: 0] += 1 }
        let new = Session(
            id: old.id,
            status: status,
            phoneNumber: apply(updates.phoneNumber, to: old.phoneNumber),
            name: apply(updates.name, to: old.name),
            createdAt: old.createdAt,
            connectedAt: connectedAt,
            qrCode: qrCode,
            statusChangedAt: status == old.status ? old.statusChangedAt : answer?.statusChangedAt,
            qrCodeReceivedAt: qrCode == nil
                ? nil : qrCode == old.qrCode ? old.qrCodeReceivedAt : answer?.qrCodeReceivedAt ?? .distantPast,
            disconnectReason: reason,
            qrCodeExpiresAt: qrCode == nil
                ? nil
                : (answer?.qrCodeReceivedAt ?? .distantPast).addingTimeInterval(codeNumbers[key] == 1 ? 60 : 20)
        )
        #expect(answer == new, "step \(step): \(result)")
        var stamps: [Date?] = []
        if isNewConnection, updates.connectedAt == .unchanged { stamps.append(stamp) }
        if status != old.status { stamps.append(new.statusChangedAt) }
        if qrCode != nil, qrCode != old.qrCode { stamps.append(new.qrCodeReceivedAt) }
        for stamp in stamps {
            #expect(stamp.map { abs($0.timeIntervalSince(before)) < 60 } == true, "step \(step)")
        }
        rows[Array(id.utf8)] = new
        noteChange(from: old, to: new)
    }

    private mutating func noteChange(from old: Session, to new: Session) {
        var fields: SessionChange.Fields = []
        if new.status != old.status { fields.insert(.status) }
        if new.phoneNumber != old.phoneNumber { fields.insert(.phoneNumber) }
        if new.name != old.name { fields.insert(.name) }
        if new.connectedAt != old.connectedAt { fields.insert(.connectedAt) }
        if new.qrCode != old.qrCode { fields.insert(.qrCode) }
        if new.disconnectReason != old.disconnectReason { fields.insert(.disconnectReason) }
        guard !fields.isEmpty else { return }
        changes.append(
            Change(
                id: Array(new.id.utf8),
                kind: .updated,
                fields: fields,
                previousStatus: old.status,
                status: new.status,
                reason: fields.isDisjoint(with: [.status, .disconnectReason]) ? nil : new.disconnectReason
            )
        )
    }

    private func apply<Value>(_ update: FieldUpdate<Value>, to old: Value?) -> Value? {
        switch update {
        case .unchanged: old
        case .set(let value): value
        case .clear: nil
        }
    }
}
