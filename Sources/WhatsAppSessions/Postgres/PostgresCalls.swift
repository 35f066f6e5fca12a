#if Postgres
import Foundation
import Synchronization

/// A write with a number of its own, by which the server knows it when it is asked again.
final class PostgresWrite: Sendable {
    let write: SessionWrite
    let request: Int64
    /// Whether it was sent, and no answer came.
    private let wasSent = Atomic(false)

    init(_ write: SessionWrite) {
        self.write = write
        request = PostgresRequests.next()
    }

    var mayBeMade: Bool { wasSent.load(ordering: .relaxed) }

    func noteSent(_ wasSent: Bool = true) { self.wasSent.store(wasSent, ordering: .relaxed) }
}

/// Numbers for writes that no other process gives: a random one, and those after it, which come into neighbouring places of the index.
private enum PostgresRequests {
    private static let count = Atomic(0)
    private static let first = Int64.random(in: 0..<(1 << 38)) << 24

    static func next() -> Int64 {
        first + Int64(count.add(1, ordering: .relaxed).newValue)
    }
}

/// A read that one caller asks for.
enum PostgresRead: Sendable {
    case session(String)
    case exists(String)
    case other(SessionRead)
}

enum PostgresFound: Sendable {
    case session(Session?)
    case exists(Bool)
    case other(Found)
}

/// The connection that writes.
final class PostgresWriter: CallTarget {
    private var line: PostgresLine

    init(_ line: PostgresLine) { self.line = line }

    /// Writes of one kind are one call of a function. The rare ones come alone.
    static func canMake(_ call: PostgresWrite, with first: PostgresWrite) -> Bool {
        switch (call.write, first.write) {
        case (.create, .create), (.update, .update), (.delete, .delete), (.renewLease, .renewLease),
            (.claim, .claim), (.claim, .release), (.release, .release), (.release, .claim):
            true
        default: false
        }
    }

    func make(_ writes: [PostgresWrite], until deadline: ContinuousClock.Instant) throws -> [Outcome] {
        try line.ask(until: deadline, isOutcomeUnknown: writes[0].mayBeMade) { connection in
            let before = writes.map(\.mayBeMade)
            for write in writes { write.noteSent() }
            do {
                return try PostgresSessions(connection, until: deadline).make(writes)
            } catch let refusal as PostgresRefusal {
                // This time nothing was made.
                for (write, wasSent) in zip(writes, before) { write.noteSent(wasSent) }
                throw refusal
            }
        }
    }
}

/// A connection that reads.
final class PostgresReader: CallTarget {
    private var line: PostgresLine

    init(_ line: PostgresLine) { self.line = line }

    static func canMake(_ call: PostgresRead, with first: PostgresRead) -> Bool {
        switch (call, first) {
        case (.session, .session), (.exists, .exists): true
        default: false
        }
    }

    func make(
        _ reads: [PostgresRead],
        until deadline: ContinuousClock.Instant
    ) throws -> [Result<PostgresFound, any Error>] {
        try line.ask(until: deadline, isOutcomeUnknown: false) { connection in
            let sessions = PostgresSessions(connection, until: deadline)
            switch reads[0] {
            case .session:
                let ids = reads.map { if case .session(let id) = $0 { id } else { "" } }
                return try sessions.sessions(ids).map { $0.map(PostgresFound.session) }
            case .exists:
                let ids = reads.map { if case .exists(let id) = $0 { id } else { "" } }
                return try sessions.exist(ids).map { $0.map(PostgresFound.exists) }
            case .other(let read):
                do {
                    return [.success(.other(try sessions.find(read)))]
                } catch let error as ChangeCursorExpiredError {
                    return [.failure(error)]
                }
            }
        }
    }
}
#endif
