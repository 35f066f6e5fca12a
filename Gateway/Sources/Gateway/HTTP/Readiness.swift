import Hummingbird
import WhatsAppSessions

/// Whether the gateway can do its work, for those who send it traffic or restart it.
struct Readiness: Sendable {
    let manager: SessionManager
    let recovery: LostSessionRecovery
    let webhooks: [WebhookSender]

    private struct Answer: Encodable {
        let status: String, database: String, webhooks: String?
    }

    /// 200, or 503 when the database fails. A receiver that fails is reported, but doesn't make the gateway unready.
    func response() async -> Response {
        // A read, and what became of the last write.
        let reads = await reads()
        let works = reads && recovery.isWorking
        let answers = webhooks.allSatisfy(\.state.isAnswering)
        let answer = Answer(
            status: works ? "ready" : "not ready",
            database: works ? "ok" : "failing",
            webhooks: webhooks.isEmpty ? nil : answers ? "ok" : "failing"
        )
        // Texts can always be encoded.
        return try! .json(answer, status: works ? .ok : .serviceUnavailable)
    }

    /// Whether the database answers within five seconds. While it is away, a call waits for it much longer.
    private func reads() async -> Bool {
        (try? await within(.seconds(5)) { [manager] in try await manager.sessionExists("") }) != nil
    }
}
