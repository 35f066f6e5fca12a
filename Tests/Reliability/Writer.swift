import Foundation
import WhatsAppSessions
import WhatsAppSessionsSQLite

/// The program that the checks start, and kill: `writer PATH NAME COUNT [option …]`. It acknowledges every commit on its
/// standard output, and says at the end how long the slowest call took.
enum Writer {
    static func run(_ arguments: [String]) throws {
        let (path, name, count) = (arguments[0], arguments[1], Int(arguments[2])!)
        if arguments.contains("umask-0") { umask(0) }
        if arguments.contains("umask-777") { umask(0o777) }
        do {
            let manager = try SessionManager(storage: .file(path: path))
            if arguments.contains("sqlite-handler") {
                try manager.withHandle { _ = sqlite3_busy_timeout($0, 10_000) }
            }
            if arguments.contains("synchronous-off") { try manager.execute("PRAGMA synchronous = OFF") }
            if arguments.contains("unprotected") { try writeUnprotected(manager, isCheckpointer: count == 0) }
            if arguments.contains("threads") { writeFromThreads(manager, name) }
            if arguments.contains("one-backup") { try manager.backUp(to: "\(path).copy") }
            if arguments.contains("backups") {
                for number in 0... { try manager.backUp(to: "\(path).copy\(number)") }
            }
            var slowest = Duration.zero
            for number in 0..<count {
                let start = ContinuousClock.now
                try manager.createSession("\(name)-\(number)")
                slowest = max(slowest, ContinuousClock.now - start)
                say("\(name)-\(number)")
                if arguments.contains("busy"), number % 10 == 0 {
                    let id = "\(name)-\(number)"
                    try manager.updateSession(id, SessionUpdates(status: .qrWaiting, qrCode: .set("2@" + id)))
                    try manager.updateSession(id, SessionUpdates(status: .connected))
                }
                if arguments.contains("slow") { usleep(2000) }
            }
            say("slowest \(slowest.components.seconds * 1000 + slowest.components.attoseconds / 1_000_000_000_000_000)")
        } catch {
            say("error \(error)")
            exit(1)
        }
    }

    /// Eight threads write, with codes that come and go; never ends.
    private static func writeFromThreads(_ manager: SessionManager, _ name: String) -> Never {
        for thread in 0..<8 {
            Thread {
                for number in 0... {
                    let id = "\(name)-\(thread)-\(number)"
                    do {
                        try manager.createSession(id)
                        say(id)
                        try manager.updateSession(id, SessionUpdates(status: .qrWaiting, qrCode: .set("2@" + id)))
                        try manager.updateSession(id, SessionUpdates(status: .connected))
                    } catch {
                        say("error \(error)")
                        exit(1)
                    }
                }
            }.start()
        }
        while true { sleep(1000) }
    }

    /// Writes and checkpoints as SQLite does by itself, for comparison with a manager; never ends.
    private static func writeUnprotected(_ manager: SessionManager, isCheckpointer: Bool) throws -> Never {
        try manager.withHandle { handle in
            sqlite3_busy_timeout(handle, 30_000)
            try execute("PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 20", on: handle)
            let sql =
                isCheckpointer
                ? "PRAGMA wal_checkpoint(PASSIVE)"
                : "INSERT INTO sessions (id, created_at, name) VALUES (hex(randomblob(16)), 0, hex(randomblob(150)))"
            while true { try execute(sql, on: handle) }
        }
    }

    static func say(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        _ = write(1, bytes, bytes.count)
    }

    /// Starts the program; its output can be read to the end from `output`.
    static func start(
        _ path: String,
        _ name: String,
        _ count: Int,
        _ options: [String] = [],
        under launcher: [String] = []
    ) throws -> (process: Process, output: FileHandle) {
        let command = launcher + [CommandLine.arguments[0], "writer", path, name, "\(count)"] + options
        return try start(command)
    }

    static func start(_ command: [String]) throws -> (process: Process, output: FileHandle) {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(filePath: command[0])
        process.arguments = Array(command.dropFirst())
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        return (process, pipe.fileHandleForReading)
    }

    static func lines(_ output: FileHandle) throws -> [String] {
        String(decoding: try output.readToEnd() ?? Data(), as: UTF8.self).split(separator: "\n").map(String.init)
    }
}
