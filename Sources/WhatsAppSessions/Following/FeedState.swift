/// What a feed knows, and the followers that wait for more. It decides; the feed reads and wakes.
struct FeedState {
    struct Waiter {
        let cursor: ChangeCursor
        let continuation: CheckedContinuation<ArraySlice<SessionChange>, any Error>
    }

    /// Whether a task reads for the followers that wait.
    private enum Reading {
        case idle, underWay
        /// A page was taken, and the task looks whether there is more to read.
        case ending
        /// Something was noted meanwhile, which the read may have missed.
        case underWayAndStale
    }

    /// What the newest page says of the changes after a place.
    enum Known {
        case changes(ArraySlice<SessionChange>)
        /// The place was the newest one at this version.
        case newest(version: Int)
        /// The journal must be read, and will have what there is at this version.
        case unknown(version: Int)
    }

    private var waiters: [Int: Waiter] = [:]
    private var lastWaiter = 0
    /// The place of the waiter that is furthest behind, or was until it left.
    private var oldest: ChangeCursor?
    private var reading = Reading.idle
    /// Counts what was noted.
    private var version = 0
    /// The newest page, and the version at which it was complete; `nil` if it never was.
    private var newest: (page: ChangePage, version: Int?)?

    /// The newest place that is known.
    var newestPlace: ChangeCursor? { newest?.page.end }

    var waiterCount: Int { waiters.count }

    func known(after cursor: ChangeCursor) -> Known {
        guard let newest, let changes = newest.page.changes(after: cursor) else { return .unknown(version: version) }
        if !changes.isEmpty { return .changes(changes) }
        return cursor == newest.page.end ? .newest(version: newest.version ?? version - 1) : .unknown(version: version)
    }

    /// Notes that there may be changes.
    ///
    /// - Returns: Whether the caller must have them read for those that wait.
    mutating func note() -> Bool {
        version += 1
        if reading == .underWay { reading = .underWayAndStale }
        return beginsReading(unless: waiters.isEmpty)
    }

    mutating func makeNumber() -> Int {
        lastWaiter += 1
        return lastWaiter
    }

    /// Adds a follower whose place was the newest one at a version.
    ///
    /// - Returns: Whether the caller must have read what came since.
    mutating func add(_ waiter: Waiter, number: Int, since seen: Int) -> Bool {
        keep(waiter, number: number)
        return beginsReading(unless: version == seen)
    }

    private mutating func keep(_ waiter: Waiter, number: Int) {
        waiters[number] = waiter
        if waiter.cursor.number < oldest?.number ?? .max { oldest = waiter.cursor }
    }

    mutating func remove(_ number: Int) -> Waiter? { waiters.removeValue(forKey: number) }

    mutating func removeAll() -> [Waiter] {
        defer { (waiters, oldest) = ([:], nil) }
        return Array(waiters.values)
    }

    private mutating func beginsReading(unless isComplete: Bool) -> Bool {
        guard !isComplete, reading == .idle || reading == .ending else { return false }
        // A task that is ending goes on instead.
        defer { reading = reading == .idle ? .underWay : .underWayAndStale }
        return reading == .idle
    }

    /// Where the next read begins, and its version; `nil` when there is nothing to read, and the reading ends.
    mutating func nextRead() -> (ChangeCursor, version: Int)? {
        guard let oldest, !waiters.isEmpty, reading != .ending else {
            reading = .idle
            return nil
        }
        reading = .underWay
        return (oldest, version)
    }

    /// Takes a page that was read, or none after an error.
    ///
    /// - Parameter version: The version when the read began.
    /// - Returns: The waiters that it serves, and what it has for each: nothing for one that must look for itself.
    mutating func take(_ page: ChangePage?, version: Int) -> [(Waiter, ArraySlice<SessionChange>)] {
        newest = page.map { ($0, $0.hasMore ? nil : version) }
        if page?.hasMore != true, reading == .underWay { reading = .ending }
        var served: [(Waiter, ArraySlice<SessionChange>)] = []
        served.reserveCapacity(waiters.count)
        let waiting = waiters
        (waiters, oldest) = ([:], nil)
        for (number, waiter) in waiting {
            let news = page?.changes(after: waiter.cursor)
            if let news, news.isEmpty {
                keep(waiter, number: number)
            } else {
                served.append((waiter, news ?? []))
            }
        }
        return served
    }
}
