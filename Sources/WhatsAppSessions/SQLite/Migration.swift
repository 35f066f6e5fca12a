import WhatsAppSessionsSQLite

extension Connection {
    /// Brings the schema up to date: runs the scripts that this database has not seen, all of them or none.
    ///
    /// `migrations` only ever grows at its end. `PRAGMA user_version` counts those that have run, and changes in the same
    /// transaction as they do. IMMEDIATE, so that the version that is read is still true when it is written:
    /// <https://sqlite.org/lang_transaction.html>.
    func migrate(_ migrations: [[UInt8]]) throws {
        try execute("BEGIN IMMEDIATE")
        do {
            var version = 0
            try prepare("PRAGMA user_version").run(row: { version = try Int($0.integer(0)) })
            guard version <= migrations.count else {
                throw DatabaseError(
                    extendedResultCode: SQLITE_ERROR,
                    message:
                        "the database has schema version \(version), newer than this library's \(migrations.count)",
                    sql: nil
                )
            }
            for migration in migrations.dropFirst(version) {
                try execute(String(decoding: migration, as: UTF8.self))
            }
            try execute("PRAGMA user_version = \(migrations.count)")
            try execute("COMMIT")
        } catch {
            // After some failures SQLite has rolled back by itself; then there is nothing to undo.
            try? execute("ROLLBACK")
            throw error
        }
    }
}
