import Synchronization
import WhatsAppSessions

/// The right to post to a receiver, which one gateway of several has: a lease that is named for the receiver, and the cursor that is
/// kept under it.
final class WebhookTurn: Sendable {
    /// How long a receiver hears nothing once the gateway that posted to it has died. A message is posted only if the lease outlives it.
    static let duration = Duration.seconds(20)
    /// What the gateway's own leases begin with, so that they are not taken for workers.
    static let prefix = "gateway/"

    let manager: SessionManager
    private let holder: String
    private let ownsDatabase: Bool
    private let now: @Sendable () -> ContinuousClock.Instant
    /// The lease and, by a clock that goes on while the machine sleeps, its end.
    private let held = Mutex<(lease: SessionLease, end: ContinuousClock.Instant)?>(nil)

    /// - Parameters:
    ///   - receiver: What the receiver is called wherever it is posted to.
    ///   - ownsDatabase: Whether there is no other gateway. Then a lease that lives is of one that was killed.
    init(
        manager: SessionManager,
        receiver: String,
        ownsDatabase: Bool,
        now: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        self.manager = manager
        holder = "\(Self.prefix)webhooks-\(receiver)"
        (self.ownsDatabase, self.now) = (ownsDatabase, now)
    }

    /// Runs `body` if no other gateway posts, for as long as none does.
    ///
    /// - Returns: `false` when another posts.
    /// - Throws: `LeaseLostError` when the database could not be reached for too long, or what `body` throws.
    func take(_ body: @escaping @Sendable () async throws -> Void) async throws -> Bool {
        if ownsDatabase, let left = try await manager.getLease(holder: holder) { try await manager.closeLease(left) }
        let start = now()
        guard let lease = try await manager.openSoleLease(holder: holder, lasting: Self.duration) else {
            return false
        }
        held.withLock { $0 = (lease, start + Self.duration) }
        defer { held.withLock { $0 = nil } }
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await body() }
                group.addTask { try await self.keepAlive(lease) }
                try await group.next()
                group.cancelAll()
            }
        } catch {
            await end(lease)
            throw error
        }
        await end(lease)
        return true
    }

    /// So that another gateway goes on at once.
    private func end(_ lease: SessionLease) async { try? await manager.closeLease(lease) }

    private func keepAlive(_ lease: SessionLease) async throws {
        while true {
            try await Task.sleep(for: Self.duration / 6)
            let start = now()
            try await manager.renewLease(lease, lasting: Self.duration)
            held.withLock { $0 = (lease, start + Self.duration) }
        }
    }

    /// The lease, if it lives by this machine's clock, also after something that takes a while.
    ///
    /// - Throws: `CancellationError` when it doesn't: another gateway may post by then.
    func lease(outliving time: Duration = .zero) throws -> SessionLease {
        guard let held = held.withLock({ $0 }), now() + time < held.end else { throw CancellationError() }
        return held.lease
    }

    /// Up to where the receiver was told; `nil` when that isn't known.
    func cursor() async throws -> ChangeCursor? { try await manager.getCursor(holder: holder) }

    func keep(_ cursor: ChangeCursor) async throws { try await manager.keepCursor(cursor, under: lease()) }
}
