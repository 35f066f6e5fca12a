import WhatsAppSessions

/// What Prometheus reads: https://prometheus.io/docs/instrumenting/exposition_formats/
struct Metrics: Sendable {
    let manager: SessionManager
    let changes: ChangeStream
    let webhooks: WebhookSender?

    func text() async throws -> String {
        let counts = try await manager.countSessions()
        var text = Self.head("whatsapp_sessions", "gauge", "Sessions by status.")
        for status in Session.Status.allCases {
            text += "whatsapp_sessions{status=\"\(status.rawValue)\"} \(counts[status] ?? 0)\n"
        }
        text += Self.head("whatsapp_followers", "gauge", "Open streams of changes.")
        text += "whatsapp_followers \(changes.followers)\n"
        guard let state = webhooks?.state else { return text }
        text += Self.head("whatsapp_webhook_lag_seconds", "gauge", "Age of the oldest change that isn't delivered yet.")
        text += "whatsapp_webhook_lag_seconds \(state.lag)\n"
        text += Self.head("whatsapp_webhooks_total", "counter", "Webhooks by result of the attempt.")
        text += "whatsapp_webhooks_total{result=\"delivered\"} \(state.delivered)\n"
        text += "whatsapp_webhooks_total{result=\"failed\"} \(state.failed)\n"
        return text
    }

    private static func head(_ name: String, _ type: String, _ help: String) -> String {
        "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }
}
