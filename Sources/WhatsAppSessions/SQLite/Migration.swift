import WhatsAppSessionsSQLite

/// What a database of ours looks like.
struct Schema {
    /// The number that marks our files: <https://sqlite.org/pragma.html#pragma_application_id>.
    let applicationID: Int32
    /// SQL scripts, in the order in which they were written; the list only ever grows at its end.
    let migrations: [[UInt8]]
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
    /// - Throws: ``DatabaseError`` when it is another program's, or a newer version's.
    func version(of schema: Schema) throws -> Int {
        let version = try integer("PRAGMA user_version")
        if try integer("PRAGMA application_id") != schema.applicationID {
            // A new file has no mark yet. Litestream may have been there first.
            let content = try integer("SELECT count(*) FROM sqlite_schema WHERE name NOT GLOB '_litestream_*'")
            guard version == 0, content == 0 else {
                throw DatabaseError(SQLITE_CANTOPEN, message: "the database belongs to another program")
            }
        }
        guard (0...schema.migrations.count).contains(version) else {
            throw DatabaseError(
                SQLITE_CANTOPEN,
                message:
                    "the schema version is \(version), and this library knows those up to \(schema.migrations.count)"
            )
        }
        return version
    }
}
