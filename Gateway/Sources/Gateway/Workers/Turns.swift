/// Lets what is done for one session happen one after another, in the order of arrival. Different sessions don't wait for each other.
actor Turns {
    private let patience: Duration
    /// Those who wait for their turn, for each session that somebody works on. The keys are bytes: as Swift compares strings,
    /// two ids that differ in their bytes may be one.
    private var waiting: [[UInt8]: [CheckedContinuation<Void, Never>]] = [:]

    /// - Parameter patience: How long a turn may be waited for: about as long as one call may take, or many would wait a minute each for a
    ///   database that is away.
    init(patience: Duration = .seconds(55)) { self.patience = patience }

    /// Runs `body` when nobody else works on this session.
    nonisolated func take<Value: Sendable>(_ sessionID: String, _ body: @Sendable () async throws -> Value) async throws
        -> Value
    {
        let key = Array(sessionID.utf8)
        let arrival = ContinuousClock.now
        await begin(key)
        do {
            guard arrival.duration(to: .now) < patience else { throw Problem.databaseAway }
            let value = try await body()
            await end(key)
            return value
        } catch {
            await end(key)
            throw error
        }
    }

    private func begin(_ key: [UInt8]) async {
        guard waiting[key] != nil else {
            waiting[key] = []
            return
        }
        await withCheckedContinuation { waiting[key]?.append($0) }
    }

    private func end(_ key: [UInt8]) {
        if waiting[key]?.isEmpty == false {
            waiting[key]?.removeFirst().resume()
        } else {
            waiting[key] = nil
        }
    }
}
