/// When upkeep of the log is due.
///
/// A long log is started over at once; the log is erased at most once a second. After a failure, because a reader is in the
/// way, the pause doubles from eight milliseconds to about a minute: most readers pause soon, but a backup does not. Time is an
/// argument, so that no test has to wait for it.
struct LogUpkeepSchedule {
    // When what is owed is due; `nil` when it is not owed.
    private var startOver, erasure: ContinuousClock.Instant?
    /// When the next turn comes.
    private var planned: ContinuousClock.Instant?
    private var earliestErasure: ContinuousClock.Instant?
    private var failures = 0

    /// All that is owed, due or not.
    var owed: LogUpkeep? {
        erasure != nil ? .erase : startOver != nil ? .startOver : nil
    }

    /// Notes what is owed.
    ///
    /// - Returns: When to take a turn; `nil` when one is planned by then.
    mutating func owe(_ upkeep: LogUpkeep, now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        switch upkeep {
        case .startOver: startOver = startOver ?? now
        case .erase: erasure = erasure ?? max(earliestErasure ?? now, now)
        }
        return plan()
    }

    /// What a turn has to do; `nil` when another one did it.
    func due(now: ContinuousClock.Instant) -> LogUpkeep? {
        func isDue(_ instant: ContinuousClock.Instant?) -> Bool { instant.map { $0 <= now } ?? false }
        return isDue(erasure) ? .erase : isDue(startOver) ? .startOver : nil
    }

    /// Notes that upkeep was tried.
    ///
    /// - Returns: When to take the next turn; `nil` when nothing is owed any more.
    mutating func tried(_ upkeep: LogUpkeep, success: Bool, now: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        if success {
            failures = 0
            startOver = nil
            if upkeep == .erase {
                erasure = nil
                earliestErasure = now + .seconds(1)
            }
            // The reader that was in its way is gone.
            erasure = erasure.map { min($0, max(earliestErasure ?? now, now)) }
        } else {
            let next = now + .milliseconds(8 << failures)
            failures = min(failures + 1, 13)
            startOver = startOver.map { max($0, next) }
            erasure = erasure.map { max($0, next) }
        }
        planned = nil
        return plan()
    }

    private mutating func plan() -> ContinuousClock.Instant? {
        guard let next = [startOver, erasure].compactMap(\.self).min(), planned.map({ next < $0 }) ?? true else {
            return nil
        }
        planned = next
        return next
    }
}
