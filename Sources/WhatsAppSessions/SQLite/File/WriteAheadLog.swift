import Foundation
import WhatsAppSessionsSQLite

/// What the write-ahead log needs from time to time.
enum LogUpkeep: Sendable {
    /// The log is long: the next change should start over at its beginning.
    case startOver
    /// The log holds something that must not be kept: what is left of it must be overwritten.
    case erase

    /// The number of pages at which a log is long: 4 MiB.
    static let longLog = 1024
}

extension FileConnection {
    /// Checkpoints the log and starts it over at its beginning. For `.erase`, overwrites the rest of it too.
    ///
    /// Before 3.51.3 SQLite can corrupt a file when a checkpoint meets a writer that starts the log over
    /// (<https://sqlite.org/wal.html#the_wal_reset_bug>). The modes that keep writers out turn into PASSIVE, which doesn't,
    /// when they can't get the write lock in time. So this connection holds the write lock while `checkpointer` copies the
    /// pages. A PASSIVE checkpoint waits for no reader, either.
    ///
    /// - Parameters:
    ///   - identity: The files that the database was opened with. Nothing else is written to.
    ///   - drain: Waits until the reads of this process that are under way have ended. Those that begin meanwhile need no
    ///     log any more, since all its pages are in the file.
    /// - Returns: `false` when another reader is in the way.
    /// - Throws: ``DatabaseError`` when another connection keeps the write lock until `deadline`.
    func maintainLog(
        _ upkeep: LogUpkeep,
        identity: DatabaseFile.Identity,
        checkpointer: FileConnection,
        deadline: ContinuousClock.Instant,
        drain: () -> Void
    ) throws -> Bool {
        guard try copyLog(checkpointer, until: deadline, { _, isComplete in isComplete }) else { return false }
        // A change that writes the page of the header as it was. It starts the log over, unless a reader needs the log.
        try connection.transaction {
            drain()
            let version = try connection.prepared("PRAGMA user_version").only { try $0.integer(0) }
            try connection.execute("PRAGMA user_version = \(version)")
        }
        guard logPages == 1 else { return false }
        guard upkeep == .erase else { return true }
        let pageSize = try connection.prepared("PRAGMA page_size").only { try Int($0.integer(0)) }
        return try copyLog(checkpointer, until: deadline) { pages, _ in
            // A header, then pages with a header each: https://sqlite.org/fileformat.html#the_write_ahead_log
            try file.eraseLog(
                of: identity,
                from: 32 + pages * (24 + pageSize),
                limit: LogUpkeep.longLog * pageSize
            )
            return true
        }
    }

    /// Moves the log's pages into the file, and runs `body` with their number and whether all could be moved. Nobody writes
    /// meanwhile.
    private func copyLog(
        _ checkpointer: FileConnection,
        until deadline: ContinuousClock.Instant,
        _ body: (Int, Bool) throws -> Bool
    ) throws -> Bool {
        try begin(until: deadline)
        defer { try? connection.rollBack() }
        var (pages, copied): (Int32, Int32) = (0, 0)
        let code = sqlite3_wal_checkpoint_v2(
            checkpointer.connection.handle,
            "main",
            SQLITE_CHECKPOINT_PASSIVE,
            &pages,
            &copied
        )
        return try code == SQLITE_OK && body(Int(pages), pages == copied)
    }

    /// Begins a transaction as a writer.
    func begin(until deadline: ContinuousClock.Instant) throws {
        try wait(until: deadline) { connection in
            try connection.rollBack()
            do {
                try connection.prepared("BEGIN IMMEDIATE").execute()
            } catch {
                // One that ran out of memory may have begun all the same.
                try? connection.rollBack()
                throw error
            }
        }
    }
}

extension DatabaseFile {
    /// Overwrites the log from `start` on with zeros, and cuts off what is behind `limit`. It keeps the length it has up to
    /// there, because a disk takes twice as long to sync a file that grows.
    ///
    /// The log carries no locks, so its descriptor may be closed. Blocks that are zero already are not written again.
    ///
    /// - Throws: ``DatabaseError`` when another file has the log's name by now.
    fileprivate func eraseLog(of identity: Identity, from start: Int, limit: Int) throws {
        let descriptor = try systemCall(log) { open(log, O_RDWR | O_NOFOLLOW | O_CLOEXEC) }
        defer { close(descriptor) }
        guard identity.isLog(descriptor) else { throw DatabaseError.moved }
        if logSize > limit { try systemCall(log) { ftruncate(descriptor, off_t(max(start, limit))) } }
        var block = [UInt8](repeating: 0, count: 65536)
        let zeros = block
        var (offset, count) = (start, 0)
        repeat {
            count = try Int(systemCall(log) { Int32(pread(descriptor, &block, block.count, off_t(offset))) })
            if block[..<count] != zeros[..<count] {
                // What a short write leaves is read again.
                count = try Int(systemCall(log) { Int32(pwrite(descriptor, zeros, count, off_t(offset))) })
            }
            offset += count
        } while count > 0
        try sync(descriptor, log)
    }
}
