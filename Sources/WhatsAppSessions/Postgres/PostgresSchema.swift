#if Postgres
import Foundation

extension PostgresConnection {
    /// The scripts of `migrations/postgres/`, in the order in which they were written. A released script never changes.
    static let migrations = [PackageResources._001_sessions_sql]

    /// Brings the schema up to date, if this process is the first to need it.
    ///
    /// - Throws: ``DatabaseError`` when the server cannot hold the sessions, or the schema is another program's or that of a newer version.
    func migrate(until deadline: ContinuousClock.Instant) throws {
        try requireServer(until: deadline)
        if try version(until: deadline) == Self.migrations.count { return }
        // Under the lock, what another process has made by now is seen.
        _ = try run(script: "BEGIN; SELECT pg_advisory_xact_lock(6292484648962359296)", until: deadline)
        do {
            let version = try version(until: deadline)
            if version == 0 {
                _ = try run(
                    script: """
                        CREATE SCHEMA IF NOT EXISTS whatsapp_sessions;
                        CREATE TABLE whatsapp_sessions.migrations (
                            number integer PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now()
                        )
                        """,
                    until: deadline
                )
            }
            for (index, script) in Self.migrations.enumerated().dropFirst(version) {
                _ = try run(script: String(decoding: script, as: UTF8.self), until: deadline)
                _ = try run(
                    script: "INSERT INTO whatsapp_sessions.migrations (number) VALUES (\(index + 1))",
                    until: deadline
                )
            }
            _ = try run(script: "COMMIT", until: deadline)
        } catch {
            _ = try? run(script: "ROLLBACK", until: deadline)
            throw error
        }
    }

    private func refused(_ message: String) -> DatabaseError {
        DatabaseError(resultCode: .cannotOpen, message: message, sqlState: "08004")
    }

    private func requireServer(until deadline: ContinuousClock.Instant) throws {
        guard serverVersion >= 130_000 else {
            let version = "\(serverVersion / 10_000).\(serverVersion % 10_000)"
            throw refused("the server is PostgreSQL \(version), and the library needs 13 or newer")
        }
        let encoding = try setting("server_encoding", until: deadline)
        guard encoding == "UTF8" else {
            throw refused("the encoding of the database is \(encoding), and only UTF8 keeps every id apart")
        }
        // Bound values are in these lines of the server's log, and QR codes among them.
        let logsValues =
            try setting("log_parameter_max_length", until: deadline) != "0"
            && (["all", "mod"].contains(try setting("log_statement", until: deadline))
                || setting("log_min_duration_statement", until: deadline) != "-1"
                || setting("log_min_duration_sample", until: deadline) != "-1"
                || setting("log_transaction_sample_rate", until: deadline) != "0")
        guard !logsValues, try setting("log_parameter_max_length_on_error", until: deadline) == "0" else {
            throw refused(
                """
                the server logs the values of statements, and QR codes would be among them: as a superuser, ALTER DATABASE … SET \
                log_parameter_max_length = 0 and log_parameter_max_length_on_error = 0
                """
            )
        }
    }

    /// Refuses a pooler that gives each transaction another connection: prepared statements and settings would be gone.
    ///
    /// - Parameter open: Opens another connection to the same address.
    func requireSession(until deadline: ContinuousClock.Instant, _ open: () throws -> PostgresConnection) throws {
        let process = try run(script: "SELECT pg_backend_pid()", until: deadline).firstText
        // A pooler makes up the number that libpq is told.
        guard process != "\(processNumber)" else { return }
        _ = try run(script: "SET whatsapp_sessions.probe = 'kept'", until: deadline)
        // It would be given the connection that this one has just used.
        let other = try open()
        _ = try other.run(script: "BEGIN; SELECT 1", until: deadline)
        let kept = try? run(
            script: "SELECT current_setting('whatsapp_sessions.probe', true)",
            until: min(deadline, .now + .seconds(2))
        ).firstText
        guard kept == "kept" else {
            throw refused(
                "a pooler gives each transaction another connection: use its session mode, or the server itself"
            )
        }
    }

    private func setting(_ name: String, until deadline: ContinuousClock.Instant) throws -> String {
        try run(script: "SELECT coalesce(current_setting('\(name)', true), '')", until: deadline).firstText ?? ""
    }

    /// How many of the scripts the database has seen.
    private func version(until deadline: ContinuousClock.Instant) throws -> Int {
        // Not `to_regclass`, which answers from a cache that another's commit doesn't reach inside of a transaction.
        let objects = try run(
            script: """
                SELECT count(*) FILTER (WHERE c.relname = 'migrations') || ' ' || count(*) FROM pg_class c
                JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'whatsapp_sessions'
                """,
            until: deadline
        ).firstText
        if objects == "0 0" { return 0 }
        guard objects?.hasPrefix("1 ") == true else {
            throw refused("the schema whatsapp_sessions of the database belongs to another program")
        }
        let text = try run(
            script: "SELECT coalesce(max(number), 0) FROM whatsapp_sessions.migrations",
            until: deadline
        ).firstText
        guard let version = text.flatMap({ Int($0) }), version <= Self.migrations.count else {
            throw refused(
                "the schema version is \(text ?? "?"), and this library knows versions up to \(Self.migrations.count)"
            )
        }
        return version
    }
}
#endif
