import Foundation
import WhatsAppSessions
import WhatsAppSessionsFaults

/// Power loss at every write: what was synced is there; of what came later each sector is there or not, by chance. What a
/// follower has seen must be there, too.
func powerCheck(isLong: Bool) throws {
    faults_install_disk()
    let outcomes = isLong ? 20 : 4
    for (threads, isControl) in [(1, false), (8, false), (1, true)] {
        let recording = try record(
            steps: (isLong ? 72 : 36) / (threads == 1 ? 1 : 3),
            threads: threads,
            isControl: isControl
        )
        let (runs, lost, unsound) = try recording.cut(outcomes: outcomes)
        let name = isControl ? "WAL with NORMAL, as the negative control" : "WAL with FULL, \(threads) threads"
        print("power loss, \(name): \(runs) runs, \(lost) lost acknowledged writes, \(unsound) files unsound")
        require(runs > 100 && recording.wasFollowed, "nothing was tried")
        require(isControl ? lost > 0 : lost == 0, "lost \(lost)")
        require(unsound == 0, "unsound \(unsound)")
    }
}

private enum Event {
    case write(path: String, offset: Int, bytes: [UInt8])
    case truncate(path: String, size: Int)
    case sync(path: String)
    case delete(path: String, isSynced: Bool)
    case acknowledged(thread: Int)
    case followed(SessionChange)
}

nonisolated(unsafe) private var recorded: [Event] = []
private let lock = NSLock()

private func note(_ event: Event) { lock.withLock { recorded.append(event) } }

private func record(steps: Int, threads: Int, isControl: Bool) throws -> Recording {
    recorded = []
    faults_observe_disk { event, path, offset, bytes, count in
        let path = String(cString: path!)
        switch Int(event) {
        case EVENT_WRITE:
            note(
                .write(
                    path: path,
                    offset: Int(offset),
                    bytes: Array(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
                )
            )
        case EVENT_TRUNCATE: note(.truncate(path: path, size: Int(offset)))
        case EVENT_DELETE: note(.delete(path: path, isSynced: count != 0))
        default: note(.sync(path: path))
        }
    }
    let folder = Folder()
    let manager = try folder.open()
    if isControl { try manager.execute("PRAGMA synchronous = NORMAL") }
    let followed = try Followed(manager) { note(.followed($0)) }
    takeSteps(steps, threads: threads, on: manager) {
        note(.acknowledged(thread: $0))
    } failed: {
        require(false, "\($0)")
    }
    followed.wait(for: try manager.snapshot().cursor)
    followed.stop()
    faults_observe_disk(nil)
    return Recording(events: lock.withLock { recorded }, threads: threads, states: try Workload.states(steps: steps))
}

private struct Recording {
    let events: [Event]
    let threads: Int
    let states: [[String]]

    var wasFollowed: Bool {
        events.contains { if case .followed = $0 { true } else { false } }
    }

    /// Cuts the power after every event, with that many outcomes each.
    func cut(outcomes: Int) throws -> (runs: Int, lost: Int, unsound: Int) {
        var random = SystemRandomNumberGenerator()
        var durable: [String: [UInt8]] = [:]
        var pending: [Event] = []
        var acknowledged = Array(repeating: 0, count: threads)
        var (runs, lost, unsound) = (0, 0, 0)
        var followed: SessionChange?
        for event in events {
            switch event {
            case .acknowledged(let thread): acknowledged[thread] += 1
            case .followed(let change): followed = change
            case .delete(let path, true):
                pending.removeAll { $0.path == path }
                durable[path] = nil
            case .sync(let path):
                for event in pending where event.path == path { event.apply(to: &durable) }
                pending.removeAll { $0.path == path }
            default: pending.append(event)
            }
            for _ in 0..<outcomes {
                var disk = durable
                for event in pending.flatMap({ $0.survivors(using: &random) }) { event.apply(to: &disk) }
                let folder = Folder()
                for (path, bytes) in disk {
                    let suffix = ["-wal", "-journal"].first(where: path.hasSuffix) ?? ""
                    try Data(bytes).write(to: URL(filePath: folder.file + suffix))
                }
                runs += 1
                do {
                    let manager = try folder.open()
                    for (thread, count) in acknowledged.enumerated() {
                        let state = try Workload.state(manager, prefix: threads == 1 ? "" : "t\(thread)-")
                        // What was under way may be there as well.
                        if !states[count...].prefix(2).contains(state) { lost += 1 }
                    }
                    if let followed, try !manager.keeps(followed) { lost += 1 }
                    if try !manager.isSound { unsound += 1 }
                } catch {
                    print(error)
                    unsound += 1
                }
            }
        }
        return (runs, lost, unsound)
    }
}

extension Event {
    fileprivate var path: String {
        switch self {
        case .write(let path, _, _), .truncate(let path, _), .sync(let path), .delete(let path, _): path
        case .acknowledged, .followed: ""
        }
    }

    /// What is on the disk of a change that nobody waited for: each sector by chance.
    fileprivate func survivors(using random: inout some RandomNumberGenerator) -> [Event] {
        guard case .write(let path, let offset, let bytes) = self else {
            return Bool.random(using: &random) ? [self] : []
        }
        switch Int.random(in: 0..<3, using: &random) {
        case 0: return []
        case 1: return [self]
        default:
            return stride(from: 0, to: bytes.count, by: 512).compactMap { start in
                guard Bool.random(using: &random) else { return nil }
                return .write(
                    path: path,
                    offset: offset + start,
                    bytes: Array(bytes[start..<min(start + 512, bytes.count)])
                )
            }
        }
    }

    fileprivate func apply(to disk: inout [String: [UInt8]]) {
        switch self {
        case .write(let path, let offset, let bytes):
            var file = disk[path] ?? []
            if file.count < offset + bytes.count {
                file += Array(repeating: 0, count: offset + bytes.count - file.count)
            }
            file.replaceSubrange(offset..<offset + bytes.count, with: bytes)
            disk[path] = file
        case .truncate(let path, let size):
            disk[path] = Array((disk[path] ?? []).prefix(size))
        case .delete(let path, _): disk[path] = nil
        default: break
        }
    }
}
