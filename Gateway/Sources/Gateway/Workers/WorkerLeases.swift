import Logging
import WhatsAppSessions

/// Which worker each session belongs to, and what becomes of a worker's sessions when it is gone.
///
/// A session belongs to the worker that spoke of it last. A worker holds a lease while it has a stream of changes open; when
/// the last one has been closed for the time of the lease, the sessions that it left live become disconnected. It is
/// all in memory: when the gateway starts, ``SessionManager/recoverSessions()`` has disconnected every session.
actor WorkerLeases {

    private let manager: SessionManager
    private let turns: Turns
    private let lease: Duration
    private let logger: Logger
    private var owners: [[UInt8]: String] = [:]
    /// The workers that hold a lease.
    private var workers: [String: Worker] = [:]

    private struct Worker {
        var streams = 0
        /// Ends the lease after a while without a stream.
        var end: Task<Void, Never>?
    }

    init(manager: SessionManager, turns: Turns, lease: Duration, logger: Logger) {
        self.manager = manager
        self.turns = turns
        self.lease = lease
        self.logger = logger
    }

    /// Whether a worker may have this name.
    static func isName(_ text: String) -> Bool { (1...100).contains(text.unicodeScalars.count) }

    /// Records who owns a session: the worker that reported it last, or no worker if the report had no name.
    func note(_ worker: String?, spokeOf sessionID: String) {
        owners[Array(sessionID.utf8)] = worker
    }

    /// Forgets whose a session was that is deleted.
    func forget(_ sessionID: String) { note(nil, spokeOf: sessionID) }

    func openStream(of name: String) {
        let worker = workers[name, default: Worker()]
        worker.end?.cancel()
        workers[name] = Worker(streams: worker.streams + 1)
    }

    func closeStream(of name: String) {
        guard var worker = workers[name] else { return }
        worker.streams -= 1
        if worker.streams == 0 { worker.end = endLater(name) }
        workers[name] = worker
    }

    private func endLater(_ name: String) -> Task<Void, Never> {
        Task {
            try? await Task.sleep(for: lease)
            if !Task.isCancelled { await end(name) }
        }
    }

    private func isGone(_ name: String) -> Bool { workers[name]?.streams == 0 }

    private func end(_ name: String) async {
        let owned = owners.filter { $0.value == name }.keys.map { String(decoding: $0, as: UTF8.self) }
        var isDone = true
        for sessionID in owned where isGone(name) {
            do {
                try await turns.take(sessionID) { try await self.disconnect(sessionID, of: name) }
            } catch {
                isDone = false
                logger.error(
                    "a session of a worker that is gone stays as it is",
                    metadata: ["error": "\(type(of: error))"]
                )
            }
        }
        // Opening a stream cancels this.
        guard isGone(name), !Task.isCancelled else { return }
        // What failed, as when another program holds the database, is tried again.
        workers[name] = isDone ? nil : Worker(end: endLater(name))
    }

    private func disconnect(_ sessionID: String, of name: String) async throws {
        let key = Array(sessionID.utf8)
        // Meanwhile the worker may have come back, or another one have taken the session over.
        guard isGone(name), owners[key] == name else { return }
        if let session = try await manager.getSession(sessionID), session.status != .disconnected {
            do {
                let updates = SessionUpdates(
                    status: .disconnected,
                    disconnectReason: .set(DisconnectReason(.workerGone))
                )
                try await manager.updateSession(sessionID, updates)
            } catch is SessionNotFoundError {}
        }
        owners[key] = nil
    }
}
