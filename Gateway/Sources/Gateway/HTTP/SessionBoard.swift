import NIOCore
import WhatsAppSessions

/// All sessions as their JSON, for lists and for followers that begin. The journal says what has changed since somebody asked last, so
/// only that is read and encoded again.
actor SessionBoard {
    /// Sessions that were created one after another. A copy shares its storage.
    struct Chunk: Sendable {
        fileprivate struct Entry {
            /// `nil` once it was deleted.
            var text: ByteBuffer?
            var status = Session.Status.initializing
            var attention = Attention()
        }

        fileprivate static let size = 256
        fileprivate var entries: [Entry] = []
        /// The events of all, one after another; their texts are parts of it.
        fileprivate var events: ByteBuffer?
        /// What in it waits for a person, once the events are joined.
        fileprivate(set) var attention = Attention()
    }

    /// The sessions as they were at one moment.
    struct Snapshot: Sendable {
        let chunks: [Chunk]
        /// What follows after it isn't on the board yet.
        let cursor: ChangeCursor
        let counts: [Session.Status: Int]
        let damages: [SessionDamage]

        var attention: Attention { chunks.reduce(into: Attention()) { $0.add($1.attention) } }
    }

    private let manager: SessionManager
    private var chunks: [Chunk] = []
    /// Where each session is. The keys are bytes: as Swift compares strings, two ids that differ in their bytes may be one.
    private var places: [[UInt8]: (chunk: Int, entry: Int)] = [:]
    private var counts: [Session.Status: Int] = [:]
    private var damages: [SessionDamage] = []
    /// What the board includes; `nil` before it is first filled.
    private var cursor: ChangeCursor?

    /// Where each session is written first.
    private var text: [UInt8] = []
    /// How many sessions were encoded so far.
    private(set) var encodings = 0
    /// How many entries have no session any more.
    private var gaps = 0

    // Whoever asks needs a look at the journal that begins later, and shares it with all who wait by then.
    private var begun = 0
    private var look: (number: Int, task: Task<Snapshot, any Error>)?

    init(manager: SessionManager) { self.manager = manager }

    /// The sessions with every change that was made before the call.
    func snapshot() async throws -> Snapshot {
        let wanted = begun + 1
        while true {
            let (number, task) = look ?? beginLook()
            let result = await task.result
            if look?.number == number { look = nil }
            // The error of an earlier look is that of those who asked for it.
            if number >= wanted { return try result.get() }
        }
    }

    private func beginLook() -> (Int, Task<Snapshot, any Error>) {
        begun += 1
        let look = (begun, Task { try await self.catchUp() })
        self.look = look
        return look
    }

    // MARK: Catching up

    private static let page = 1000
    /// So many pages are read; from there on all sessions cost less.
    private static let mostPages = 20

    private func catchUp() async throws -> Snapshot {
        if try await !isCaughtUp() {
            try await fill()
            // What changed meanwhile.
            _ = try await isCaughtUp()
        }
        for index in chunks.indices { chunks[index].join() }
        return Snapshot(chunks: chunks, cursor: cursor!, counts: counts, damages: damages)
    }

    /// Applies what has changed; `false` when that isn't known, or all sessions cost less.
    private func isCaughtUp() async throws -> Bool {
        guard cursor != nil, gaps <= places.count + Chunk.size else { return false }
        do {
            for _ in 0..<Self.mostPages {
                let changes = try await manager.getChanges(after: cursor!, limit: Self.page)
                guard let last = changes.last else { return true }
                // A damaged session that was mended stands between the others again.
                guard changes.allSatisfy(isUndamaged) else { return false }
                try await apply(changes)
                cursor = last.cursor
                // What comes later was not made before the call.
                if changes.count < Self.page { return true }
            }
        } catch is ChangeCursorExpiredError {
        } catch let error as DatabaseError where error.resultCode == .corrupt {
            // Filled anew, the board names it.
        }
        return false
    }

    private func isUndamaged(_ change: SessionChange) -> Bool {
        // One whose id is damaged may be any.
        !damages.contains { $0.sessionID.map { $0.utf8.elementsEqual(change.sessionID.utf8) } ?? true }
    }

    private func apply(_ changes: [SessionChange]) async throws {
        // Changes past the cursor may be applied twice, never skipped.
        var changed: [[UInt8]: String] = [:]
        for change in changes {
            let key = Array(change.sessionID.utf8)
            switch change.kind {
            case .deleted:
                remove(key)
                changed[key] = nil
            case .created:
                remove(key)
                append(key)
                changed[key] = change.sessionID
            case .updated:
                changed[key] = change.sessionID
            }
        }
        for (key, id) in changed where places[key] != nil {
            if let session = try await manager.getSession(id) { set(session, key) } else { remove(key) }
        }
    }

    private func fill() async throws {
        let start = try await manager.newestCursor()
        (chunks, places, counts, damages, gaps) = ([], [:], [:], [], 0)
        cursor = nil
        var place: Int64? = 0
        while let after = place {
            let page = try await manager.getSessions(status: nil, after: after, limit: Chunk.size)
            for session in page.sessions {
                let key = Array(session.id.utf8)
                // One that was deleted and created again meanwhile comes twice.
                remove(key)
                append(key)
                set(session, key)
            }
            damages += page.damages
            place = page.next
            // Others get the thread meanwhile. A yield would not do: it is this actor's that it yields to.
            await Task.detached {}.value
        }
        cursor = start
    }

    // MARK: Entries

    private func append(_ key: [UInt8]) {
        if chunks.last.map({ $0.entries.count == Chunk.size }) ?? true { chunks.append(Chunk()) }
        chunks[chunks.count - 1].entries.append(Chunk.Entry())
        places[key] = (chunks.count - 1, chunks[chunks.count - 1].entries.count - 1)
    }

    private func set(_ session: Session, _ key: [UInt8]) {
        guard let (chunk, entry) = places[key] else { return }
        count(chunks[chunk].entries[entry], -1)
        encodings += 1
        text.removeAll(keepingCapacity: true)
        text.writeSession(session)
        chunks[chunk].entries[entry] = Chunk.Entry(
            text: ByteBuffer(bytes: text),
            status: session.status,
            attention: Attention(session)
        )
        chunks[chunk].events = nil
        count(chunks[chunk].entries[entry], 1)
    }

    private func remove(_ key: [UInt8]) {
        guard let (chunk, entry) = places.removeValue(forKey: key) else { return }
        count(chunks[chunk].entries[entry], -1)
        chunks[chunk].entries[entry].text = nil
        chunks[chunk].events = nil
        gaps += 1
    }

    private func count(_ entry: Chunk.Entry, _ difference: Int) {
        if entry.text != nil { counts[entry.status, default: 0] += difference }
    }
}

// MARK: - What is read from it

extension SessionBoard.Chunk {
    private static let prefix: StaticString = "event: session\ndata: "

    /// Makes one buffer of all events, of which the texts are parts from then on.
    fileprivate mutating func join() {
        guard events == nil else { return }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(entries.reduce(0) { $0 + ($1.text.map { $0.readableBytes + 23 } ?? 0) })
        var ranges: [(start: Int, length: Int)?] = []
        for entry in entries {
            guard let text = entry.text else {
                ranges.append(nil)
                continue
            }
            bytes.writeStaticString(Self.prefix)
            ranges.append((bytes.count, text.readableBytes))
            text.withUnsafeReadableBytes { bytes.append(contentsOf: $0) }
            bytes.writeStaticString("\n\n")
        }
        let buffer = ByteBuffer(bytes: bytes)
        events = buffer
        attention = entries.reduce(into: Attention()) { if $1.text != nil { $0.add($1.attention) } }
        for (index, range) in ranges.enumerated() {
            guard let range else { continue }
            entries[index].text = buffer.getSlice(at: range.start, length: range.length)
        }
    }

    /// The events of all, one after another.
    var joinedEvents: ByteBuffer { events ?? ByteBuffer() }

    /// The sessions with a status, or all, with commas between them.
    func list(_ status: Session.Status?) -> ByteBuffer {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(events?.readableBytes ?? 0)
        for entry in entries where status == nil || entry.status == status {
            guard let text = entry.text else { continue }
            if !bytes.isEmpty { bytes.append(UInt8(ascii: ",")) }
            text.withUnsafeReadableBytes { bytes.append(contentsOf: $0) }
        }
        return ByteBuffer(bytes: bytes)
    }
}
