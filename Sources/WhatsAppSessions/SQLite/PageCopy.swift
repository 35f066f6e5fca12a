import WhatsAppSessionsSQLite

/// A copy of a database in memory, page by page, from which a file is written.
///
/// Copying pages is much faster than writing a file, so no caller has to wait for the file:
/// <https://sqlite.org/c3ref/backup_finish.html>.
final class PageCopy {
    private let copy: Connection
    private var backup: OpaquePointer?

    init() throws {
        copy = try Connection.openInMemory()
    }

    deinit { sqlite3_backup_finish(backup) }

    /// Copies the next pages of the database, which must not change before all are copied.
    ///
    /// - Parameter count: How many pages; all of them if it is negative.
    /// - Returns: Whether there are more.
    func addPages(of original: Connection, atMost count: Int32) throws -> Bool {
        backup = backup ?? sqlite3_backup_init(copy.handle, "main", original.handle, "main")
        // Without memory for a backup there is none.
        let code = backup == nil ? sqlite3_errcode(copy.handle) : sqlite3_backup_step(backup, count)
        if code == SQLITE_OK { return true }
        sqlite3_backup_finish(backup)
        backup = nil
        guard code == SQLITE_DONE else { throw DatabaseError(code, on: copy.handle) }
        return false
    }

    /// Writes the copy to an empty file, as a database of its own: <https://sqlite.org/lang_vacuum.html>.
    func write(to path: String) throws {
        try copy.prepared("VACUUM INTO :path").execute(path)
        let file = try Connection.open(path, flags: SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOFOLLOW)
        // No journal file and no sync: nobody uses the copy until it is complete.
        try file.execute("PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA secure_delete = ON")
        try SQLiteSessions(file).beginHistory()
    }
}
