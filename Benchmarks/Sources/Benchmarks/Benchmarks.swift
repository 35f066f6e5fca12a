import Foundation

/// `Benchmarks` measures, prints the tables of README.md and draws `plot.svg`; `Benchmarks check` measures and fails
/// when a ratio is beyond its limit. `repeat OPERATION KIND COUNT` is what it runs under callgrind.
@main
enum Benchmarks {
    // Not async: callgrind does not survive it when the main thread ends, as that of an async program does.
    static func main() throws {
        let arguments = CommandLine.arguments.dropFirst()
        if arguments.first == "repeat" { return try runRepeat(Array(arguments.dropFirst())) }
        Task {
            let measurements = try await Measurements.take()
            print(measurements.report)
            let failed = measurements.goals.filter { !$0.isWithinLimit }
            if arguments.first == "check" {
                for goal in failed { print("beyond its limit of \(goal.limit): \(goal.what), \(goal.measured)") }
                exit(failed.isEmpty ? 0 : 1)
            }
            try measurements.plot(to: Measurements.folder + "/plot.svg")
            exit(0)
        }
        dispatchMain()
    }

    private static func runRepeat(_ arguments: [String]) throws {
        try repeatOperation(
            Operation.allCases.first { "\($0)" == arguments[0] }!,
            on: Kind.allCases.first { "\($0)" == arguments[1] }!,
            count: Int(arguments[2])!
        )
    }
}
