import Foundation

/// All that one run measures.
struct Measurements {
    let operations: [Int: [Operation: Times]]
    let file: [Operation: Times]
    let threads: [Kind: [Int: Double]]
    let opening: Times
    let counts: Counts
    let slowDisk: SlowDisk
    let journal: Journal
    let watching: Watching
    let scale: Scale

    static let rows = [10, 1000, 100_000]
    static let fileKinds: [Kind] = [.c, .library, .tunedGRDB, .codableGRDB]

    /// Takes about eight minutes.
    static func take() async throws -> Measurements {
        let folder = FileManager.default.temporaryDirectory.appending(path: "Benchmarks-\(UUID())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }

        // First, while nothing else has been allocated.
        let counts = try await Counts.take(ofAllKinds: true)
        let watching = try await Watching.measure(folder: folder.path)
        return try await Measurements(
            operations: [
                10: measureOperations(rows: 10, rounds: 501, batch: 10),
                1000: measureOperations(rows: 1000, rounds: 61, batch: 200),
                100_000: measureOperations(rows: 100_000, rounds: 21, batch: 500),
            ],
            file: measureOperations(rows: 100, rounds: 21, batch: 20, kinds: fileKinds, folder: folder.path),
            threads: measureThreads(rounds: 9),
            opening: measureOpening(rounds: 301),
            counts: counts,
            slowDisk: SlowDisk.measureInOwnProcess(),
            journal: Journal.measure(folder: folder.path),
            watching: watching,
            scale: Scale.measure(folder: folder.path)
        )
    }
}
