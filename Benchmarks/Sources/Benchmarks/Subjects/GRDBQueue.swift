import GRDB

/// A database of GRDB's with the library's schema; a file is as durable as the library's.
func openQueue(_ path: String?) throws -> DatabaseQueue {
    guard let path else {
        let queue = try DatabaseQueue()
        try queue.write { try $0.execute(sql: Schema.sql) }
        return queue
    }
    var configuration = Configuration()
    configuration.journalMode = .wal
    // After GRDB itself has chosen NORMAL for the write-ahead log.
    let queue = try DatabaseQueue(path: path, configuration: configuration)
    try queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
    try queue.write { try $0.execute(sql: Schema.sql) }
    return queue
}
