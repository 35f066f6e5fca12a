/// What a figure should be, and what it must be for a change to pass.
struct Goal {
    enum Bound { case atMost, atLeast }

    let what: String
    let bound: Bound
    let goal: Double
    /// What the check holds: the goal, or the figure as it is with a margin for noise.
    let limit: Double
    let measured: Double

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

extension Measurements {
    var goals: [Goal] {
        func atMost(_ what: String, _ goal: Double, limit: Double? = nil, _ measured: Double) -> Goal {
            Goal(what: what, bound: .atMost, goal: goal, limit: limit ?? goal, measured: measured)
        }
        func atLeast(_ what: String, _ goal: Double, limit: Double? = nil, _ measured: Double) -> Goal {
            Goal(what: what, bound: .atLeast, goal: goal, limit: limit ?? goal, measured: measured)
        }
        func toC(_ times: [Operation: Times], _ place: String, _ operation: Operation, _ goal: Double, limit: Double)
            -> Goal
        {
            let measured = times[operation]!.ratio(.library, to: .c)
            return atMost("\(place): \(operation.rawValue), time to C", goal, limit: limit, measured)
        }
        let inMemory = operations[1000]!
        let changes = slowDisk.changesPerSecond
        let syncs = slowDisk.syncsPerChange
        return [Operation.get, .exists, .getAll, .create, .delete].map {
            toC(inMemory, "in memory", $0, 1.15, limit: 1.5)
        }
            + [Operation.updateQRCode, .updateStatus, .updateThree, .updateName].map {
                toC(inMemory, "in memory", $0, 1, limit: 1.3)
            }
            + [Operation.create, .updateName, .updateQRCode, .delete].map {
                toC(file, "in a file", $0, 1.25, limit: 1.8)
            } + [
                atMost("syncs for one change, 1 thread", 1.1, syncs[1]!),
                atMost("syncs for one change, 8 threads", 0.3, syncs[8]!),
                atMost("syncs for one change, 32 threads", 0.12, syncs[32]!),
                atMost("syncs for one change, 1,000 tasks", 0.12, slowDisk.asyncSyncsPerChange),
                atLeast("durable updates a second, 32 threads to 1", 10, limit: 6, changes[32]! / changes[1]!),
                atLeast(
                    "durable updates a second, 32 threads, to GRDB's pool",
                    8,
                    limit: 4,
                    changes[32]! / slowDisk.poolChangesPerSecond
                ),
                atMost(
                    "getSession beside 4 writers, median, to idle",
                    3,
                    limit: 6,
                    slowDisk.besideWriters[0] / slowDisk.idle[0]
                ),
                atMost(
                    "getSession beside 4 writers, 99th percentile, to idle",
                    20,
                    limit: 60,
                    slowDisk.besideWriters[1] / slowDisk.idle[1]
                ),
                atMost("worst heartbeat while 1,000 tasks wait 5 s for a lock, ms", 50, limit: 200, slowDisk.heartbeat),
            ]
            + Journal.operations.map {
                atMost("the journal in a file: \($0.rawValue), time to none", 1.1, limit: 1.4, journal.inFile[$0]!)
            } + [
                atMost("a change until a follower has it, µs, median", 100, limit: 400, watching.microsecondsInProcess),
                atMost(
                    "a change by another process, ms, median",
                    75,
                    limit: 150,
                    watching.millisecondsBetweenProcesses[0]
                ),
                atMost(
                    "a change by another process, ms, worst of 60",
                    200,
                    limit: 400,
                    watching.millisecondsBetweenProcesses[1]
                ),
                atLeast(
                    "changes that one follower follows, thousands a second",
                    200,
                    limit: 100,
                    watching.changesPerSecond / 1000
                ),
                atMost("100,000 changes in the journal, MB", 12, watching.bytes[0] / 1e6),
                atMost("a million changes, to 100,000, bytes", 1.02, watching.bytes[1] / watching.bytes[0]),
                atMost("getSessions(status:), a tenth, time to getAll", 0.5, limit: 0.9, watching.getConnected),
                atMost("countSessions, time to getAll", 0.5, limit: 0.9, watching.count),
                atMost("get, instructions to C", 1.15, limit: 1.2, instructions[.get]!),
                atMost("exists, instructions to C", 1.15, limit: 1.2, instructions[.exists]!),
                atMost("create and delete, instructions to C", 1.15, limit: 1.2, instructions[.create]!),
                atMost("name, instructions to C", 1, limit: 1.05, instructions[.updateName]!),
                atMost("status, instructions to C", 1, limit: 1.05, instructions[.updateStatus]!),
                atMost("in a file: get, instructions to C", 1.25, limit: 1.4, instructionsInFile[.get]!),
                atMost("in a file: create, instructions to C", 1.25, limit: 1.4, instructionsInFile[.create]!),
                atMost("in a file: name, instructions to C", 1.12, limit: 1.25, instructionsInFile[.updateName]!),
                atMost("in a file: status, instructions to C", 1.12, limit: 1.25, instructionsInFile[.updateStatus]!),
                atMost("bytes a session, in memory", 560, memory[.library]!),
                atMost("opening a manager in memory, time to C", 1.3, limit: 1.7, opening.ratio(.library, to: .c)),
            ]
    }
}
