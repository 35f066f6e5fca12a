import Foundation
import WhatsAppSessions

/// kill −9 while a file of 0.1.0 is opened for the first time: it is a file of 0.1.0 afterwards, or one of this version, with every session
/// and every change.
func upgradeCheck(isLong: Bool) throws {
    let kills = isLong ? 2_000 : 100
    let release = URL(filePath: #filePath).appending(path: "../../WhatsAppSessionsTests/Fixtures/releases/0.1.0")
        .standardized
    let old = Folder(onDisk: true)
    try FileManager.default.copyItem(atPath: release.appending(path: "sessions.sqlite").path, toPath: old.file)
    do {
        // So many that a migration takes its time.
        let connection = try PlainConnection(old.file)
        try connection.execute(
            """
            WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers LIMIT 20000)
            INSERT INTO sessions (id, created_at) SELECT 'many-' || number, number FROM numbers;
            PRAGMA wal_checkpoint(TRUNCATE)
            """
        )
    }
    let cursor = try ChangeCursor(String(contentsOf: release.appending(path: "cursor.txt"), encoding: .utf8))!
    func copy() throws -> Folder {
        let folder = Folder(onDisk: true)
        try FileManager.default.copyItem(atPath: old.file, toPath: folder.file)
        return folder
    }

    let whole = try copy()
    let start = ContinuousClock.now
    require(
        try Writer.lines(Writer.start(whole.file, "", 0).output).last?.hasPrefix("slowest") == true,
        "it doesn't open"
    )
    let time = ContinuousClock.now - start
    let manager = try whole.open()
    let (sessions, changes) = (try manager.getAllSessions(), try manager.getChanges(after: cursor, limit: 100_000))
    require(sessions.count == 20_004 && changes.count == 20_003, "\(sessions.count) sessions, \(changes.count) changes")

    let before = try PlainConnection(old.file).query("PRAGMA user_version")
    let after = try PlainConnection(whole.file).query("PRAGMA user_version")
    var versions: [String: Int] = [:]
    for _ in 0..<kills {
        let folder = try copy()
        let writer = try Writer.start(folder.file, "", 0)
        usleep(.random(in: 0...UInt32(time / .microseconds(1))))
        kill(writer.process.processIdentifier, SIGKILL)
        _ = try Writer.lines(writer.output)
        writer.process.waitUntilExit()
        versions[try PlainConnection(folder.file).query("PRAGMA user_version"), default: 0] += 1
        let upgraded = try folder.open()
        require(try upgraded.isSound, "the file is unsound")
        require(try upgraded.getAllSessions() == sessions, "a session is another one")
        require(try upgraded.getChanges(after: cursor, limit: 100_000) == changes, "a change is another one")
    }
    print("upgrade from 0.1.0: \(kills) kills, which left a file of version \(versions), and lost nothing")
    require(Set(versions.keys) == [before, after], "nothing was killed at work, or halfway")
}
