/// What a figure should be; a count also has a limit, for a change to pass. A time decides nothing.
struct Goal {
    enum Bound { case atMost, atLeast }

    let what: String
    let bound: Bound
    let goal: Double
    /// The goal, or the figure as it is with a margin.
    let limit: Double?
    let measured: Double

    static func atMost(_ what: String, _ goal: Double, limit: Double? = nil, _ measured: Double) -> Goal {
        Goal(what: what, bound: .atMost, goal: goal, limit: limit, measured: measured)
    }

    static func atLeast(_ what: String, _ goal: Double, _ measured: Double) -> Goal {
        Goal(what: what, bound: .atLeast, goal: goal, limit: nil, measured: measured)
    }

    /// At two decimals, as it is printed.
    var isReached: Bool { isKept(goal, by: (measured * 100).rounded() / 100) }
    var isWithinLimit: Bool { limit.map { isKept($0, by: measured) } ?? true }

    private func isKept(_ limit: Double, by figure: Double) -> Bool {
        switch bound {
        case .atMost: figure <= limit
        case .atLeast: figure >= limit
        }
    }
}

extension Counts {
    var goals: [Goal] {
        [
            inMemory(.get, 1.15, limit: 1.2),
            inMemory(.exists, 1.15, limit: 1.2),
            inMemory(.create, 1.15, limit: 1.2),
            inMemory(.updateQRCode, 1, limit: 1.05),
            inMemory(.updateStatus, 1, limit: 1.05),
            inMemory(.updateName, 1, limit: 1.05),
            inMemory(.updateRefused, 1.4, limit: 1.6),
            inFile(.get, 1.25, limit: 1.4),
            inFile(.create, 1.25, limit: 1.4),
            inFile(.updateStatus, 1.12, limit: 1.25),
            inFile(.updateName, 1.12, limit: 1.25),
            inFile(.updateRefused, 1.4, limit: 1.8),
            .atMost("syncs for one change, 1 thread", 1.1, limit: 1.1, syncs[1]!),
            .atMost("syncs for one change, 8 threads", 0.3, limit: 0.3, syncs[8]!),
            .atMost("syncs for one change, 32 threads", 0.12, limit: 0.12, syncs[32]!),
            .atMost("syncs for one change, 1,000 tasks", 0.12, limit: 0.12, syncsOfTasks),
            .atMost("bytes a session, in memory", 560, limit: 560, bytes[.library]!),
            .atMost("100,000 changes in the journal, MB", 12, limit: 12, journalBytes[0] / 1e6),
            .atMost("a million changes, to 100,000, bytes", 1.02, limit: 1.02, journalBytes[1] / journalBytes[0]),
        ]
    }

    private func inMemory(_ operation: Operation, _ goal: Double, limit: Double) -> Goal {
        .atMost("in memory: \(operation.rawValue), instructions to C", goal, limit: limit, inMemory[operation]!.ratio)
    }

    private func inFile(_ operation: Operation, _ goal: Double, limit: Double) -> Goal {
        .atMost("in a file: \(operation.rawValue), instructions to C", goal, limit: limit, inFile[operation]!.ratio)
    }
}

extension Measurements {
    var goals: [Goal] {
        func toC(_ times: [Operation: Times], _ place: String, _ operation: Operation, _ goal: Double) -> Goal {
            let measured = times[operation]!.ratio(.library, to: .c)
            return .atMost("\(place): \(operation.rawValue), time to C", goal, measured)
        }
        func toGRDB(_ operation: Operation) -> Goal {
            let measured = file[operation]!.ratio(.library, to: .tunedGRDB)
            return .atMost("in a file: \(operation.rawValue), time to GRDB, tuned", 1, measured)
        }
        let inMemory = operations[1000]!
        let changes = slowDisk.changesPerSecond
        let changing: [Operation] = [.create, .updateQRCode, .updateStatus, .updateThree, .updateName, .delete]
        let reading: [Operation] = [.get, .getMiss, .exists, .getAll]
        return counts.goals
            + [Operation.get, .exists, .getAll, .create, .delete].map { toC(inMemory, "in memory", $0, 1.15) }
            + [Operation.updateQRCode, .updateStatus, .updateThree, .updateName].map {
                toC(inMemory, "in memory", $0, 1)
            }
            + changing.map { toC(file, "in a file", $0, 1.1) }
            + [toC(file, "in a file", .get, 1.25), toC(file, "in a file", .updateRefused, 1.4)]
            + (reading + changing).map(toGRDB)
            + [
                .atLeast("durable updates a second, 32 threads to 1", 10, changes[32]! / changes[1]!),
                .atLeast(
                    "durable updates a second, 32 threads, to GRDB's pool",
                    8,
                    changes[32]! / slowDisk.poolChangesPerSecond
                ),
                .atMost(
                    "getSession beside 4 writers, median, to idle",
                    3,
                    slowDisk.besideWriters[0] / slowDisk.idle[0]
                ),
                .atMost(
                    "getSession beside 4 writers, 99th percentile, to idle",
                    20,
                    slowDisk.besideWriters[1] / slowDisk.idle[1]
                ),
                .atMost("worst heartbeat while 1,000 tasks wait 5 s for a lock, ms", 50, slowDisk.heartbeat),
            ]
            + Journal.operations.map {
                .atMost("the journal in memory: \($0.rawValue), time to none", 1.4, journal.inMemory[$0]!)
            }
            + Journal.operations.map {
                .atMost("the journal in a file: \($0.rawValue), time to none", 1.1, journal.inFile[$0]!)
            } + [
                .atMost("a change until a follower has it, µs, median", 100, watching.microsecondsInProcess),
                .atMost("a change by another process, ms, median", 75, watching.millisecondsBetweenProcesses[0]),
                .atMost("a change by another process, ms, worst of 60", 200, watching.millisecondsBetweenProcesses[1]),
                .atLeast(
                    "changes that one follower follows, thousands a second",
                    200,
                    watching.changesPerSecond / 1000
                ),
                .atMost("getSessions(status:), a tenth, time to getAll", 0.5, watching.getConnected),
                .atMost("countSessions, time to getAll", 0.5, watching.count),
                .atMost("recoverSessions in a file, 100,000 live, s", 1.5, scale.recovery[0]),
                .atMost("twice as many, time", 2.3, scale.recovery[1] / scale.recovery[0]),
                .atMost("processor time of a durable change, 1,000 tasks, µs", 16, scale.changeOfTask),
                .atMost("a change until 10,000 followers have it, ms, median", 100, scale.manyFollowers),
                .atMost("a get in memory beside lists of 100,000, ms, worst", 5, scale.getBesideLists[1]),
                .atMost("opening a manager in memory, time to C", 1.3, opening.ratio(.library, to: .c)),
            ]
    }
}
