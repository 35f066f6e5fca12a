import Foundation

@main
enum Benchmarks {
    static func main() throws {
        let a = Array(CommandLine.arguments.dropFirst())
        if a.count == 3 {
            return try repeatOperation(Operation.allCases.first { "\($0)" == a[0] }!, on: Kind.allCases.first { "\($0)" == a[1] }!, count: Int(a[2])!)
        }
        Task { try await x(a); exit(0) }
        dispatchMain()
    }
    static func x(_ a: [String]) async throws {
        var kinds: [Kind] = [.c, .library]
        if a.first == "all" { kinds = Kind.allCases }
        for (rows, rounds) in [(1000, 60), (100_000, 12)] {
            let t = try await measureOperations(rows: rows, rounds: rounds, kinds: kinds)
            print(rows)
            for op in Operation.allCases {
                let c = t[op]![.c]!
                print(op.rawValue.padding(toLength: 25, withPad: " ", startingAt: 0), Int(c), Kind.allCases.map { k in t[op]![k].map { String(format: "%.2f", $0 / c) } ?? "-" }.joined(separator: "  "))
            }
        }
    }
}
