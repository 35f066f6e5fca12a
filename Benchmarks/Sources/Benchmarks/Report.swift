import Foundation

extension Measurements {
    /// The tables of `Benchmarks/README.md`, in Markdown.
    var report: String {
        Self.rows.map { rows in
            table("In memory, \(rows.formatted(.number.locale(Locale(identifier: "en")))) sessions", operations[rows]!)
        }.joined(separator: "\n") + "\n"
            + table("In a file, each change durable, 100 sessions", file) + "\n"
            + slowDiskTable + "\n"
            + watchingTable + "\n"
            + scaleTable + "\n"
            + instructionTable + "\n"
            + others + "\n"
            + goalTable(goals)
    }

    /// C in nanoseconds, the others to it.
    private func table(_ title: String, _ times: [Operation: Times]) -> String {
        let kinds = Kind.allCases.filter { times[.get]!.rounds[$0] != nil }
        return heading([title] + kinds.map(\.rawValue))
            + Operation.allCases.map { operation in
                row(
                    [operation.rawValue, "\(Int(times[operation]![.c])) ns"]
                        + kinds.dropFirst().map { times[operation]!.ratio($0, to: .c).ratioText }
                )
            }.joined()
    }

    private var others: String {
        heading(["Other figures"] + Kind.allCases.map(\.rawValue))
            + [1, 2, 4, 8].map { count in
                row(
                    ["thousand gets a second, \(count) thread\(count == 1 ? "" : "s")"]
                        + Kind.allCases.map { threads[$0].map { "\(Int($0[count]! / 1000))" } ?? "no lock" }
                )
            }.joined()
            + row(
                ["opening one, and closing it", "\(Int(opening[.c] / 1000)) µs"]
                    + Kind.allCases.dropFirst().map { opening.ratio($0, to: .c).ratioText }
            )
            + row(["bytes a session"] + Kind.allCases.map { counts.bytes[$0].map { "\(Int($0))" } ?? "as tuned" })
    }

    private var instructionTable: String {
        func cells(_ counts: [Operation: Instructions], _ operation: Operation) -> [String] {
            guard let count = counts[operation] else { return ["", "", ""] }
            return ["\(Int(count.c))", "\(Int(count.library))", count.ratio.ratioText]
        }
        return heading(["Instructions", "C, in memory", "this library", "", "C, in a file", "this library", ""])
            + Counts.operationsInMemory.map { operation in
                let name = operation == .create ? "create; in memory also delete" : operation.rawValue
                return row([name] + cells(counts.inMemory, operation) + cells(counts.inFile, operation))
            }.joined()
    }

    private var scaleTable: String {
        heading(["Many", "measured"])
            + row([
                "`recoverSessions()` in a file, 100,000 live sessions, and 200,000",
                scale.recovery.map { String(format: "%.2f s", $0) }.joined(separator: ", "),
            ])
            + row([
                "processor time of a durable change, 1,000 tasks", String(format: "%.1f µs", scale.changeOfTask),
            ])
            + row([
                "a change until 10,000 followers have it, median", String(format: "%.0f ms", scale.manyFollowers),
            ])
            + row([
                "a get in memory beside lists of 100,000, 99th percentile and worst",
                scale.getBesideLists.map { String(format: "%.2f ms", $0) }.joined(separator: ", "),
            ])
    }

    private var slowDiskTable: String {
        let changes = slowDisk.changesPerSecond
        let syncs = counts.syncs
        func microseconds(_ nanoseconds: Double) -> String { String(format: "%.1f µs", nanoseconds / 1000) }
        return heading(["On a disk that takes 1 ms a sync", "measured"])
            + SlowDisk.threads.map { count in
                row([
                    "durable updates a second, and syncs for one, \(count) thread\(count == 1 ? "" : "s")",
                    "\(Int(changes[count]!)), \(syncs[count]!.figure)",
                ])
            }.joined()
            + row(["durable updates a second, GRDB's pool, 32 threads", "\(Int(slowDisk.poolChangesPerSecond))"])
            + row(["syncs for one update, 1,000 tasks", String(format: "%.3f", counts.syncsOfTasks)])
            + row([
                "`getSession`, idle, median and 99th percentile",
                slowDisk.idle.map(microseconds).joined(separator: ", "),
            ])
            + row([
                "`getSession` beside 4 writers, median and 99th percentile",
                slowDisk.besideWriters.map(microseconds).joined(separator: ", "),
            ])
            + row([
                "worst heartbeat while 1,000 tasks wait 5 s for a lock", String(format: "%.1f ms", slowDisk.heartbeat),
            ])
    }

    private var watchingTable: String {
        func costs(_ ratios: [Operation: Double]) -> String {
            Journal.operations.map { ratios[$0]!.ratioText }.joined(separator: ", ")
        }
        return heading(["Journal and followers", "measured"])
            + row(["the journal in memory: create, new code, status, name, delete, to none", costs(journal.inMemory)])
            + row(["the journal in a file: the same", costs(journal.inFile)])
            + row([
                "a change until a follower in the process has it, median",
                String(format: "%.1f µs", watching.microsecondsInProcess),
            ])
            + row([
                "a change by another process until a follower has it, median and worst of 60",
                watching.millisecondsBetweenProcesses.map { String(format: "%.0f ms", $0) }.joined(separator: ", "),
            ])
            + row(["changes that one follower follows, a second", "\(Int(watching.changesPerSecond))"])
            + row([
                "the journal's memory after 100,000 changes, and after a million",
                counts.journalBytes.map { String(format: "%.1f MB", $0 / 1e6) }.joined(separator: ", "),
            ])
            + row([
                "an idle follower of a file: system calls and processor time a second",
                String(format: "%.0f, %.1f ms", watching.systemCalls, watching.idleMilliseconds),
            ])
            + row([
                "`getSessions(status:)` of a tenth, and `countSessions`, to `getAllSessions`",
                "\(watching.getConnected.ratioText), \(watching.count.ratioText)",
            ])
    }

    /// What the plot shows: 1,000 sessions in memory, a line for each operation, to C.
    func plot(to path: String) throws {
        let kinds = Kind.allCases.dropFirst()
        let heading = "place operation " + kinds.map { "\"\($0.rawValue)\"" }.joined(separator: " ")
        let lines = Operation.allCases.reversed().enumerated().map { index, operation in
            let ratios = kinds.map { "\(operations[1000]![operation]!.ratio($0, to: .c))" }
            return "\(index) \"\(operation.rawValue)\" \(ratios.joined(separator: " "))"
        }
        let data = FileManager.default.temporaryDirectory.appending(path: "Benchmarks-\(UUID())")
        defer { try? FileManager.default.removeItem(at: data) }
        try ([heading] + lines).joined(separator: "\n").write(to: data, atomically: true, encoding: .utf8)
        try run("gnuplot", "-e", "data='\(data.path)'; output='\(path)'", Self.folder + "/plot.gnuplot")
    }

    /// `Benchmarks/`.
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..").standardized.path
}

func goalTable(_ goals: [Goal]) -> String {
    heading(["Goal", "", "measured", ""])
        + goals.map { goal in
            row([
                goal.what, "\(goal.bound == .atMost ? "≤" : "≥") \(goal.goal.figure)", goal.measured.figure,
                goal.isReached ? "reached" : "**not reached**",
            ])
        }.joined()
}

private func heading(_ cells: [String]) -> String {
    row(cells) + "| --- |" + String(repeating: " ---: |", count: cells.count - 1) + "\n"
}

private func row(_ cells: [String]) -> String { "| \(cells.joined(separator: " | ")) |\n" }

extension Double {
    fileprivate var ratioText: String { figure + "×" }

    fileprivate var figure: String { String(format: self < 10 ? "%.2f" : "%.0f", self) }
}
