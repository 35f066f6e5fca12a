import Logging
import ServiceLifecycle
import Synchronization
import WhatsAppSessions

/// Disconnects the sessions of workers that are gone, soon after their leases are over.
final class LostSessionRecovery: Service {
    private let manager: SessionManager
    private let leaseDuration: Duration
    private let logger: Logger
    private let problem = Mutex<String?>(nil)
    /// When it began to wait for the database, perhaps for another program's lock.
    private let begin = Mutex<ContinuousClock.Instant?>(nil)

    init(manager: SessionManager, leaseDuration: Duration, logger: Logger) {
        (self.manager, self.leaseDuration, self.logger) = (manager, leaseDuration, logger)
    }

    /// Whether the database took it when it was tried last, and takes it now within five seconds.
    var isWorking: Bool {
        let waits = begin.withLock { $0.map { $0.duration(to: .now) > .seconds(5) } ?? false }
        return !waits && problem.withLock { $0 == nil }
    }

    /// - Throws: ``DatabaseGone`` when the file was moved or removed: only a restart helps.
    func run() async throws {
        do {
            try await cancelWhenGracefulShutdown { try await self.recover() }
        } catch is CancellationError {}
    }

    private func recover() async throws {
        while true {
            try await Task.sleep(for: min(leaseDuration / 10, .seconds(2)))
            begin.withLock { $0 = .now }
            defer { begin.withLock { $0 = nil } }
            do {
                try await manager.recoverLostSessions()
                problem.withLock { $0 = nil }
            } catch let error as CancellationError {
                throw error
            } catch let error as DatabaseError where .misuse ~= error.resultCode {
                throw DatabaseGone(reason: error.message)
            } catch {
                // As long as it stays the same, it is said once.
                let text = "\(error)"
                let isNews = problem.withLock { problem in
                    defer { problem = text }
                    return problem != text
                }
                guard isNews else { continue }
                logger.error(
                    "the sessions of a worker that is gone could not be disconnected",
                    metadata: ["error": .error(error)]
                )
            }
        }
    }
}

/// The database cannot be used any more.
struct DatabaseGone: Error {
    let reason: String
}

extension SessionManager {
    /// Disconnects the sessions of workers that are gone. Of one that was logged out nothing tells it any more but that it has no number.
    func recoverLostSessions() async throws {
        for session in try await recoverLeasedSessions() where session.isLoggedOut {
            // It may have been deleted meanwhile.
            _ = try? await updateSession(session.id, SessionUpdates(phoneNumber: .clear, name: .clear))
        }
    }
}
