#if Postgres
import Foundation

/// A connection that is opened again when it is lost, for as long as a caller waits.
struct PostgresLine {
    let address: PostgresAddress
    let log: PostgresLog
    /// Whether the connection is for writes.
    let writes: Bool
    /// What all connections of a manager have seen.
    private let timeline: PostgresTimeline
    /// Its number when the connection was opened.
    private var seen = 0
    /// How often an old primary was met.
    private var detours = 0
    private var connection: PostgresConnection?
    /// The process at the other end of a connection that was lost. It may come to its last statement later, when that has been sent again.
    private var lostProcess: PostgresProcess?
    /// Whether it was said that the connection was lost.
    private var isAway = false

    init(
        to address: PostgresAddress,
        writes: Bool = false,
        on timeline: PostgresTimeline = PostgresTimeline(),
        _ log: @escaping PostgresLog
    ) {
        (self.address, self.writes, self.timeline, self.log) = (address, writes, timeline, log)
    }

    /// Asks the server, and asks again when it is away, someone holds a lock, or something in between broke off.
    ///
    /// - Throws: ``DatabaseError``; with the code ``DatabaseError/ResultCode/busy`` when the time is up.
    mutating func ask<Value>(
        until deadline: ContinuousClock.Instant,
        isOutcomeUnknown: @autoclosure () -> Bool,
        _ body: (PostgresConnection) throws -> Value
    ) throws -> Value {
        var pause = Duration.milliseconds(10)
        // Whoever waited behind others may have no time left, and must not wait for another connection.
        var failure = DatabaseError(resultCode: .busy, message: "the database is away, or busy", sqlState: "08006")
        // What is left must be long enough for an answer.
        while .now + .milliseconds(100) < deadline {
            do {
                return try body(opened(until: deadline))
            } catch let lost as PostgresConnectionLost {
                if writes { lostProcess = connection?.process ?? lostProcess }
                connection = nil
                failure = DatabaseError(lost)
                if !isAway { log("the connection to the database was lost, and calls wait: \(lost.message)") }
                isAway = true
            } catch let refusal as PostgresRefusal where refusal.isTemporary {
                failure = DatabaseError(
                    resultCode: .busy,
                    message: refusal.isLockTimeout ? blocked() : refusal.message,
                    sqlState: refusal.state
                )
                // A server that takes no writes any more is not the one to ask.
                if refusal.isReadOnly { connection = nil }
            } catch let refusal as PostgresRefusal {
                throw DatabaseError(refusal)
            }
            usleep(UInt32(min(pause, max(deadline - .now, .zero)) / .microseconds(1)))
            pause = min(pause * 2, .milliseconds(500))
        }
        throw isOutcomeUnknown() ? failure.withUnknownOutcome : failure
    }

    private mutating func opened(until deadline: ContinuousClock.Instant) throws -> PostgresConnection {
        if let connection, seen == timeline.number { return connection }
        connection = nil
        let connection = try PostgresConnection(to: address, startingAt: detours)
        try connection.configure(until: deadline)
        let place = try connection.run(script: "SELECT whatsapp_sessions.place()", until: deadline).firstText ?? ""
        guard timeline.note(place) else {
            detours += 1
            throw PostgresConnectionLost(
                state: nil,
                message: "this server is an old primary: a standby was promoted since"
            )
        }
        seen = timeline.number
        if writes {
            if let lostProcess { connection.end(lostProcess, until: deadline) }
            try PostgresSessions(connection, until: deadline).renewHistory()
            lostProcess = nil
        }
        self.connection = connection
        if isAway { log("the connection to the database is back") }
        isAway = false
        return connection
    }

    /// Says who holds the lock that a write waited for.
    private func blocked() -> String {
        let holders = try? connection.map { try PostgresSessions($0, until: .now + .seconds(2)).blockers() }
        let message =
            "another program holds a lock on the sessions: \(holders.flatMap(\.self) ?? "it is not known which")"
        log(message)
        return message
    }
}

/// Says what an operator should know, in a sentence.
typealias PostgresLog = @Sendable (String) -> Void

extension PostgresRefusal {
    /// Waiting for a lock took too long.
    var isLockTimeout: Bool { state == "55P03" }

    /// The server is a standby, or became one.
    var isReadOnly: Bool { state == "25006" }

    /// Whether the same may go well another time: a serialization failure or a deadlock, a cancelled statement, a lock that took too long,
    /// or a server that takes no writes.
    var isTemporary: Bool { isLockTimeout || isReadOnly || state.hasPrefix("40") || state == "57014" }
}
#endif
