#if Postgres
import Foundation
import Testing

@testable import WhatsAppSessions

/// A database that goes with the test, on the server that `WHATSAPP_SESSIONS_POSTGRES` names with key words, as a superuser.
final class TestDatabase: Sendable {
    private static let server =
        ProcessInfo.processInfo.environment["WHATSAPP_SESSIONS_POSTGRES"] ?? "host=127.0.0.1"

    let name = "test_\(UUID().uuidString.lowercased().replacingOccurrences(of: "-", with: ""))"

    /// The database's address, as the library is given it.
    var address: String { "\(Self.server) dbname=\(name)" }

    init(_ options: String = "") throws {
        try Self.run("CREATE DATABASE \(name) \(options)", on: "\(Self.server) dbname=postgres")
    }

    deinit { try? administer("DROP DATABASE \(name) WITH (FORCE)") }

    /// Runs something from outside of the database.
    func administer(_ sql: String) throws { try Self.run(sql, on: "\(Self.server) dbname=postgres") }

    /// What someone with `psql` could do.
    func execute(_ sql: String) throws { try Self.run(Self.path + sql, on: address) }

    /// The first column of the first row, as text.
    func query(_ sql: String) throws -> String? { try Self.run("\(Self.path)SELECT (\(sql))::text", on: address) }

    /// Stops the clock of the sessions at a time.
    func setClock(_ now: Int64) throws {
        try execute(
            "CREATE OR REPLACE FUNCTION now() RETURNS bigint LANGUAGE sql VOLATILE AS 'SELECT \(now)::bigint'"
        )
    }

    private static let path = "SET search_path = whatsapp_sessions; "

    static func connection(_ address: String) throws -> PostgresConnection {
        try PostgresConnection(to: PostgresAddress(address))
    }

    @discardableResult
    private static func run(_ script: String, on address: String) throws -> String? {
        do {
            return try connection(address).run(script: script, until: .now + .seconds(60)).firstText
        } catch let refusal as PostgresRefusal {
            throw DatabaseError(refusal)
        }
    }
}
#endif
