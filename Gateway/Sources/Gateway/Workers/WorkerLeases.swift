import WhatsAppSessions

/// The leases of workers, which the database keeps: here they are opened, found and renewed.
actor WorkerLeases {
    /// How long a lease lasts after its worker was heard of last.
    let duration: Duration
    let manager: SessionManager
    /// How many streams are open here under each lease.
    private(set) var streams: [SessionLease: Int] = [:]
    /// When each lease was renewed here.
    private var renewals: [SessionLease: ContinuousClock.Instant] = [:]

    init(manager: SessionManager, duration: Duration) {
        self.manager = manager
        self.duration = duration
    }

    /// The lease of a worker that opens a stream: the one that it names, if that lives, or else a new one. A name alone may be that of
    /// another process, which serves what it claimed, or that of one that was killed, whose sockets are gone.
    func open(_ worker: Worker) async throws -> SessionLease {
        if let lease = worker.lease {
            do {
                try await renewNow(lease)
                return lease
            } catch is LeaseLostError {}
        }
        let lease = try await manager.openLease(holder: worker.name, lasting: duration)
        renewals = renewals.filter { $0.value.duration(to: .now) < duration }
        renewals[lease] = .now
        return lease
    }

    /// The lease that a worker speaks for, renewed: the one that it names, or the newest living one of its name.
    ///
    /// - Throws: `LeaseLostError` when the lease is over, and ``Problem`` when there is none.
    func lease(of worker: Worker) async throws -> SessionLease {
        var lease = worker.lease
        if lease == nil { lease = try await manager.getLease(holder: worker.name) }
        guard let lease else { throw Problem.noLease }
        try await renew(lease)
        return lease
    }

    /// Renews a lease, if a third of its time has passed since that was done last: not every event needs to wait for the disk.
    private func renew(_ lease: SessionLease) async throws {
        if let last = renewals[lease], last.duration(to: .now) < duration / 3 { return }
        try await renewNow(lease)
    }

    func noteStream(of lease: SessionLease, isOpen: Bool) {
        let count = streams[lease, default: 0] + (isOpen ? 1 : -1)
        streams[lease] = count == 0 ? nil : count
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
