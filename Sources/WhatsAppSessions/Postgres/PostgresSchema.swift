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

    private func requireServer(until deadline: ContinuousClock.Instant) throws {
        guard serverVersion >= 130_000 else {
            let version = "\(serverVersion / 10_000).\(serverVersion % 10_000)"
            throw refused("the server is PostgreSQL \(version), and the library needs 13 or newer")
        }
        let encoding = try run(script: "SHOW server_encoding", until: deadline).firstText ?? ""
        guard encoding == "UTF8" else {
            throw refused("the encoding of the database is \(encoding), and only UTF8 keeps every id apart")
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
        do {
            _ = try other.run(script: "BEGIN; SELECT 1", until: min(deadline, .now + .seconds(3)))
        } catch is PostgresConnectionLost {
            throw refused("a pooler gives no second connection: a manager has five, and needs a pool of as many")
        }
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
