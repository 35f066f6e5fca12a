/// What a figure should be, and what it must be for a change to pass.
struct Goal {
    let what: String
    let measured: Double
    let isAtMost: Bool
    let goal: Double
    /// The bound that the check holds, with a margin for noise: `nil` where a figure is none of the library's doing.
    let limit: Double

    static func atMost(_ goal: Double, limit: Double, _ what: String, _ measured: Double) -> Goal {
        Goal(what: what, measured: measured, isAtMost: true, goal: goal, limit: limit)
    }

    static func atLeast(_ goal: Double, limit: Double, _ what: String, _ measured: Double) -> Goal {
        Goal(what: what, measured: measured, isAtMost: false, goal: goal, limit: limit)
    }

    var isReached: Bool { isAtMost ? measured <= goal : measured >= goal }
    var isWithinLimit: Bool { isAtMost ? measured <= limit : measured >= limit }
}

extension Measurements {
    var goals: [Goal] {
        func toC(_ operation: Operation, _ rows: Int) -> Double {
            operations[rows]![operation]!.ratio(.library, to: .c)
        }
        func faster(_ operation: Operation, _ kind: Kind, _ rows: Int) -> Double {
            operations[rows]![operation]!.ratio(kind, to: .library)
        }
        func slowestUpdate(_ figure: (Operation) -> Double) -> Double {
            [Operation.updateQRCode, .updateStatus, .updateThree].map(figure).max()!
        }
        let threads = threads[.library]!
        return [
            .atMost(1.00, limit: 1.20, "get, to C, 1,000 rows", toC(.get, 1000)),
            .atMost(1.00, limit: 1.25, "get, to C, 100,000 rows", toC(.get, 100_000)),
            .atMost(0.85, limit: 1.20, "exists, to C, 1,000 rows", toC(.exists, 1000)),
            .atMost(0.95, limit: 1.25, "exists, to C, 100,000 rows", toC(.exists, 100_000)),
            .atMost(1.05, limit: 1.40, "getAll, a row, to C, 1,000 rows", toC(.getAll, 1000)),
            .atMost(1.10, limit: 1.45, "getAll, a row, to C, 100,000 rows", toC(.getAll, 100_000)),
            .atMost(1.05, limit: 1.20, "create, to C, 1,000 rows", toC(.create, 1000)),
            .atMost(1.05, limit: 1.25, "create, to C, 100,000 rows", toC(.create, 100_000)),
            .atMost(
                0.75,
                limit: 1.00,
                "update, the slowest of three, to C, 1,000 rows",
                slowestUpdate { toC($0, 1000) }
            ),
            .atMost(
                0.80,
                limit: 1.05,
                "update, the slowest of three, to C, 100,000 rows",
                slowestUpdate { toC($0, 100_000) }
            ),
            .atMost(1.01, limit: 1.20, "delete, to C, 1,000 rows", toC(.delete, 1000)),
            .atMost(1.01, limit: 1.25, "delete, to C, 100,000 rows", toC(.delete, 100_000)),
            .atLeast(3.0, limit: 1.8, "get, faster than tuned GRDB, 1,000 rows", faster(.get, .tunedGRDB, 1000)),
            .atLeast(1.9, limit: 1.15, "get, faster than tuned GRDB, 100,000 rows", faster(.get, .tunedGRDB, 100_000)),
            .atLeast(6.0, limit: 2.8, "exists, faster than tuned GRDB, 1,000 rows", faster(.exists, .tunedGRDB, 1000)),
            .atLeast(
                3.0,
                limit: 1.3,
                "exists, faster than tuned GRDB, 100,000 rows",
                faster(.exists, .tunedGRDB, 100_000)
            ),
            .atLeast(4.0, limit: 1.3, "create, faster than tuned GRDB, 1,000 rows", faster(.create, .tunedGRDB, 1000)),
            .atLeast(
                3.0,
                limit: 1.0,
                "create, faster than tuned GRDB, 100,000 rows",
                faster(.create, .tunedGRDB, 100_000)
            ),
            .atLeast(
                2.8,
                limit: 1.5,
                "update, faster than tuned GRDB, 1,000 rows",
                faster(.updateStatus, .tunedGRDB, 1000)
            ),
            .atLeast(
                2.2,
                limit: 1.2,
                "update, faster than tuned GRDB, 100,000 rows",
                faster(.updateStatus, .tunedGRDB, 100_000)
            ),
            .atLeast(4.0, limit: 1.3, "delete, faster than tuned GRDB, 1,000 rows", faster(.delete, .tunedGRDB, 1000)),
            .atLeast(
                3.5,
                limit: 1.0,
                "delete, faster than tuned GRDB, 100,000 rows",
                faster(.delete, .tunedGRDB, 100_000)
            ),
            .atLeast(
                40,
                limit: 30,
                "get, faster than GRDB with Codable records, 1,000 rows",
                faster(.get, .codableGRDB, 1000)
            ),
            .atLeast(
                18,
                limit: 13,
                "get, faster than GRDB with Codable records, 100,000 rows",
                faster(.get, .codableGRDB, 100_000)
            ),
            .atLeast(0.9, limit: 0.7, "gets of 8 threads, to 1 thread", threads[8]! / threads[1]!),
            .atMost(1.05, limit: 1.05, "get, instructions to C", instructions[.get]!),
            .atMost(1.03, limit: 1.03, "exists, instructions to C", instructions[.exists]!),
            .atMost(1.05, limit: 1.05, "create and delete, instructions to C", instructions[.create]!),
            .atMost(560, limit: 560, "bytes a session", memory[.library]!),
            .atMost(1.3, limit: 1.6, "opening a manager, to C", opening.ratio(.library, to: .c)),
        ]
    }
}
