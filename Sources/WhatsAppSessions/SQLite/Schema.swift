import WhatsAppSessionsSQLite

/// What a database must look like.
struct Schema {
    /// The number that marks its files: <https://sqlite.org/pragma.html#pragma_application_id>.
    let applicationID: Int32
    /// SQL scripts in the order in which they were written. A released script never changes; new ones go at the end.
    let migrations: [[UInt8]]
    /// SQL that gives a copy an identity of its own.
    var renewal = ""
}

extension Connection {
    /// Brings the database up to date: runs the scripts that it has not seen, all of them or none.
    ///
    /// `PRAGMA user_version` counts those that have run; it is read and written in the transaction that runs them.
    func migrate(to schema: Schema) throws {
        try transaction {
            let version = try version(of: schema)
            guard version < schema.migrations.count else { return }
            for migration in schema.migrations.dropFirst(version) {
                try execute(String(decoding: migration, as: UTF8.self))
            }
            try execute("PRAGMA application_id = \(schema.applicationID)")
            try execute("PRAGMA user_version = \(schema.migrations.count)")
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

    /// Checks that every table, trigger and view is still exactly as the scripts of this version define it. Tools that rebuild
    /// a table drop its constraints and triggers, and the rules with them.
    func requireObjects(of schema: Schema, version: Int) throws {
        let original = try Connection.openInMemory()
        for migration in schema.migrations.prefix(version) {
            try original.execute(String(decoding: migration, as: UTF8.self))
        }
        let (expected, found) = (try original.objects(), try objects())
        for (name, sql) in expected.sorted(by: { $0.key < $1.key }) where found[name] != sql {
            throw DatabaseError(
                resultCode: .corrupt,
                message: """
                    another program changed or removed the \(name), and the rules that came with it: \
                    restore a backup, or copy the rows to a new file
                    """
            )
        }
    }

    private func objects() throws -> [String: String] {
        try prepared("SELECT type || ' ' || name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
            .all { try ($0.text(0), $0.text(1)) }
            .reduce(into: [:]) { $0[$1.0] = $1.1 }
    }
}
