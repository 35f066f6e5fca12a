#if Postgres
/// The newest timeline that a manager has seen of its database. A primary that was cut off while a standby was promoted still takes itself
/// for the primary, and what it has is old: <https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES>.
final class PostgresTimeline: Sendable {
    private struct State {
        /// The server's identity, and that of the database on it.
        var server: [Substring] = []
        var timeline: Substring = ""
        var number = 0
    }

    private let state = Lock(State())

    /// Another number once another timeline was seen: what was connected before may be connected to an old primary.
    var number: Int { state.withLock(\.number) }

    /// Notes the place of a server that was connected to, as the schema names it: system, timeline and database.
    ///
    /// - Returns: `false` for an old primary.
    func note(_ place: String) -> Bool {
        let parts = place.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3 else { return false }
        let (server, timeline) = ([parts[0], parts[2]], parts[1])
        return state.withLock { state in
            // Eight digits each, in hexadecimal.
            if server == state.server, timeline <= state.timeline { return timeline == state.timeline }
            state = State(server: server, timeline: timeline, number: state.number + 1)
            return true
        }
    }
}
#endif
