import Foundation
import WhatsAppSessionsSQLite

/// What the write-ahead log needs from time to time.
enum LogUpkeep: Int, Comparable, Sendable {
    /// The log is long: the next change should start over at its beginning.
    case startOver
    /// The log holds something that must not be kept: what is left of it must be overwritten.
    case erase

    static func < (a: LogUpkeep, b: LogUpkeep) -> Bool { a.rawValue < b.rawValue }

    /// The number of pages at which a log is long: 4 MiB.
    static let longLog = 1024
}

extension FileConnection {
    /// Moves the log into the file, has it started over, and erases what is left of it if that is asked for.
    ///
    /// Before 3.51.3 SQLite can corrupt a file when a checkpoint meets a writer that starts the log over
    /// (<https://sqlite.org/wal.html#the_wal_reset_bug>). Modes that keep writers out turn into PASSIVE, which doesn't, when
    /// they cannot get the write lock in time. So this connection holds the write lock, and `checkpointer` copies the
    /// pages meanwhile. That waits for no reader either. The next change then starts the log over, if nobody reads from it.
    ///
    /// - Returns: `false` when a reader is in the way.
    /// - Throws: ``DatabaseError`` when another connection keeps the write lock until `deadline`.
    func maintainLog(
        _ upkeep: LogUpkeep,
        checkpointer: FileConnection,
        deadline: ContinuousClock.Instant
    ) throws -> Bool {
        guard try copyLog(checkpointer, until: deadline, { _, isComplete in isComplete }) else { return false }
        logPages = 0
        guard upkeep == .erase else { return true }
        // A change that writes the page of the header as it was, to start the log over now.
        try connection.transaction {
            let version = try connection.prepared("PRAGMA user_version").only { try $0.integer(0) }
            try connection.execute("PRAGMA user_version = \(version)")
        }
        // With a reader in the way it was appended.
        guard logPages == 1 else { return false }
        let pageSize = try connection.prepared("PRAGMA page_size").only { try Int($0.integer(0)) }
        return try copyLog(checkpointer, until: deadline) { pages, _ in
            // A header, then pages with a header each: https://sqlite.org/fileformat.html#the_write_ahead_log
            try file.eraseLog(from: 32 + pages * (24 + pageSize), limit: LogUpkeep.longLog * pageSize)
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
            try connection.prepared("BEGIN IMMEDIATE").execute()
        }
    }
}

extension DatabaseFile {
    /// Overwrites the log from `start` on with zeros, and cuts off what is behind `limit`. It keeps the length it has up to
    /// there, because a disk takes twice as long to sync a file that grows.
    ///
    /// The log carries no locks, so its descriptor may be closed. Blocks that are zero already are not written again.
    fileprivate func eraseLog(from start: Int, limit: Int) throws {
        let descriptor = try systemCall(log) { open(log, O_RDWR | O_NOFOLLOW | O_CLOEXEC) }
        defer { close(descriptor) }
        if logSize > limit { try systemCall(log) { ftruncate(descriptor, off_t(max(start, limit))) } }
        var block = [UInt8](repeating: 0, count: 65536)
        let zeros = block
        var offset = start
        while true {
            let count = try systemCall(log) { Int32(pread(descriptor, &block, block.count, off_t(offset))) }
            guard count > 0 else { break }
            if block[..<Int(count)] != zeros[..<Int(count)] {
                try systemCall(log) { Int32(pwrite(descriptor, zeros, Int(count), off_t(offset))) }
            }
            offset += Int(count)
        }
        try sync(descriptor, log)
    }
}
