import Foundation

/// `Benchmarks` measures, prints the tables of README.md and draws `plot.svg`; `Benchmarks check` takes the counts only, and fails
/// when one is beyond its limit. `repeat OPERATION KIND COUNT` is what it runs under callgrind.
@main
enum Benchmarks {
    // Not async: callgrind does not survive it when the main thread ends, as that of an async program does.
    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst()
        if arguments.first == "repeat" { return try runRepeat(Array(arguments.dropFirst())) }
        if arguments.first == "hold-lock" {
            return try SlowDisk.holdLock(arguments[2], seconds: Double(arguments[3])!)
        }
        if arguments.first == "change" { return try Watching.change(arguments[2], count: Int(arguments[3])!) }
        Task {
            do {
                if arguments.first == "idle" {
                    try await Watching.idle(arguments[2], seconds: Int(arguments[3])!)
                    exit(0)
                }
                if arguments.first == "slow-disk" {
                    let measured = try await SlowDisk.measure(onlySyncs: arguments.last == "syncs")
                    FileHandle.standardOutput.write(try JSONEncoder().encode(measured))
                    exit(0)
                }
                #if Postgres
                if arguments.first == "postgres" {
                    try await PostgresLoad.run(Array(arguments.dropFirst()))
                    exit(0)
                }
                #endif
                if arguments.first == "check" { exit(try await check() ? 0 : 1) }
                let measurements = try await Measurements.take()
                print(measurements.report)
                try measurements.plot(to: Measurements.folder + "/plot.svg")
                exit(0)
            } catch {
                fatalError("\(error)")
            }
        }
        dispatchMain()
    }

    /// Returns whether each count is within its limit.
    private static func check() async throws -> Bool {
        let goals = try await Counts.take(ofAllKinds: false).goals
        print(goalTable(goals))
        let missed = goals.filter { !$0.isWithinLimit }
        for goal in missed { print("beyond its limit of \(goal.limit!): \(goal.what), \(goal.measured)") }
        return missed.isEmpty
    }

    private static func runRepeat(_ arguments: [String]) throws {
        try repeatOperation(
            Operation.allCases.first { "\($0)" == arguments[0] }!,
            on: Kind.allCases.first { "\($0)" == arguments[1] }!,
            count: Int(arguments[2])!,
            path: arguments.count > 3 && !arguments[3].isEmpty ? arguments[3] : nil
        )
    }
}
