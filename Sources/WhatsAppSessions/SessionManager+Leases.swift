// Leases decide which of several processes serves a session: <doc:Leases>.

import Foundation

extension SessionManager {
    /// Opens a lease: the right to serve the sessions that are claimed under it.
    ///
    /// - Parameters:
    ///   - holder: The name of the host or worker that serves under it. Other processes see it as ``Session/holder``, and in
    ///     ``SessionTakenError``.
    ///   - duration: How long it lasts unless it is renewed; parts of a millisecond are dropped. Start your own timer before this
    ///     call.
    /// - Throws: ``InvalidLeaseError`` when the holder is empty, or the duration is not between a millisecond and 366 days.
    public func openLease(holder: String, lasting duration: Duration) throws -> SessionLease {
        // An opened lease is there.
        try write(Self.opening(holder, duration)).lease!
    }

    /// Opens a lease that is the only one of its holder, for work that one of several processes does; see
    /// `openLease(holder:lasting:)`.
    ///
    /// - Returns: The lease, or `nil` while another of this holder lives. Which process has that doesn't matter.
    public func openSoleLease(holder: String, lasting duration: Duration) throws -> SessionLease? {
        try write(Self.opening(holder, duration, isSole: true)).lease
    }

    /// Returns the newest living lease of a holder, or `nil`.
    public func getLease(holder: String) throws -> SessionLease? {
        try store.read(.lease(holder: holder)).lease
    }

    /// Returns the leases that haven't ended, the oldest first, and how many sessions each has.
    public func getLeases() throws -> [LeaseOverview] {
        try store.read(.leases).leases
    }

    /// Extends a lease, or shortens it: it now ends `duration` from now, without parts of a millisecond.
    ///
    /// - Throws: ``LeaseLostError`` when it is over; it never comes back. ``InvalidLeaseError`` when the duration is not between a
    ///   millisecond and 366 days.
    public func renewLease(_ lease: SessionLease, lasting duration: Duration) throws {
        _ = try write(Self.renewing(lease, duration))
    }

    /// Ends a lease, so that its sessions can be claimed at once. Nothing happens when it is over already, or isn't that holder's.
    ///
    /// The sessions keep their status. `recoverLeasedSessions()` disconnects those that are live.
    public func closeLease(_ lease: SessionLease) throws {
        _ = try write(.closeLease(lease))
    }

    /// Keeps how far the holder of a lease has come in following changes, so that whoever opens a lease of that holder next goes on
    /// from there. One cursor is kept for each holder, also after the lease is over.
    ///
    /// - Throws: ``LeaseLostError`` when the lease is over: another process may have gone on from the cursor before.
    public func keepCursor(_ cursor: ChangeCursor, under lease: SessionLease) throws {
        _ = try write(.keepCursor(cursor, under: lease))
    }

    /// Returns the cursor that was kept last under a lease of this holder, or `nil`.
    public func getCursor(holder: String) throws -> ChangeCursor? {
        try store.read(.keptCursor(holder: holder)).place
    }

    /// Claims a session that nobody serves. Claiming it once more under the same lease does nothing.
    ///
    /// Its status stays as it was: it may still say connected from a holder that is gone.
    ///
    /// - Returns: The session, whose ``Session/holder`` is that of the lease.
    /// - Throws: ``SessionTakenError`` while another lease on it lives. ``LeaseLostError`` when this lease is over.
    ///   ``SessionNotFoundError`` when there is no such session. ``DatabaseError`` with the code
    ///   ``DatabaseError/ResultCode/corrupt`` when its row is damaged; it is left unclaimed.
    @discardableResult
    public func claimSession(_ sessionID: String, under lease: SessionLease) throws -> Session {
        try Self.found(write(.claim(id: sessionID, under: lease)), sessionID)
    }

    /// Claims the first sessions, in order of creation, that nobody serves, whatever their status: also those that were logged out.
    /// Damaged ones are left alone.
    ///
    /// - Parameters:
    ///   - limit: The greatest number of sessions to claim.
    ///   - lease: The lease under which they are claimed.
    /// - Throws: ``LeaseLostError`` when the lease is over. ``DatabaseError`` with the code ``DatabaseError/ResultCode/misuse`` for a
    ///   limit below 1.
    public func claimSessions(limit: Int, under lease: SessionLease) throws -> [Session] {
        try write(Self.claiming(limit, lease)).claimed
    }

    /// Gives a session back, which keeps its status.
    ///
    /// - Throws: ``LeaseLostError`` when the lease is over or the session isn't claimed under it. ``SessionNotFoundError`` when there
    ///   is no such session.
    public func releaseSession(_ sessionID: String, under lease: SessionLease) throws {
        _ = try Self.found(write(.release(id: sessionID, under: lease)), sessionID)
    }

    /// Changes some fields of a session that is claimed under a lease; see `updateSession(_:_:)`, which needs no
    /// lease and changes any session.
    ///
    /// - Throws: Also ``LeaseLostError`` when the lease is over or the session isn't claimed under it. Then another process may
    ///   serve it: close its socket.
    @discardableResult
    public func updateSession(
        _ sessionID: String,
        _ updates: SessionUpdates,
        under lease: SessionLease
    ) throws -> Session {
        try Self.found(write(Self.update(of: sessionID, updates, under: lease)), sessionID)
    }

    /// Marks the live sessions whose lease is over as disconnected, and has followers hear that nobody serves them. Sessions that were
    /// never claimed stay as they are, unlike with `recoverSessions()`, so it may be called every few seconds.
    ///
    /// - Returns: Those sessions as they were, in order of creation. Each is now ``Session/Status/disconnected`` for the reason
    ///   "worker gone", and has no holder.
    /// - Throws: ``DatabaseError`` as `recoverSessions()` does.
    @discardableResult
    public func recoverLeasedSessions() throws -> [Session] {
        try Self.recovered(write(.recover(onlyLeased: true, at: Date.millisecondsNow)))
    }
}

/// The same methods for `async` code.
extension SessionManager {
    /// Opens a lease without blocking; see the synchronous method.
    public func openLease(holder: String, lasting duration: Duration) async throws -> SessionLease {
        try await write(Self.opening(holder, duration)).lease!
    }

    /// Opens a lease that is the only one of its holder, without blocking; see the synchronous method.
    public func openSoleLease(holder: String, lasting duration: Duration) async throws -> SessionLease? {
        try await write(Self.opening(holder, duration, isSole: true)).lease
    }

    /// Returns the newest living lease of a holder without blocking, or `nil`.
    public func getLease(holder: String) async throws -> SessionLease? {
        try await store.read(.lease(holder: holder)).lease
    }

    /// Returns the leases that haven't ended, the oldest first, without blocking.
    public func getLeases() async throws -> [LeaseOverview] {
        try await store.read(.leases).leases
    }

    /// Extends a lease, or shortens it, without blocking; see the synchronous method.
    public func renewLease(_ lease: SessionLease, lasting duration: Duration) async throws {
        _ = try await write(Self.renewing(lease, duration))
    }

    /// Ends a lease without blocking; see the synchronous method.
    public func closeLease(_ lease: SessionLease) async throws {
        _ = try await write(.closeLease(lease))
    }

    /// Keeps how far the holder of a lease has come, without blocking; see the synchronous method.
    public func keepCursor(_ cursor: ChangeCursor, under lease: SessionLease) async throws {
        _ = try await write(.keepCursor(cursor, under: lease))
    }

    /// Returns the cursor that was kept last under a lease of this holder, or `nil`, without blocking.
    public func getCursor(holder: String) async throws -> ChangeCursor? {
        try await store.read(.keptCursor(holder: holder)).place
    }

    /// Claims a session without blocking; see the synchronous method.
    @discardableResult
    public func claimSession(_ sessionID: String, under lease: SessionLease) async throws -> Session {
        try await Self.found(write(.claim(id: sessionID, under: lease)), sessionID)
    }

    /// Claims sessions that nobody serves, without blocking; see the synchronous method.
    public func claimSessions(limit: Int, under lease: SessionLease) async throws -> [Session] {
        try await write(Self.claiming(limit, lease)).claimed
    }

    /// Gives a session back without blocking; see the synchronous method.
    public func releaseSession(_ sessionID: String, under lease: SessionLease) async throws {
        _ = try await Self.found(write(.release(id: sessionID, under: lease)), sessionID)
    }

    /// Changes a session that is claimed under a lease, without blocking; see the synchronous method.
    @discardableResult
    public func updateSession(
        _ sessionID: String,
        _ updates: SessionUpdates,
        under lease: SessionLease
    ) async throws -> Session {
        try await Self.found(write(Self.update(of: sessionID, updates, under: lease)), sessionID)
    }

    /// Marks the live sessions whose lease is over as disconnected, without blocking; see the synchronous method.
    @discardableResult
    public func recoverLeasedSessions() async throws -> [Session] {
        try await Self.recovered(write(.recover(onlyLeased: true, at: Date.millisecondsNow)))
    }
}

// What both kinds of a method share.
extension SessionManager {
    private static func opening(
        _ holder: String,
        _ duration: Duration,
        isSole: Bool = false
    ) throws -> SessionWrite {
        guard !holder.isEmpty else { throw InvalidLeaseError(reason: .emptyHolder) }
        return .openLease(holder: holder, milliseconds: try milliseconds(duration), isSole: isSole)
    }

    private static func renewing(_ lease: SessionLease, _ duration: Duration) throws -> SessionWrite {
        .renewLease(lease, milliseconds: try milliseconds(duration))
    }

    private static func milliseconds(_ duration: Duration) throws -> Int64 {
        guard (.milliseconds(1) ... .seconds(366 * 86_400)).contains(duration) else {
            throw InvalidLeaseError(reason: .durationOutOfRange)
        }
        return duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000
    }

    private static func claiming(_ limit: Int, _ lease: SessionLease) throws -> SessionWrite {
        .claimUnserved(limit: try atLeastOne(limit), under: lease)
    }
}
