import Foundation
import Synchronization

/// A database in memory: one connection, which callers use in turns.
final class MemoryDatabase: SessionStore {
    private struct State {
        /// `nil` once it was closed.
        var connection: Connection?
        /// Whether a list or a copy is made, piece by piece: reads go on between two pieces, and writes wait for the last one.
        var isListing = false
        /// Writes that wait for the end of a list, and go before the next one.
        var waitingWrites = 0

        var mayList: Bool { !isListing && waitingWrites == 0 }
        var mayWrite: Bool { !isListing }
    }

    /// A list of so many sessions keeps other reads waiting for less than a millisecond.
    private static let piece: Int64 = 256
    /// And a copy of so many pages.
    private static let pages: Int32 = 100

    private let openDatabase: Fork.OpenDatabase
    private let owner = Fork.Owner()
    private let state: Lock<State>
    /// How many callers are about to take the lock.
    private let comers = Atomic(0)

    init() throws {
        openDatabase = try Fork.OpenDatabase()
        let connection = try Connection.openInMemory()
        try connection.migrate(to: .sessions)
        state = Lock(State(connection: connection))
    }

    /// No other process can see it.
    var isShared: Bool { false }

    // MARK: Reads

    func session(_ id: String) throws -> Session? { try use { try SQLiteSessions($0).session(id) } }

    func session(_ id: String) async throws -> Session? { try use { try SQLiteSessions($0).session(id) } }

    func exists(_ id: String) throws -> Bool { try use { try SQLiteSessions($0).exists(id) } }

    func exists(_ id: String) async throws -> Bool { try use { try SQLiteSessions($0).exists(id) } }

    func read(_ read: SessionRead) throws -> Found { try find(read) }

    func read(_ read: SessionRead) async throws -> Found { try find(read) }

    private func find(_ read: SessionRead) throws -> Found {
        switch read {
        case .list(let status): try list(status, withPlace: false)
        case .snapshot: try list(nil, withPlace: true)
        default: try use { try SQLiteSessions($0).find(read) }
        }
    }

    private func list(_ status: Session.Status?, withPlace: Bool) throws -> Found {
        try inPieces {
            var found = Found(place: withPlace ? try use { try SQLiteSessions($0).newestPlace() } : nil)
            var next: Int64? = .min
            while let seq = next {
                next = try use { try SQLiteSessions($0).list(status, from: seq, limit: Self.piece, into: &found) }
                giveWay()
            }
            return found
        }
    }

    /// Runs `body` while nothing changes.
    private func inPieces<Value>(_ body: () throws -> Value) throws -> Value {
        try owner.requireThisProcess()
        state.withLock(when: \.mayList) { $0.isListing = true }
        defer { state.withLock { $0.isListing = false } }
        return try body()
    }

    // MARK: Writes

    func write(_ write: SessionWrite) throws -> Written { try make(write) }

    func write(_ write: SessionWrite) async throws -> Written { try make(write) }

    private func make(_ write: SessionWrite) throws -> Written {
        try owner.requireThisProcess()
        return try state.withLock { state -> Written? in
            guard state.isListing else { return try make(write, &state) }
            state.waitingWrites += 1
            return nil
        }
            ?? state.withLock(when: \.mayWrite) { state in
                state.waitingWrites -= 1
                return try make(write, &state)
            }
    }

    private func make(_ write: SessionWrite, _ state: inout State) throws -> Written {
        try SQLiteSessions(connection(in: state)).make(write)
    }

    // MARK: The connection

    /// Runs `body` beside lists and copies.
    func use<Value: Sendable>(_ body: (Connection) throws -> Value) throws -> Value {
        try owner.requireThisProcess()
        comers.add(1, ordering: .relaxed)
        return try state.withLock { state in
            comers.subtract(1, ordering: .relaxed)
            return try body(connection(in: state))
        }
    }

    /// Lets the reads in that wait, between two pieces. A lock alone would mostly go to the thread that has just released it.
    private func giveWay() {
        if comers.load(ordering: .relaxed) > 0 { usleep(50) }
    }

    private func connection(in state: State) throws -> Connection {
        guard let connection = state.connection else { throw DatabaseError.closed }
        // Ends a transaction whose own rollback ran out of memory.
        try connection.rollBack()
        return connection
    }

    /// Copies the pages piece by piece, then writes the file without holding up any caller.
    func copy(to path: String) throws {
        let copy = try PageCopy()
        try inPieces {
            while try use({ try copy.addPages(of: $0, atMost: Self.pages) }) { giveWay() }
        }
        try copy.write(to: path)
    }

    func close() throws {
        try owner.requireThisProcess()
        state.withLock(when: \.mayWrite) { $0.connection = nil }
    }
}
