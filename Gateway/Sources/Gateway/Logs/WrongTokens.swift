import Logging
import Synchronization

/// Says that wrong tokens come, at most once in ten seconds.
final class WrongTokens: Sendable {
    private struct State {
        var last: ContinuousClock.Instant?
        var unsaid = 0
    }

    private let state = Mutex(State())

    func note(from address: String?, _ logger: Logger, at now: ContinuousClock.Instant = .now) {
        let count = state.withLock { state -> Int? in
            state.unsaid += 1
            if let last = state.last, last.duration(to: now) < .seconds(10) { return nil }
            defer { (state.last, state.unsaid) = (now, 0) }
            return state.unsaid
        }
        guard let count else { return }
        logger.notice(
            "a wrong token was sent",
            metadata: ["address": "\(address ?? "unknown")", "times": "\(count)"]
        )
    }
}
