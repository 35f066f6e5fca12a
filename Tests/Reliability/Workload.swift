import Foundation
import WhatsAppSessions
import WhatsAppSessionsSQLite

/// What a gateway does to its sessions, step by step: the same steps at every run.
enum Workload {
    static func step(_ number: Int, on manager: SessionManager, prefix: String = "") throws {
        let id = "\(prefix)session-\(number / 6)"
        switch number % 6 {
        case 0: try manager.createSession(id)
        case 1: try manager.updateSession(id, SessionUpdates(status: .qrWaiting, qrCode: .set("2@" + id + filling)))
        case 2: try manager.updateSession(id, SessionUpdates(qrCode: .set("2@next" + id + filling)))
        case 3: try manager.updateSession(id, SessionUpdates(status: .connected, phoneNumber: .set("447700900123")))
        case 4: try manager.updateSession(id, SessionUpdates(name: .set("Ana \(number)" + filling)))
        default:
            if number % 12 == 5 {
                try manager.deleteSession(id)
            } else {
                try manager.updateSession(id, SessionUpdates(status: .disconnected))
            }
        }
    }

    private static let filling = String(repeating: "x", count: 200)

    /// The sessions whose ids have this prefix, in a form that two runs have in common: without their times.
    static func state(_ manager: SessionManager, prefix: String = "") throws -> [String] {
        try manager.getAllSessions().filter { $0.id.hasPrefix(prefix) }.map {
            "\($0.id.dropFirst(prefix.count)) \($0.status) \($0.phoneNumber ?? "-") \(text($0.name, prefix)) \(text($0.qrCode, prefix))"
        }
    }

    private static func text(_ text: String?, _ prefix: String) -> String {
        text?.replacing(prefix.isEmpty ? "\0" : prefix, with: "") ?? "-"
    }

    /// The states before the first step and after each.
    static func states(steps: Int) throws -> [[String]] {
        let manager = try SessionManager()
        return try [state(manager)]
            + (0..<steps).map { number in
                try step(number, on: manager)
                return try state(manager)
            }
    }
}

/// How many steps each of some threads has been told were done.
final class Acknowledgements: @unchecked Sendable {
    private let lock = NSLock()
    private var counts: [Int]

    init(threads: Int) { counts = Array(repeating: 0, count: threads) }

    var all: [Int] { lock.withLock { counts } }

    func acknowledge(_ thread: Int, then body: () -> Void = {}) {
        lock.withLock {
            counts[thread] += 1
            body()
        }
    }
}

/// Has so many threads take the steps of the workload, each on sessions of its own, until one of its steps fails.
func takeSteps(
    _ steps: Int,
    threads: Int,
    on manager: SessionManager,
    _ acknowledged: @escaping @Sendable (Int) -> Void,
    failed: @escaping @Sendable (any Error) -> Void
) {
    // One thread is this one, so that its checks are as they always were.
    @Sendable func take(_ thread: Int) {
        for number in 0..<steps {
            do {
                try Workload.step(number, on: manager, prefix: threads == 1 ? "" : "t\(thread)-")
                acknowledged(thread)
            } catch {
                return failed(error)
            }
        }
    }
    guard threads > 1 else { return take(0) }
    let done = DispatchGroup()
    for thread in 0..<threads {
        done.enter()
        Thread {
            take(thread)
            done.leave()
        }.start()
    }
    done.wait()
}

extension SessionManager {
    /// SQLite finds nothing wrong, and the journal has no gaps and ends with the sessions as they are.
    var isSound: Bool {
        get throws {
            try withHandle { handle in
                try query("PRAGMA integrity_check", on: handle) == "ok" && query(Self.journalIsSound, on: handle) == "1"
            }
        }
    }

    private static let journalIsSound = """
        SELECT coalesce(max(number) - min(number) + 1 = count(*), 1) AND NOT EXISTS (
            SELECT 1 FROM (SELECT session_id, status, max(number) FROM session_changes GROUP BY session_id) AS newest
            FULL JOIN sessions ON sessions.id = newest.session_id
            WHERE newest.status IS NOT sessions.status
            -- What came before the journal's oldest change is not in it.
            AND (newest.session_id IS NOT NULL OR (SELECT min(number) FROM session_changes) = 1)
        ) FROM session_changes
        """

    func execute(_ sql: String) throws {
        try withHandle { try WhatsAppSessionsReliability.execute(sql, on: $0) }
    }
}

/// A folder that goes at its end; in memory where the machine has such a disk, since nothing here needs a real one.
final class Folder: Sendable {
    let path: String
    var file: String { path + "/sessions.sqlite" }

    init(onDisk: Bool = false) {
        let parent = !onDisk && FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : "/tmp"
        path = "\(parent)/whatsapp-sessions-\(UUID().uuidString)"
        try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func open() throws -> SessionManager { try SessionManager(storage: .file(path: file)) }
}
