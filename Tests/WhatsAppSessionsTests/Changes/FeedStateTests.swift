import Foundation
import Testing

@testable import WhatsAppSessions

/// What the feed decides, without any chance of timing.
@Suite struct FeedStateTests {
    private let history: Int64 = 1

    private func cursor(_ number: Int64) -> ChangeCursor { ChangeCursor(history: history, number: number) }

    /// The changes with these numbers.
    private func page(_ numbers: ClosedRange<Int64>, hasMore: Bool = false) -> ChangePage {
        let changes = numbers.map {
            SessionChange(
                cursor: cursor($0),
                sessionID: "\($0)",
                kind: .created,
                date: .now
            )
        }
        return ChangePage(start: cursor(numbers.lowerBound - 1), changes: changes, hasMore: hasMore)
    }

    @Test func `a page serves no cursor of a history that it doesn't have there`() {
        func cursor(_ history: Int64, _ number: Int64) -> ChangeCursor {
            ChangeCursor(history: history, number: number)
        }
        func change(_ history: Int64, _ number: Int64) -> SessionChange {
            SessionChange(cursor: cursor(history, number), sessionID: "\(number)", kind: .created, date: .now)
        }
        // A standby was promoted that had not all changes of the first history.
        let page = ChangePage(start: cursor(1, 6), changes: [change(1, 7), change(2, 8), change(2, 9)], hasMore: false)
        func found(_ history: Int64, _ number: Int64) -> [String]? {
            page.changes(after: cursor(history, number)).map { $0.map(\.sessionID) }
        }
        #expect(found(1, 6) == ["7", "8", "9"])
        #expect(found(1, 7) == ["8", "9"])
        #expect(found(2, 8) == ["9"])
        #expect(found(2, 9) == [])
        #expect(found(2, 20) == [])
        // Of a lost future, or perhaps of one.
        for (history, number) in [(1, 8), (1, 9), (1, 20), (2, 7), (3, 8), (1, 5), (2, 6)] as [(Int64, Int64)] {
            #expect(found(history, number) == nil)
        }
    }

    /// Has followers wait at these places, and returns the ids that each is handed while `body` runs; `nil` for one that still
    /// waits at its end.
    private func handed(
        to places: [Int64],
        _ body: (inout FeedState) throws -> [(FeedState.Waiter, ArraySlice<SessionChange>)]
    ) async throws -> [Int64: [String]] {
        try await withThrowingTaskGroup { group in
            let (arrivals, arrived) = AsyncStream.makeStream(of: FeedState.Waiter.self)
            for place in places {
                group.addTask {
                    try await withCheckedThrowingContinuation {
                        arrived.yield(FeedState.Waiter(cursor: self.cursor(place), continuation: $0))
                    }
                }
            }
            var state = FeedState()
            var waiting = arrivals.makeAsyncIterator()
            for number in places.indices {
                _ = state.add(await waiting.next()!, number: number, since: 0)
            }
            var handed: [Int64: [String]] = [:]
            for (waiter, news) in try body(&state) {
                handed[waiter.cursor.number] = news.map(\.sessionID)
                waiter.continuation.resume(returning: news)
            }
            for waiter in state.removeAll() { waiter.continuation.resume(returning: []) }
            try await group.waitForAll()
            return handed
        }
    }

    /// A change is noted, and the read of it begins.
    private func beginRead(_ state: inout FeedState) throws -> (ChangeCursor, version: Int) {
        let starts = state.note()
        #expect(starts)
        let read = state.nextRead()
        return try #require(read)
    }

    @Test func `each that waits is handed what came after its place, and need not look again`() async throws {
        let handed = try await handed(to: [4, 5, 6]) { state in
            let read = try beginRead(&state)
            #expect(read.0 == cursor(4))
            return state.take(page(5...7), version: read.version)
        }
        #expect(handed == [4: ["5", "6", "7"], 5: ["6", "7"], 6: ["7"]])
    }

    @Test func `after a page that has more it is read on for those who wait behind it`() async throws {
        let handed = try await handed(to: [0, 600]) { state in
            let first = try beginRead(&state)
            #expect(first.0 == cursor(0))
            let served = state.take(page(1...256, hasMore: true), version: first.version)
            let next = state.nextRead()
            let second = try #require(next)
            #expect(second.0 == cursor(600))
            return served + state.take(page(601...601), version: second.version)
        }
        #expect(handed[0]?.count == 256)
        #expect(handed[600] == ["601"])
    }

    @Test func `what is noted during a read is read too, and then nothing more`() async throws {
        let handed = try await handed(to: [6, 7]) { state in
            let first = try beginRead(&state)
            let startsAnother = state.note()
            #expect(!startsAnother)
            let served = state.take(page(7...7), version: first.version)
            let next = state.nextRead()
            let second = try #require(next)
            #expect(second.0 == cursor(7))
            let more = state.take(ChangePage(start: cursor(7), changes: [], hasMore: false), version: second.version)
            #expect(more.isEmpty)
            let last = state.nextRead()
            #expect(last == nil)
            return served
        }
        #expect(handed == [6: ["7"]])
    }

    @Test func `after an error nothing is known, and each looks for itself`() async throws {
        let handed = try await handed(to: [6]) { state in
            _ = state.take(page(5...6), version: 0)
            guard case .newest = state.known(after: cursor(6)) else {
                Issue.record("6 is the newest")
                return []
            }
            let served = state.take(nil, version: 0)
            guard case .unknown = state.known(after: cursor(6)) else {
                Issue.record("6 may be anything")
                return served
            }
            return served
        }
        #expect(handed == [6: []])
    }

    @Test func `a page has nothing for whoever waits before it or in another history`() {
        let page = page(3...4)
        func ids(after number: Int64, _ history: Int64) -> [String]? {
            page.changes(after: ChangeCursor(history: history, number: number))?.map(\.sessionID)
        }
        #expect(ids(after: 2, history) == ["3", "4"])
        #expect(ids(after: 3, history) == ["4"])
        #expect(ids(after: 4, history) == [])
        #expect(ids(after: 9, history) == [])
        // It would miss "2".
        #expect(ids(after: 1, history) == nil)
        #expect(ids(after: 3, history ^ 1) == nil)
    }
}
