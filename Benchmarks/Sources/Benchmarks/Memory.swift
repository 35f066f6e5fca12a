import CBaseline

/// Bytes that a session takes, its QR code and all other fields included: what this process has allocated more with
/// 100,000 of them.
func measureMemory() async throws -> [Kind: Double] {
    let sessions = 100_000
    var bytes: [Kind: Double] = [:]
    // A record changes nothing about what GRDB's database takes.
    for kind in Kind.allCases where kind != .codableGRDB {
        let before = baseline_allocated()
        let subject = try kind.open()
        for _ in 0..<sessions {
            // Texts of its own for each session, as they come from a network; a dictionary keeps them.
            let ids = randomIDs(1)
            for operation in Population.operations { _ = try await subject.run(operation, Batch(ids, for: operation)) }
        }
        bytes[kind] = withExtendedLifetime(subject) { Double(baseline_allocated() - before) / Double(sessions) }
    }
    return bytes
}
