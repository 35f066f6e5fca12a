#if Postgres
import Foundation

/// A connection that is opened again when it is lost, for as long as a caller waits.
struct PostgresLine {
    let address: PostgresAddress
    let log: PostgresLog
    /// Whether the connection is for writes.
    let writes: Bool
    private var connection: PostgresConnection?
    /// Whether it was said that the connection was lost.
    private var isAway = false

    init(to address: PostgresAddress, writes: Bool = false, _ log: @escaping PostgresLog) {
        (self.address, self.writes, self.log) = (address, writes, log)
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
        while true {
            let failure: DatabaseError
            do {
                return try body(opened(until: deadline))
            } catch let lost as PostgresConnectionLost {
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
            guard .now + pause < deadline else {
                throw isOutcomeUnknown() ? failure.withUnknownOutcome : failure
            }
            usleep(UInt32(pause / .microseconds(1)))
            pause = min(pause * 2, .milliseconds(500))
        }
    }

    private mutating func opened(until deadline: ContinuousClock.Instant) throws -> PostgresConnection {
        if let connection { return connection }
        let connection = try PostgresConnection(to: address)
        try connection.configure(until: deadline)
        if writes { _ = try PostgresSessions(connection, until: deadline).renewHistory() }
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

extension PostgresConnection {
    /// Sets what the library relies on, whatever the defaults of the server, the database and the role.
    func configure(until deadline: ContinuousClock.Instant) throws {
        _ = try run(
            script: """
                SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;
                SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;
                SET plan_cache_mode = force_generic_plan; SET jit = off
                """,
            until: deadline
        )
    }
}

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
