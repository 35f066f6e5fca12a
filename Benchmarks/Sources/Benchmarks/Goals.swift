/// What a figure should be, and what it must be for a change to pass.
struct Goal {
    enum Bound { case atMost, atLeast }

    let what: String
    let bound: Bound
    let goal: Double
    /// What the check holds: the figure as it is, with a margin for noise.
    let limit: Double
    let measured: Double
    /// Why it is missed, where that is known.
    let obstacle: Obstacle?

    /// At two decimals, as it is printed.
    var isReached: Bool { isKept(goal, by: (measured * 100).rounded() / 100) }
    var isWithinLimit: Bool { isKept(limit, by: measured) }

    private func isKept(_ limit: Double, by figure: Double) -> Bool {
        switch bound {
        case .atMost: figure <= limit
        case .atLeast: figure >= limit
        }
    }
}

/// What stands between a figure and its goal.
enum Obstacle: Int, CaseIterable {
    case heldTransaction = 1
    case safety, rules, nearerGRDB

    var explanation: String {
        switch self {
        case .heldTransaction:
            "The goal was set for a write transaction held open, which an allocation that fails rolls back as a whole."
        case .safety:
            "C takes no lock and believes what it reads; this library locks, and checks the type and UTF-8 of each value."
        case .rules:
            "The goal was set on a table without the CHECK constraints and the trigger, which this schema has."
        case .nearerGRDB:
            "GRDB is nearer to C here than where the goal was set."
        }
    }
}

extension Measurements {
    var goals: [Goal] {
        func toC(
            _ operation: Operation,
            _ rows: Int,
            goal: Double,
            limit: Double,
            _ obstacle: Obstacle
        ) -> Goal {
            let measured = operations[rows]![operation]!.ratio(.library, to: .c)
            return Goal(
                what: "\(operation.rawValue), \(rows) sessions, to C",
                bound: .atMost,
                goal: goal,
                limit: limit,
                measured: measured,
                obstacle: obstacle
            )
        }
        func faster(
            than kind: Kind,
            _ operation: Operation,
            _ rows: Int,
            goal: Double,
            limit: Double,
            _ obstacle: Obstacle
        ) -> Goal {
            let measured = operations[rows]![operation]!.ratio(kind, to: .library)
            return Goal(
                what: "\(operation.rawValue), \(rows) sessions, times as fast as \(kind.rawValue)",
                bound: .atLeast,
                goal: goal,
                limit: limit,
                measured: measured,
                obstacle: obstacle
            )
        }
        func other(
            _ what: String,
            _ bound: Goal.Bound,
            goal: Double,
            limit: Double,
            _ measured: Double
        ) -> Goal {
            Goal(what: what, bound: bound, goal: goal, limit: limit, measured: measured, obstacle: nil)
        }
        let threads = threads[.library]!
        return [
            toC(.get, 1000, goal: 1.00, limit: 1.20, .safety),
            toC(.get, 100_000, goal: 1.00, limit: 1.25, .safety),
            toC(.exists, 1000, goal: 0.85, limit: 1.20, .heldTransaction),
            toC(.exists, 100_000, goal: 0.95, limit: 1.25, .heldTransaction),
            toC(.getAll, 1000, goal: 1.05, limit: 1.40, .safety),
            toC(.getAll, 100_000, goal: 1.10, limit: 1.45, .safety),
            toC(.create, 1000, goal: 1.05, limit: 1.20, .safety),
            toC(.create, 100_000, goal: 1.05, limit: 1.25, .safety),
            toC(.updateQRCode, 1000, goal: 0.75, limit: 1.00, .rules),
            toC(.updateQRCode, 100_000, goal: 0.80, limit: 1.05, .rules),
            toC(.updateStatus, 1000, goal: 0.75, limit: 1.00, .rules),
            toC(.updateStatus, 100_000, goal: 0.80, limit: 1.05, .rules),
            toC(.updateThree, 1000, goal: 0.75, limit: 1.05, .rules),
            toC(.updateThree, 100_000, goal: 0.80, limit: 1.10, .rules),
            toC(.delete, 1000, goal: 1.01, limit: 1.20, .safety),
            toC(.delete, 100_000, goal: 1.01, limit: 1.25, .safety),
            faster(than: .tunedGRDB, .get, 1000, goal: 3, limit: 1.8, .nearerGRDB),
            faster(than: .tunedGRDB, .get, 100_000, goal: 1.9, limit: 1.2, .nearerGRDB),
            faster(than: .tunedGRDB, .exists, 1000, goal: 6, limit: 2.8, .heldTransaction),
            faster(than: .tunedGRDB, .exists, 100_000, goal: 3, limit: 1.4, .heldTransaction),
            faster(than: .tunedGRDB, .create, 1000, goal: 4, limit: 1.3, .heldTransaction),
            faster(than: .tunedGRDB, .create, 100_000, goal: 3, limit: 1.0, .heldTransaction),
            faster(than: .tunedGRDB, .updateStatus, 1000, goal: 2.8, limit: 1.5, .heldTransaction),
            faster(than: .tunedGRDB, .updateStatus, 100_000, goal: 2.2, limit: 1.2, .heldTransaction),
            faster(than: .tunedGRDB, .delete, 1000, goal: 4, limit: 1.3, .heldTransaction),
            faster(than: .tunedGRDB, .delete, 100_000, goal: 3.5, limit: 1.0, .heldTransaction),
            faster(than: .codableGRDB, .get, 1000, goal: 40, limit: 28, .nearerGRDB),
            faster(than: .codableGRDB, .get, 100_000, goal: 18, limit: 12, .nearerGRDB),
            other("gets of 8 threads, to 1 thread", .atLeast, goal: 0.9, limit: 0.7, threads[8]! / threads[1]!),
            other("get, instructions, to C", .atMost, goal: 1.05, limit: 1.05, instructions[.get]!),
            other("exists, instructions, to C", .atMost, goal: 1.03, limit: 1.03, instructions[.exists]!),
            other("create and delete, instructions, to C", .atMost, goal: 1.05, limit: 1.05, instructions[.create]!),
            other("bytes a session", .atMost, goal: 560, limit: 560, memory[.library]!),
            other("opening a manager, to C", .atMost, goal: 1.3, limit: 1.6, opening.ratio(.library, to: .c)),
        ]
    }
}
