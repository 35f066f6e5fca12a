/// Lets what is done for one session happen one after another, in the order of arrival. Different sessions don't wait for each other.
actor Turns {
    /// Those who wait for their turn, for each session that somebody works on. The keys are bytes: as Swift compares strings,
    /// two ids that differ in their bytes may be one.
    private var waiting: [[UInt8]: [CheckedContinuation<Void, Never>]] = [:]

    /// Runs `body` when nobody else works on this session.
    nonisolated func take<Value: Sendable>(_ sessionID: String, _ body: @Sendable () async throws -> Value) async throws
        -> Value
    {
        let key = Array(sessionID.utf8)
        await begin(key)
        do {
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
