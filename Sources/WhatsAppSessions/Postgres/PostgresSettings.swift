#if Postgres
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
#endif
