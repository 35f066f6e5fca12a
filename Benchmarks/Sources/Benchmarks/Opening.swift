/// Opening a new one in memory and closing it.
func measureOpening(rounds: Int) async throws -> Times {
    var times = Times()
    for _ in 0..<rounds {
        for kind in Kind.allCases {
            let (nanoseconds, _) = try await time { _ = try kind.open() }
            times.rounds[kind, default: []].append(nanoseconds)
        }
    }
    return times
}
