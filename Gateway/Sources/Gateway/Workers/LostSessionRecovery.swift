import Logging
import ServiceLifecycle
import WhatsAppSessions

/// Disconnects the sessions of workers that are gone, soon after their leases are over.
struct LostSessionRecovery: Service {
    let manager: SessionManager
    let leaseDuration: Duration
    let logger: Logger

    func run() async throws {
        try? await cancelWhenGracefulShutdown {
            var lastProblem: String?
            while true {
                try await Task.sleep(for: min(leaseDuration / 10, .seconds(2)))
                do {
                    try await manager.recoverLeasedSessions()
                    lastProblem = nil
                } catch is CancellationError {
                    return
                } catch {
                    // As long as it stays the same, it is said once.
                    let problem = "\(error)"
                    if problem != lastProblem {
                        logger.error(
                            "the sessions of a worker that is gone could not be disconnected",
                            metadata: ["error": "\(problem)"]
                        )
                    }
                    lastProblem = problem
                }
            }
        }
    }
}
