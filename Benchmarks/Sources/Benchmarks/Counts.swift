import CBaseline
import Foundation
import WhatsAppSessions

/// What repeats from run to run and from machine to machine: instructions, syncs and bytes. `Benchmarks check` holds these.
struct Counts {
    /// Instructions of an operation, by the place.
    let inMemory: [Operation: Instructions]
    let inFile: [Operation: Instructions]
    /// Syncs for one update, by the number of threads.
    let syncs: [Int: Double]
    let syncsOfTasks: Double
    /// A session with all its fields.
    let bytes: [Kind: Double]
    /// What the journal takes after 100,000 changes, and after a million.
    let journalBytes: [Double]

    static let operationsInMemory: [Operation] = [
        .get, .exists, .create, .updateQRCode, .updateStatus, .updateName, .updateRefused,
    ]
    static let operationsInFile: [Operation] = [.get, .create, .updateStatus, .updateName, .updateRefused]

    /// Takes about three minutes.
    static func take(ofAllKinds: Bool) async throws -> Counts {
        // First, while nothing else has been allocated.
        let bytes = try await measureMemory(of: ofAllKinds ? Kind.allCases : [.library])
        let journalBytes = try await measureJournal()
        let (inMemory, inFile) = try Instructions.count(inMemory: operationsInMemory, inFile: operationsInFile)
        let syncs = try SlowDisk.measureInOwnProcess(onlySyncs: true)
        return Counts(
            inMemory: inMemory,
            inFile: inFile,
            syncs: syncs.syncsPerChange,
            syncsOfTasks: syncs.asyncSyncsPerChange,
            bytes: bytes,
            journalBytes: journalBytes
        )
    }

    /// Bytes that a session takes, its QR code and all other fields included: what this process has allocated more with
    /// 100,000 of them.
    private static func measureMemory(of kinds: [Kind]) async throws -> [Kind: Double] {
        let sessions = 100_000
        var bytes: [Kind: Double] = [:]
        // A record changes nothing about what GRDB's database takes.
        for kind in kinds where kind != .codableGRDB {
            let before = baseline_allocated()
            let subject = try kind.open()
            for _ in 0..<sessions {
                // Texts of its own for each session, as they come from a network; a dictionary keeps them.
                let ids = randomIDs(1)
                for operation in Population.operations {
                    _ = try await subject.run(operation, Batch(ids, for: operation))
                }
            }
            bytes[kind] = withExtendedLifetime(subject) { Double(baseline_allocated() - before) / Double(sessions) }
        }
        return bytes
    }

    private static func measureJournal() async throws -> [Double] {
        let manager = try SessionManager()
        let id = randomIDs(1)[0]
        try await manager.createSession(id)
        let before = baseline_allocated()
        return try [100_000, 900_000].map { changes in
            for number in 0..<changes {
                try updateSynchronously(manager, id, number % 2 == 0 ? .initializing : .qrWaiting)
            }
            return Double(baseline_allocated() - before)
        }
    }

    private static func updateSynchronously(_ manager: SessionManager, _ id: String, _ status: Session.Status) throws {
        try manager.updateSession(id, SessionUpdates(status: status))
    }
}
