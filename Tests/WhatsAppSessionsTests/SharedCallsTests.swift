import Testing

@testable import WhatsAppSessions

/// What is made together, and in which order.
@Suite struct SharedCallsTests {
    /// Makes numbers of the same parity together, and remembers which.
    private final class Parity: CallTarget {
        let trips = Lock<[[Int]]>([])

        static func canMake(_ call: Int, with first: Int) -> Bool { call % 2 == first % 2 && first < 100 }

        func make(_ calls: [Int], until deadline: ContinuousClock.Instant) throws -> [Result<Int, any Error>] {
            trips.withLock { $0.append(calls) }
            return calls.map { .success($0 * 10) }
        }
    }

    private func together(_ numbers: [Int]) async throws -> (trips: [[Int]], answers: [Int]) {
        let target = Parity()
        let trips = target.trips
        let calls = SharedCalls(on: target, patience: .seconds(60))
        #expect(calls.load == 0)
        // In this order, since each is in the queue before the next comes.
        let isReady = Lock(false)
        await calls.hold(until: 0) { isReady.withLock { $0 } }
        #expect(calls.load == 1)
        var tasks: [Task<Int, any Error>] = []
        for (index, number) in numbers.enumerated() {
            tasks.append(Task { try await calls.make(number) })
            try await until { calls.waiting == index + 1 }
        }
        #expect(calls.load == numbers.count + 1)
        isReady.withLock { $0 = true }
        var answers: [Int] = []
        for task in tasks { answers.append(try await task.value) }
        return (trips.withLock { $0 }, answers)
    }

    @Test func `those that can be made with the first are, and the others keep their order`() async throws {
        let (trips, answers) = try await together([1, 2, 3, 4, 6, 5])
        #expect(trips == [[1, 3, 5], [2, 4, 6]])
        #expect(answers == [10, 20, 30, 40, 60, 50])
    }

    @Test func `one that can be made with nothing, not even itself, is made alone`() async throws {
        let (trips, answers) = try await together([101, 101, 1, 1])
        #expect(trips == [[101], [101], [1, 1]])
        #expect(answers == [1010, 1010, 10, 10])
    }
}
