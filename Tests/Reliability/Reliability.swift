import Foundation

/// `reliability CHECK short|long`; CONTRIBUTING.md says what each check does. Every check prints its figures and ends
/// the program with an error when one of them is not what it must be.
@main
enum Reliability {
    static func main() throws {
        var arguments = CommandLine.arguments.dropFirst()
        let name = arguments.popFirst() ?? ""
        if name == "writer" { return try Writer.run(Array(arguments)) }
        if name == "server" { try Server.run(Array(arguments)) }
        if name == "follower" { runToEnd { [arguments] in try await runFollower(Array(arguments)) } }
        if name == "counter" { runToEnd { [arguments] in try await runCounter(Array(arguments)) } }
        #if Postgres
        if name == "islander" { try runIslander(arguments.first!) }
        if name == "postgres-writer" { try runPostgresWriter(arguments.first!) }
        #endif
        let isLong = arguments.popFirst() == "long"
        var checks: [(name: String, run: (Bool) throws -> Void)] = [
            ("kill", killCheck), ("power", powerCheck), ("disk", diskCheck), ("memory", memoryCheck),
            ("full", fullDiskCheck), ("company", companyCheck), ("starts", startsCheck), ("reset", resetCheck),
            ("damage", damageCheck), ("modes", modesCheck), ("fork", forkCheck), ("litestream", litestreamCheck),
            ("checkpoints", checkpointsCheck), ("backups", backupsCheck), ("operators", operatorsCheck),
            ("syncs", syncsCheck), ("watch", watchCheck), ("day", dayCheck), ("lists", listsCheck),
            ("leases", leasesCheck), ("upgrade", upgradeCheck),
        ]
        #if Postgres
        checks += [
            ("failover", failoverCheck), ("restart", restartCheck), ("lost-future", lostFutureCheck),
            ("standby-gone", standbyGoneCheck), ("stopped", stoppedCheck), ("logs", logsCheck),
            ("openings", openingsCheck), ("leases-postgres", postgresLeasesCheck), ("partition", partitionCheck),
        ]
        #endif
        guard let check = checks.first(where: { $0.name == name }) else {
            fatalError("which check? \(checks.map(\.name).joined(separator: ", "))")
        }
        let start = ContinuousClock.now
        try check.run(isLong)
        print("\(name): passed in \((ContinuousClock.now - start).components.seconds) s")
    }
}

/// Runs `body`, and ends the program when it ends.
func runToEnd(_ body: @escaping @Sendable () async throws -> Void) -> Never {
    Task {
        do {
            try await body()
            exit(0)
        } catch {
            print(error)
            exit(1)
        }
    }
    dispatchMain()
}

/// Ends the program when a figure is not what it must be.
func require(_ condition: Bool, _ message: @autoclosure () -> String, line: Int = #line) {
    guard !condition else { return }
    print("FAILED at line \(line): \(message())")
    exit(1)
}
