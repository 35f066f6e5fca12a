import Foundation
import WhatsAppSessionsSQLite

/// What a database must look like.
struct Schema {
    /// The number that marks its files: <https://sqlite.org/pragma.html#pragma_application_id>.
    let applicationID: Int32
    /// SQL scripts in the order in which they were written. A released script never changes; new ones go at the end.
    let migrations: [[UInt8]]
    /// SQL for after the last script. In it `?1` is the schema version before the scripts ran.
    var adoption = ""

    /// The schema of the sessions: one script for each file in `migrations/`.
    static let sessions = Schema(
        applicationID: 0x5753_6573,  // "WSes"
        migrations: [
            PackageResources._001_create_sessions_sql,
            PackageResources._002_session_overview_sql,
            PackageResources._003_session_changes_sql,
            PackageResources._004_qr_code_numbers_sql,
            PackageResources._005_cheaper_journal_sql,
            PackageResources._006_history_of_one_file_sql,
            PackageResources._007_room_for_seq_sql,
            PackageResources._008_restrictions_sql,
            PackageResources._009_leases_sql,
            PackageResources._010_wishes_sql,
            PackageResources._011_kept_cursors_sql,
        ],
        // The scripts changed the schema, and the history stays, unless it was another database's before.
        adoption: """
            UPDATE journal
            SET history = iif(coalesce(schema_version, ?1) = ?1, history, random() & 0x7fffffffffffffff),
                schema_version = (SELECT schema_version FROM pragma_schema_version)
            """
    )
}

extension Connection {
    /// Brings the database up to date: runs the scripts that it has not seen, all of them or none.
    ///
    /// `PRAGMA user_version` counts those that have run; it is read and written in the transaction that runs them.
    func migrate(to schema: Schema) throws {
        try transaction {
            let version = try version(of: schema)
            guard version < schema.migrations.count else { return }
            let schemaVersion = try row(of: "PRAGMA schema_version") { try $0.integer(0) }
            for (number, migration) in schema.migrations.enumerated().dropFirst(version) {
                do {
                    // For a new column with a CHECK, SQLite 3.37 runs a statement of its own in which a name is a text.
                    try with(SQLITE_DBCONFIG_DQS_DML, 1) { try execute(String(decoding: migration, as: UTF8.self)) }
                } catch let error as DatabaseError where error.resultCode == .error {
                    // Not with its SQL, which is the whole script.
                    throw DatabaseError(
                        resultCode: .corrupt,
                        message: """
                            migration \(number + 1) does not fit this database, which says that it has had \(version) \
                            (PRAGMA user_version): \(error.message)
                            """
                    )
                }
            }
            try execute("PRAGMA application_id = \(schema.applicationID)")
            try execute("PRAGMA user_version = \(schema.migrations.count)")
            guard !schema.adoption.isEmpty else { return }
            try renewSchemaVersion()
            try prepared(schema.adoption).execute { try $0.bind(schemaVersion, to: "?1") }
        }
    }

    /// How many of the schema's scripts the database has seen.
    ///
    /// - Throws: ``DatabaseError`` when it belongs to another program or to a newer version of this library.
    func version(of schema: Schema) throws -> Int {
        // One statement, so that it sees one state while another process may be creating the schema.
        let identity = try prepared(
            """
            SELECT (SELECT user_version FROM pragma_user_version), (SELECT application_id FROM pragma_application_id),
                (SELECT encoding FROM pragma_encoding),
                (SELECT count(*) FROM sqlite_schema WHERE name NOT GLOB '_litestream_*')
            """
        ).only { try (version: $0.integer(0), id: $0.integer(1), encoding: $0.text(2), objects: $0.integer(3)) }

        func refuse(_ message: String) -> DatabaseError { DatabaseError(resultCode: .cannotOpen, message: message) }
        if identity.id != schema.applicationID {
            // A new file has no mark yet. Litestream may have been there first.
            guard identity.id == 0, identity.version == 0, identity.objects == 0 else {
                throw refuse("the database belongs to another program")
            }
        }
        guard identity.encoding == "UTF-8" else {
            throw refuse("the database's encoding is \(identity.encoding), and only UTF-8 keeps every id apart")
        }
        guard (0...Int64(schema.migrations.count)).contains(identity.version) else {
            throw refuse(
                "the schema version is \(identity.version), and this library knows versions up to \(schema.migrations.count)"
            )
        }
        return Int(identity.version)
    }

    /// Checks that every table, trigger and view is still as the scripts of this version define it, apart from columns that
    /// were added. Tools that rebuild a table drop its constraints and triggers, and the rules with them.
    func requireObjects(of schema: Schema, version: Int) throws {
        let found = try objects()
        guard let changed = try firstChange(from: schema, version, in: found) else { return }
        for other in 1...schema.migrations.count where try firstChange(from: schema, other, in: found) == nil {
            throw DatabaseError(
                resultCode: .corrupt,
                message: """
                    PRAGMA user_version says \(version), but the schema is that of version \(other): \
                    set it to \(other) again
                    """
            )
        }
        throw DatabaseError(
            resultCode: .corrupt,
            message: """
                another program changed or removed the \(changed), and the rules that came with it: \
                restore a backup, or copy the rows to a new file
                """
        )
    }

    /// The first object that is not as the scripts of a version define it.
    private func firstChange(from schema: Schema, _ version: Int, in found: [String: String]) throws -> String? {
        let original = try Connection.openInMemory()
        for migration in schema.migrations.prefix(version) {
            try original.execute(String(decoding: migration, as: UTF8.self))
        }
        // A table before its indexes and triggers, which go with it.
        func order(_ name: String) -> (Int, String) { (name.hasPrefix("table ") ? 0 : 1, name) }
        return try original.objects().sorted { order($0.key) < order($1.key) }.first { name, sql in
            guard let found = found[name], found != sql else { return found[name] == nil }
            return try original.columns(of: name, asIn: found) != sql
        }?.key
    }

    /// The SQL of a table of another database, without the columns that the table of the same name has not here; `nil` if
    /// something depends on those.
    private func columns(of name: String, asIn sql: String) throws -> String? {
        guard name.hasPrefix("table ") else { return nil }
        let name = String(name.dropFirst("table ".count))
        func columns(_ connection: Connection) throws -> [String] {
            try connection.rows(of: "SELECT name FROM pragma_table_info('\(name)')") { try $0.text(0) }
        }
        let copy = try Connection.openInMemory()
        do {
            try copy.execute(sql)
            let known = try columns(self)
            for column in try columns(copy) where !known.contains(column) {
                let quoted = column.replacingOccurrences(of: "\"", with: "\"\"")
                try copy.execute("ALTER TABLE \(name) DROP COLUMN \"\(quoted)\"")
            }
        } catch let error as DatabaseError where error.resultCode == .error {
            return nil
        }
        return try copy.objects()["table \(name)"]
    }

    private func objects() throws -> [String: String] {
        let rows = try rows(of: "SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL") {
            try ($0.text(0), $0.text(1))
        }
        return Dictionary(uniqueKeysWithValues: rows)
    }
}
