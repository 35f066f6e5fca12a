import Foundation

/// Gets a second, by several threads that share one subject with 1,000 sessions: for each kind, by the number of threads.
/// Not for C, which takes no lock.
func measureThreads(rounds: Int) async throws -> [Kind: [Int: Double]] {
    let population = try await Population(rows: 1000, kinds: Kind.allCases.filter { $0 != .c }, folder: nil)
    let batch = Batch(population.ids.sample(100), for: .get)
    var throughputs: [Kind: [Int: [Double]]] = [:]
    for _ in 0..<rounds {
        for threads in [1, 2, 4, 8] {
            for (kind, subject) in population.subjects {
                let throughput = await getsPerSecond(threads, subject, batch)
                throughputs[kind, default: [:]][threads, default: []].append(throughput)
            }
        }
    }
    return throughputs.mapValues { $0.mapValues(\.median) }
}

private let duration = Duration.milliseconds(60)

private func getsPerSecond(_ callers: Int, _ subject: any Subject, _ batch: Batch) async -> Double {
    let start = ContinuousClock.now
    let gets = await withTaskGroup { group in
        for _ in 0..<callers {
            group.addTask {
                guard let subject = subject as? any SynchronousSubject else {
                    // An actor's callers are tasks.
                    var gets = 0
                    while ContinuousClock.now - start < duration { gets += try! await subject.run(.get, batch) }
                    return gets
                }
                // A thread of its own for each: tasks would share the two of the pool.
                return await withCheckedContinuation { done in
                    Thread {
                        var gets = 0
                        while ContinuousClock.now - start < duration { gets += try! subject.run(.get, batch) }
                        done.resume(returning: gets)
                    }.start()
                }
            }
        }
        return await group.reduce(0, +)
    }
    return Double(gets) / ((ContinuousClock.now - start) / .seconds(1))
}
