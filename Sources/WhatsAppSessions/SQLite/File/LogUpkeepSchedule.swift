/// When upkeep of the log is due.
///
/// A long log is started over at once; the log is erased at most once a second. After a failure, because a reader is in the
/// way, the pause doubles from eight milliseconds to about a minute: most readers pause soon, but a backup by another program does
/// not. Time is an argument, so that no test has to wait for it.
struct LogUpkeepSchedule {
    // When what is owed is due; `nil` when it is not owed.
    private var startOver, erasure: ContinuousClock.Instant?
    /// What was owed when the upkeep that is under way began. What is owed meanwhile is owed anew.
    private var underWay = (startOver: false, erasure: false)
    private var earliestErasure: ContinuousClock.Instant?
    private var failures = 0

    /// All that is owed, due or not.
    var owed: LogUpkeep? {
        if erasure != nil || underWay.erasure { return .erase }
        return startOver != nil || underWay.startOver ? .startOver : nil
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

    /// Begins what is due by now, if anything is.
    mutating func begin(now: ContinuousClock.Instant) -> LogUpkeep? {
        func isDue(_ instant: ContinuousClock.Instant?) -> Bool { instant.map { $0 <= now } ?? false }
        let erases = isDue(erasure)
        guard erases || isDue(startOver) else { return nil }
        // To erase is to start over too.
        underWay = (startOver != nil, erases)
        startOver = nil
        if erases { erasure = nil }
        return erases ? .erase : .startOver
    }

    /// Ends what was begun.
    mutating func end(success: Bool, now: ContinuousClock.Instant) {
        defer { underWay = (false, false) }
        if success {
            failures = 0
            if underWay.erasure { earliestErasure = now + .seconds(1) }
            // The reader that was in its way is gone.
            erasure = erasure.map { _ in max(earliestErasure ?? now, now) }
        } else {
            let next = now + .milliseconds(8 << failures)
            failures = min(failures + 1, 13)
            if underWay.startOver || startOver != nil { startOver = next }
            if underWay.erasure || erasure != nil { erasure = max(erasure ?? next, next) }
        }
    }
}
