import WhatsAppSessions

/// The leases of workers, which the database keeps: here they are opened, found and renewed.
actor WorkerLeases {
    /// How long a lease lasts after its worker was heard of last.
    let duration: Duration
    private let manager: SessionManager
    /// When each lease was renewed here.
    private var renewals: [SessionLease: ContinuousClock.Instant] = [:]
    /// How many streams are open under each lease.
    private var streams: [SessionLease: Int] = [:]

    init(manager: SessionManager, duration: Duration) {
        self.manager = manager
        self.duration = duration
    }

    // MARK: Streams

    /// The lease of a worker that opens a stream: the one that it had, if that lives, or else a new one.
    ///
    /// A worker that doesn't say which it had goes on under the newest one of its name, unless another process has a stream under
    /// that.
    func openStream(of worker: Worker) async throws -> SessionLease {
        if let known = try await knownLease(of: worker), worker.lease != nil || streams[known] == nil {
            // Before the renewal, which another stream of the same name must not overtake.
            streams[known, default: 0] += 1
            do {
                try await manager.renewLease(known, lasting: duration)
                renewals[known] = .now
                return known
            } catch is LeaseLostError {
                dropStream(under: known)
            } catch {
                dropStream(under: known)
                throw error
            }
        }
        let lease = try await manager.openLease(holder: worker.name, lasting: duration)
        streams[lease, default: 0] += 1
        renewals = renewals.filter { $0.value.duration(to: .now) < duration }
        renewals[lease] = .now
        return lease
    }

    /// Restarts the lease's time, so that the worker has all of it to come back.
    func closeStream(under lease: SessionLease) async {
        dropStream(under: lease)
        try? await manager.renewLease(lease, lasting: duration)
    }

    private func dropStream(under lease: SessionLease) {
        let count = (streams[lease] ?? 0) - 1
        streams[lease] = count > 0 ? count : nil
    }

    /// The lease that a worker names, living or not, or else the newest living one of its name.
    private func knownLease(of worker: Worker) async throws -> SessionLease? {
        if let lease = worker.lease { return lease }
        return try await manager.getLease(holder: worker.name)
    }

    // MARK: Events

    /// The lease that a worker speaks for, renewed; `nil` for one that has none.
    ///
    /// - Throws: `LeaseLostError` when the worker names one that is over.
    func lease(of worker: Worker?) async throws -> SessionLease? {
        guard let worker, let lease = try await knownLease(of: worker) else { return nil }
        try await renew(lease)
        return lease
    }

    /// Renews a lease, if a third of its time has passed since that was done last: not every event needs to wait for the disk.
    func renew(_ lease: SessionLease) async throws {
        if let last = renewals[lease], last.duration(to: .now) < duration / 3 { return }
        try await renewNow(lease)
    }

    func renewNow(_ lease: SessionLease) async throws {
        // Before the renewal, so that events that come meanwhile don't renew it too.
        renewals[lease] = .now
        do {
            try await manager.renewLease(lease, lasting: duration)
        } catch {
            renewals[lease] = nil
            throw error
        }
    }
}
