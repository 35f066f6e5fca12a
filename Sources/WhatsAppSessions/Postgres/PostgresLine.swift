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

/// A server's process.
struct PostgresProcess {
    let number: String
    /// Numbers are given again.
    let start: String
}

extension PostgresConnection {
    /// Sets what the library relies on, whatever the defaults of the server, the database and the role, and looks at what it can't set.
    ///
    /// - Throws: ``DatabaseError`` when the server would log QR codes.
    func configure(until deadline: ContinuousClock.Instant) throws {
        let answer = try run(
            script: """
                SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE;
                SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET client_min_messages = warning;
                SET plan_cache_mode = force_generic_plan; SET jit = off; SET search_path = pg_catalog, pg_temp;
                SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ('idle_session_timeout', 'transaction_timeout');
                SELECT concat_ws(
                    ' ', pid, floor(date_part('epoch', backend_start) * 1000000), (
                        -- Whether bound values come into the log, which would have QR codes among them.
                        current_setting('log_parameter_max_length_on_error') <> '0'
                        OR current_setting('log_parameter_max_length') <> '0' AND (
                            current_setting('log_statement') IN ('all', 'mod')
                            OR current_setting('log_min_duration_statement') <> '-1'
                            OR current_setting('log_min_duration_sample') <> '-1'
                            OR current_setting('log_transaction_sample_rate') <> '0'
                        )
                        -- Of PostgreSQL 16.
                        OR coalesce(current_setting('auto_explain.log_parameter_max_length', true), '0') <> '0'
                            AND coalesce(current_setting('auto_explain.log_min_duration', true), '-1') <> '-1'
                        OR coalesce(current_setting('pgaudit.log_parameter', true), 'off') = 'on'
                    )::integer
                ) FROM pg_stat_activity WHERE pid = pg_backend_pid()
                """,
            until: deadline
        ).firstText?.split(separator: " ").map(String.init)
        guard let answer, answer.count == 3 else { throw refused("the server doesn't say which process serves") }
        process = PostgresProcess(number: answer[0], start: answer[1])
        guard answer[2] == "0" else {
            throw refused(
                """
                the server logs the values of statements, and QR codes would be among them: as a superuser, ALTER DATABASE … SET \
                log_parameter_max_length = 0 and log_parameter_max_length_on_error = 0, and the same for auto_explain and pgaudit
                """
            )
        }
    }

    /// Ends a process of the same role, if it still is there.
    func end(_ lost: PostgresProcess, until deadline: ContinuousClock.Instant) {
        _ = try? run(
            script: """
                SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE pid = \(lost.number) AND floor(date_part('epoch', backend_start) * 1000000)::text = '\(lost.start)'
                """,
            until: deadline
        )
    }

    func refused(_ message: String) -> DatabaseError {
        DatabaseError(resultCode: .cannotOpen, message: message, sqlState: "08004")
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
