/// Does the upkeep of the log when it is due, on a thread of its own, which ends when nothing is owed.
final class LogKeeper: Sendable {
    /// Tries upkeep, and returns whether it was done.
    typealias Maintain = @Sendable (LogUpkeep) -> Bool

    private struct State {
        var schedule = LogUpkeepSchedule()
        /// `nil` before the begin, and after the end.
        var maintain: Maintain?
        var isWorking = false
        /// Whether the thread that works must look again when something is due.
        var isChanged = false
    }

    private let state = Lock(State())
    private let thread = Threads(limit: 1)

    func begin(_ maintain: @escaping Maintain) {
        state.withLock { $0.maintain = maintain }
    }

    /// Ends the work.
    ///
    /// - Returns: What is still owed.
    func end() -> LogUpkeep? {
        state.withLock { state in
            state.maintain = nil
            state.isChanged = true
            return state.schedule.owed
        }
    }

    /// What is owed, due or not.
    var owed: LogUpkeep? { state.withLock(\.schedule.owed) }

    /// Notes what the log needs.
    func owe(_ upkeep: LogUpkeep) {
        state.withLock { state in
            state.schedule.owe(upkeep, now: .now)
            state.isChanged = true
            guard !state.isWorking, let maintain = state.maintain else { return }
            // Without a thread it stays owed, until a later write owes something too, or the end.
            state.isWorking = (try? thread.run { self.work(maintain) }) != nil
        }
    }

    private func work(_ maintain: Maintain) {
        while let next = nextInstant() {
            if let due = state.withLock({ $0.schedule.begin(now: .now) }) {
                let isDone = maintain(due)
                state.withLock { $0.schedule.end(success: isDone, now: .now) }
            } else {
                state.withLock(when: \.isChanged, orAfter: (next - .now) / .seconds(1)) { _ in }
            }
        }
    }

    /// When something is due next; `nil` when nothing is owed any more, and the work ends.
    private func nextInstant() -> ContinuousClock.Instant? {
        state.withLock { state in
            state.isChanged = false
            state.isWorking = state.maintain != nil && state.schedule.next != nil
            return state.isWorking ? state.schedule.next : nil
        }
    }
}
