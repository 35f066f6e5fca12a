import Foundation
import WhatsAppSessionsSQLite

/// What the write-ahead log needs from time to time.
enum LogUpkeep: Sendable {
    /// The log is long: the next commit should start over at its beginning.
    case startOver
    /// The log holds something that must not be kept: what is left of it must be overwritten.
    case erase

    /// The number of pages at which a log is long. At 1,000 another program's SQLite would make a checkpoint of its own, beside a
    /// writer: <https://sqlite.org/wal.html#automatic_checkpoint>.
    static let longLog = 900
}

extension FileWriter {
    /// Checkpoints the log and starts it over at its beginning. For `.erase`, overwrites the rest of it too.
    ///
    /// Before 3.51.3 SQLite can corrupt a file when a checkpoint meets a writer that starts the log over
    /// (<https://sqlite.org/wal.html#the_wal_reset_bug>). The modes that keep writers out turn into PASSIVE, which doesn't,
    /// when they can't get the write lock in time. So the writer holds the write lock while `checkpointer` copies the pages. A
    /// PASSIVE checkpoint waits for no reader, either.
    ///
    /// - Parameters:
    ///   - drain: Waits until the short reads of this process that are under way have ended. Long ones have ended before.
    ///   - isCopied: Is called once all pages are in the file. Reads that begin from then on need no log any more.
    /// - Returns: `false` when another process's reader is in the way.
    /// - Throws: ``DatabaseError`` when another connection keeps the write lock until `deadline`.
    func maintainLog(
        _ upkeep: LogUpkeep,
        checkpointer: FileConnection,
        until deadline: ContinuousClock.Instant,
        drain: () -> Void,
        isCopied: () -> Void = {}
    ) throws -> Bool {
        defer { noteLog() }
        guard try copyLog(checkpointer, until: deadline, drain: drain, then: { _, isComplete in isComplete }) else {
            return false
        }
        isCopied()
        // It starts the log over, unless a reader needs the log.
        try connection.commitHeader(until: deadline, drain)
        guard connection.logPages == 1 else { return false }
        guard upkeep == .erase else { return true }
        return try copyLog(
            checkpointer,
            until: deadline,
            then: { pages, _ in
                try file.eraseLog(
                    of: identity,
                    from: Self.logSize(pages: pages, pageSize),
                    limit: Self.logSize(pages: LogUpkeep.longLog, pageSize)
                )
                return true
            }
        )
    }

    /// Moves the log's pages into the file, and goes on with their number and whether all could be moved. No connection writes
    /// meanwhile.
    private func copyLog(
        _ checkpointer: FileConnection,
        until deadline: ContinuousClock.Instant,
        drain: () -> Void = {},
        then body: (Int, Bool) throws -> Bool
    ) throws -> Bool {
        try connection.begin(until: deadline)
        defer { try? connection.connection.rollBack() }
        drain()
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
}

extension DatabasePath {
    /// Overwrites the log from `start` on with zeros, and cuts off what is behind `limit`. It keeps the length it has up to
    /// there, because a disk takes twice as long to sync a file that grows.
    ///
    /// The log carries no locks, so its descriptor may be closed. Blocks that are zero already are not written again.
    ///
    /// - Throws: ``DatabaseError`` when another file has the log's name by now.
    fileprivate func eraseLog(of identity: FileIdentity, from start: Int, limit: Int) throws {
        let descriptor = try systemCall(log) { open(log, O_RDWR | O_NOFOLLOW | O_CLOEXEC) }
        defer { close(descriptor) }
        guard identity.isLog(descriptor) else { throw DatabaseError.moved }
        if look().logSize > limit { try systemCall(log) { ftruncate(descriptor, off_t(max(start, limit))) } }
        var block = [UInt8](repeating: 0, count: 65536)
        let zeros = block
        var (offset, count) = (start, 0)
        repeat {
            count = try Int(systemCall(log) { Int32(pread(descriptor, &block, block.count, off_t(offset))) })
            if memcmp(block, zeros, count) != 0 {
                // What a short write leaves is read again.
                count = try Int(systemCall(log) { Int32(pwrite(descriptor, zeros, count, off_t(offset))) })
            }
            offset += count
        } while count > 0
        try sync(descriptor, log)
    }
}
