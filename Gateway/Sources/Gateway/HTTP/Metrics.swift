import Foundation
import WhatsAppSessions

/// What Prometheus reads: https://prometheus.io/docs/instrumenting/exposition_formats/
struct Metrics: Sendable {
    let board: SessionBoard
    let changes: ChangeStream
    let leases: WorkerLeases
    let webhooks: [WebhookSender]

    func text() async throws -> String {
        let snapshot = try await board.snapshot()
        let (counts, attention) = (snapshot.counts, snapshot.attention)
        var text = Self.head("whatsapp_sessions", "gauge", "Sessions by status.")
        for status in Session.Status.allCases {
            text += "whatsapp_sessions{status=\"\(status.rawValue)\"} \(counts[status] ?? 0)\n"
        }
        text += Self.head("whatsapp_problems", "gauge", "Sessions that are offline although nobody stopped them.")
        text += "whatsapp_problems \(attention.problems)\n"
        text += Self.head(
            "whatsapp_longest_offline_seconds",
            "gauge",
            "How long the longest of these problems has lasted."
        )
        text += "whatsapp_longest_offline_seconds \(Self.age(attention.offlineSince))\n"
        text += Self.head(
            "whatsapp_longest_initializing_seconds",
            "gauge",
            "How long a session has been initializing, as while its worker has no network."
        )
        text += "whatsapp_longest_initializing_seconds \(Self.age(attention.initializingSince))\n"
        text += Self.head(
            "whatsapp_longest_code_seconds",
            "gauge",
            "How long a session has waited for its QR code to be scanned."
        )
        text += "whatsapp_longest_code_seconds \(Self.age(attention.codesSince))\n"
        text += Self.head("whatsapp_followers", "gauge", "Open streams of changes.")
        text += "whatsapp_followers \(changes.followers)\n"
        let workers = Dictionary(grouping: try await leases.workers(), by: \.worker).sorted { $0.key < $1.key }
        text += Self.head("whatsapp_workers", "gauge", "Workers whose lease lives, by name.")
        for (name, workers) in workers { text += "whatsapp_workers{\(Self.label("worker", name))} \(workers.count)\n" }
        text += Self.head("whatsapp_worker_sessions", "gauge", "Sessions that a worker serves.")
        for (name, workers) in workers {
            let sessions = workers.map(\.sessions).reduce(0, +)
            text += "whatsapp_worker_sessions{\(Self.label("worker", name))} \(sessions)\n"
        }
        guard !webhooks.isEmpty else { return text }
        // Two receivers may have one address.
        let states = webhooks.enumerated().map { place, webhook in
            (Self.label("receiver", webhook.target.receiver) + #",number="\#(place + 1)""#, webhook.state)
        }
        text += Self.head("whatsapp_webhook_lag_seconds", "gauge", "Age of the oldest change that isn't delivered yet.")
        for (receiver, state) in states { text += "whatsapp_webhook_lag_seconds{\(receiver)} \(state.lag)\n" }
        text += Self.head(
            "whatsapp_webhooks_total",
            "counter",
            "Webhooks by result: of an attempt, or set aside in the end."
        )
        for (receiver, state) in states {
            for (result, count) in [
                ("delivered", state.delivered), ("failed", state.failed), ("set_aside", state.setAside),
            ] {
                text += "whatsapp_webhooks_total{\(receiver),result=\"\(result)\"} \(count)\n"
            }
        }
        return text
    }

    /// In seconds; 0 when there is nothing, or the clock was set back.
    private static func age(_ date: Date?) -> Double { date.map { max(0, -$0.timeIntervalSinceNow) } ?? 0 }

    private static func label(_ name: String, _ value: String) -> String {
        var text = "\(name)=\""
        // Scalar by scalar: a quotation mark with a mark on it is another character to Swift.
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": text += #"\\"#
            case "\"": text += #"\""#
            case "\n": text += #"\n"#
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text + "\""
    }

    private static func head(_ name: String, _ type: String, _ help: String) -> String {
        "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }
}
