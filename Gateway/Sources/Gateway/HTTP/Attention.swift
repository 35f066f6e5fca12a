import Foundation
import WhatsAppSessions

/// What waits for a person in a session, or in many, as the page counts it.
struct Attention: Sendable {
    /// How many are offline although nobody stopped them.
    var problems = 0
    /// Since when the first of these is offline.
    var offlineSince: Date?
    /// Since when the first of those that are under way is: a worker without a network tries for ever.
    var initializingSince: Date?
    /// Since when the first of those that wait for a phone shows its codes.
    var codesSince: Date?

    init() {}

    init(_ session: Session) {
        switch session.status {
        case .disconnected where session.wish != .stop: (problems, offlineSince) = (1, session.statusChangedAt)
        case .initializing: initializingSince = session.statusChangedAt
        case .qrWaiting: codesSince = session.statusChangedAt
        default: break
        }
    }

    mutating func add(_ other: Attention) {
        problems += other.problems
        offlineSince = Self.earlier(offlineSince, other.offlineSince)
        initializingSince = Self.earlier(initializingSince, other.initializingSince)
        codesSince = Self.earlier(codesSince, other.codesSince)
    }

    private static func earlier(_ a: Date?, _ b: Date?) -> Date? {
        guard let a, let b else { return a ?? b }
        return min(a, b)
    }
}
