public import Foundation

/// The right of one process to serve the sessions that it claims, until it ends or isn't renewed in time.
///
/// See <doc:Leases>.
public struct SessionLease: Hashable, Codable, Sendable {
    /// Who serves under it: a name for people, of a host, a process or a worker. Two leases may have the same.
    public let holder: String
    /// A fencing token: no two leases of a database ever have the same. Compare it for equality only.
    public let number: Int64

    /// Creates a value, to go on under a lease that this or another process opened.
    public init(holder: String, number: Int64) {
        self.holder = holder
        self.number = number
    }
}

/// A lease that hasn't ended, and how many sessions it has.
public struct LeaseOverview: Hashable, Sendable {
    /// The lease.
    public let lease: SessionLease
    /// When it is over unless it is renewed, in whole milliseconds by the database's clock.
    public let endsAt: Date
    /// How many sessions are claimed under it.
    public let sessions: Int

    /// Creates a value, in a test for instance.
    public init(lease: SessionLease, endsAt: Date, sessions: Int) {
        self.lease = lease
        self.endsAt = endsAt
        self.sessions = sessions
    }
}

extension SessionLease: CustomStringConvertible {
    /// `17 of eu-1`
    public var description: String { "\(number) of \(holder)" }
}
