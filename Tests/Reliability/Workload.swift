import Foundation
import WhatsAppSessionsSQLite

@testable import WhatsAppSessions

/// What a gateway does to its sessions, step by step: the same steps at every run.
enum Workload {
    static func step(_ number: Int, on manager: SessionManager) throws {
        let id = "session-\(number / 6)"
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

    /// The sessions in a form that two runs have in common: without their times.
    static func state(_ manager: SessionManager) throws -> [String] {
        try manager.getAllSessions().map {
            "\($0.id) \($0.status) \($0.phoneNumber ?? "-") \($0.name ?? "-") \($0.qrCode ?? "-")"
        }
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

extension SessionManager {
    var isSound: Bool {
        get throws {
            try table.withLock {
                try $0.connection.prepare("PRAGMA integrity_check").run { try $0.step() && $0.text(0) == "ok" }
            }
        }
    }

    func execute(_ sql: String) throws {
        try table.withLock { try $0.connection.execute(sql) }
    }
}

/// A folder that goes at its end; in memory where the machine has such a disk, since nothing here needs a real one.
final class Folder {
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
