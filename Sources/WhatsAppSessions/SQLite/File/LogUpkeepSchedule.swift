/// When upkeep of the log is due.
///
/// A long log is started over at once; the log is erased at most once a second. After a failure, because a reader is in the
/// way, the pause doubles from eight milliseconds to about a minute: most readers pause soon, but a backup by another program does
/// not. Time is an argument, so that no test has to wait for it.
struct LogUpkeepSchedule {
    // When what is owed is due; `nil` when it is not owed.
    private var startOver, erasure: ContinuousClock.Instant?
    private var earliestErasure: ContinuousClock.Instant?
    private var failures = 0

    /// All that is owed, due or not.
    var owed: LogUpkeep? {
        erasure != nil ? .erase : startOver != nil ? .startOver : nil
    }

    /// When something is due next; `nil` when nothing is owed.
    var next: ContinuousClock.Instant? { [startOver, erasure].compactMap(\.self).min() }

    /// Notes what is owed.
    mutating func owe(_ upkeep: LogUpkeep, now: ContinuousClock.Instant) {
        switch upkeep {
        case .startOver: startOver = startOver ?? now
        case .erase: erasure = erasure ?? max(earliestErasure ?? now, now)
        }
    }

    /// What is due by now.
    func due(now: ContinuousClock.Instant) -> LogUpkeep? {
        func isDue(_ instant: ContinuousClock.Instant?) -> Bool { instant.map { $0 <= now } ?? false }
        return isDue(erasure) ? .erase : isDue(startOver) ? .startOver : nil
    }

    /// Notes that upkeep was tried.
    mutating func tried(_ upkeep: LogUpkeep, success: Bool, now: ContinuousClock.Instant) {
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
    }
}
