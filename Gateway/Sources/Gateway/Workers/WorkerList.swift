import Foundation
import WhatsAppSessions

/// A worker as it is listed: one lease, which is one process.
struct WorkerJSON: Encodable {
    let worker: String
    /// How many sessions it serves.
    let sessions: Int
    /// How many streams it has open at this gateway. Without one its lease lives by its events, or is about to be over.
    let streams: Int
    /// When its lease is over unless something is heard of it.
    let leaseEndsAt: Date
}

extension WorkerLeases {
    /// The workers whose leases live, in the order in which they came.
    func workers() async throws -> [WorkerJSON] {
        try await manager.getLeases().filter { !$0.lease.holder.hasPrefix(WebhookTurn.prefix) }.map { overview in
            WorkerJSON(
                worker: overview.lease.holder,
                sessions: overview.sessions,
                streams: streams[overview.lease] ?? 0,
                leaseEndsAt: overview.endsAt
            )
        }
    }
}
