import Foundation
import Testing

@testable import WhatsAppSessions

/// The engines are one manager: whatever is asked of them, each answers the same, in the same words.
@Suite struct WalkTests {
    /// One engine, and what it has given out.
    private final class Walker {
        let engine: Engine
        let manager: SessionManager
        let start: ChangeCursor
        var leases: [SessionLease] = []

        init(_ engine: Engine) throws {
            self.engine = engine
            manager = try engine.open()
            start = try manager.newestCursor()
        }
    }

    private static let ids =
        (1...16).map { "shop-\($0)" } + [
            "a\u{0}b", "a", "\u{0}", "\u{1a}", "\u{1a}0", "\u{1a}\u{1a}", "caf\u{e9}", "cafe\u{301}", "👩‍👩‍👧", " ",
            "'\"\\;%_",
            String(repeating: "x", count: 20_000), String(repeating: "x", count: 20_001),
        ]
    private static let texts = ["", "Ana", "\u{0}", "\u{1a}0", "é ☕ \u{202e}", String(repeating: "q", count: 3000)]
    private static let dates: [Int64] = [0, -1, 1_700_000_000_123, 253_402_300_800_000, .min + 1023, .max - 1023]
    private static let holders = ["eu-1", "eu-2", "\u{0}"]

    /// One operation, the same for each engine; it says what came of it.
    private typealias Operation = (Walker) throws -> String

    @Test func `after 10,000 operations every engine has given the same answers, and has the same journal`() throws {
        var random = SplitMix64(state: 20_261_130)
        let walkers = try Engine.allCases.map(Walker.init)
        for step in 0..<10_000 {
            // Or an account that comes online twice in a millisecond would be one that stayed online, in the faster engine.
            usleep(1100)
            let (name, operation) = operation(&random)
            let answers = walkers.map { walker in
                do { return try operation(walker) } catch { return Self.words(error, walker) }
            }
            for (walker, answer) in zip(walkers, answers).dropFirst() where answer != answers[0] {
                // From where they differ.
                let same = zip(answer, answers[0]).prefix { $0 == $1 }.count
                let (one, other) = (answer.dropFirst(max(0, same - 100)), answers[0].dropFirst(max(0, same - 100)))
                Issue.record(
                    "step \(step), \(name): \(walker.engine): \(one.prefix(200)) ≠ \(walkers[0].engine): \(other.prefix(200))"
                )
                return
            }
        }
        let journals = try walkers.map { walker in
            try walker.manager.getChanges(after: walker.start, limit: 100_000).map(Self.words)
        }
        #expect(journals[0].count > 3000)
        for journal in journals {
            #expect(journal.count == journals[0].count)
            #expect(zip(journal, journals[0]).first { $0 != $1 }.map { "\($0) ≠ \($1)" } == nil)
        }
    }

    private func operation(_ random: inout SplitMix64) -> (name: String, Operation) {
        let id = Self.ids.randomElement(using: &random)!
        let pick = Int.random(in: 0..<1000, using: &random)
        let holder = Self.holders.randomElement(using: &random)!
        let limit = Int.random(in: 0...5, using: &random)
        let status = Session.Status.allCases.randomElement(using: &random)!
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<14: return ("create", { Self.words(try $0.manager.createSession(id)) })
        case 14..<50:
            let updates = updates(&random)
            return ("update \(updates)", { Self.words(try $0.manager.updateSession(id, updates)) })
        case 50..<56: return ("delete", { "\(try $0.manager.deleteSession(id))" })
        case 56..<62: return ("get", { try $0.manager.getSession(id).map(Self.words) ?? "none" })
        case 62..<64: return ("exists", { "\(try $0.manager.sessionExists(id))" })
        case 64..<66: return ("list", { try $0.manager.getAllSessions().map(Self.words).joined() })
        case 66..<68: return ("list", { try $0.manager.getSessions(status: status).map(Self.words).joined() })
        case 68..<70:
            return (
                "pages",
                { walker in
                    var (sessions, next): ([Session], Int64?) = ([], 0)
                    while let place = next {
                        let page = try walker.manager.getSessions(
                            status: pick < 500 ? status : nil,
                            after: place,
                            limit: limit
                        )
                        sessions += page.sessions
                        next = page.next
                    }
                    return sessions.map(Self.words).joined()
                }
            )
        case 70..<71:
            return (
                "counts", { walker in "\(try Session.Status.allCases.map { try walker.manager.countSessions()[$0] })" }
            )
        case 71..<72:
            return (
                "snapshot",
                { walker in
                    let snapshot = try walker.manager.snapshot()
                    return "\(snapshot.cursor.number) \(snapshot.sessions.map(Self.words).joined())"
                }
            )
        case 72..<74:
            return (
                "changes",
                { walker in
                    let newest = try walker.manager.newestCursor()
                    let number = max(0, newest.number + Int64(pick) - 990)
                    let cursor = ChangeCursor(history: newest.history, number: number)
                    return try walker.manager.getChanges(after: cursor, limit: limit).map(Self.words).joined()
                }
            )
        case 74..<76: return ("history", { try $0.manager.getChanges(of: id, limit: limit).map(Self.words).joined() })
        case 76..<77: return ("recover", { try $0.manager.recoverSessions().map(Self.words).joined() })
        case 77..<79: return ("recover leased", { try $0.manager.recoverLeasedSessions().map(Self.words).joined() })
        case 79..<82:
            return (
                "open lease",
                { walker in
                    walker.leases.append(try walker.manager.openLease(holder: holder, lasting: .seconds(3600)))
                    return "\(try walker.manager.getLeases().map { "\($0.lease.holder) \($0.sessions)" })"
                }
            )
        case 82..<83:
            return (
                "sole lease",
                { walker in
                    let lease = try walker.manager.openSoleLease(holder: holder, lasting: .seconds(3600))
                    if let lease { walker.leases.append(lease) }
                    return "\(lease != nil)"
                }
            )
        case 83..<84:
            return (
                "keep cursor",
                { walker in
                    try walker.manager.keepCursor(walker.manager.newestCursor(), under: Self.lease(pick, walker))
                    return "\(try walker.manager.getCursor(holder: holder)?.number ?? -1)"
                }
            )
        case 84..<85:
            return (
                "renew lease",
                {
                    try $0.manager.renewLease(Self.lease(pick, $0), lasting: .seconds(3600))
                    return ""
                }
            )
        case 85..<86:
            return (
                "close lease",
                {
                    try $0.manager.closeLease(Self.lease(pick, $0))
                    return ""
                }
            )
        case 86..<90: return ("claim", { Self.words(try $0.manager.claimSession(id, under: Self.lease(pick, $0))) })
        case 90..<91:
            return (
                "claim some",
                { try $0.manager.claimSessions(limit: limit, under: Self.lease(pick, $0)).map(Self.words).joined() }
            )
        case 91..<94:
            return (
                "release",
                {
                    try $0.manager.releaseSession(id, under: Self.lease(pick, $0))
                    return ""
                }
            )
        default:
            let updates = updates(&random)
            return (
                "update under lease",
                { Self.words(try $0.manager.updateSession(id, updates, under: Self.lease(pick, $0))) }
            )
        }
    }

    /// One of the last leases, living or not, or one that never was.
    private static func lease(_ pick: Int, _ walker: Walker) -> SessionLease {
        let recent = walker.leases.suffix(6)
        guard pick >= 30, !recent.isEmpty else { return SessionLease(holder: "nobody", number: 7) }
        let lease = recent[recent.startIndex + pick % recent.count]
        return pick % 50 == 0 ? SessionLease(holder: "another", number: lease.number) : lease
    }

    private func updates(_ random: inout SplitMix64) -> SessionUpdates {
        func field<Value>(_ values: [Value]) -> FieldUpdate<Value> {
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<7: .unchanged
            case 7: .clear
            default: .set(values.randomElement(using: &random)!)
            }
        }
        let dates = Self.dates.map(Date.init(milliseconds:)) + [Date(timeIntervalSince1970: .infinity)]
        var updates = SessionUpdates()
        if Bool.random(using: &random) { updates.status = Session.Status.allCases.randomElement(using: &random)! }
        updates.phoneNumber = field(Self.texts)
        updates.name = field(Self.texts)
        updates.connectedAt = field(dates)
        updates.qrCode = field(Self.texts)
        updates.qrCodeReceivedAt =
            Int.random(in: 0..<4, using: &random) == 0 ? dates.randomElement(using: &random) : nil
        updates.disconnectReason = field(
            Self.texts.flatMap { text in [nil, 0, -1, Int.max, .min].map { DisconnectReason(code: $0, text: text) } }
        )
        updates.restriction = field(Self.texts)
        updates.wish = field(Session.Wish.allCases)
        return updates
    }

    // MARK: Words

    /// All that a session has; a time of the last hour only as such.
    private static func words(_ session: Session) -> String {
        let life = session.qrCodeReceivedAt.flatMap { session.qrCodeExpiresAt?.timeIntervalSince($0) }
        return """
            [\(session.id.prefix(30)) \(session.status) \(session.phoneNumber ?? "-") \(session.name ?? "-") \
            \(words(session.createdAt)) \(words(session.connectedAt)) \(session.qrCode ?? "-") \(words(session.statusChangedAt)) \
            \(words(session.qrCodeReceivedAt)) \(life.map { "\($0)" } ?? "-") \
            \(session.disconnectReason.map { "\($0)" } ?? "-") \(session.restriction ?? "-") \(session.holder ?? "-") \
            \(session.wish?.rawValue ?? "-")]
            """
    }

    private static func words(_ date: Date?) -> String {
        guard let date else { return "-" }
        return abs(date.timeIntervalSinceNow) < 3600 ? "now" : "\(date.timeIntervalSince1970)"
    }

    private static func words(_ change: SessionChange) -> String {
        """
        [\(change.cursor.number) \(change.kind) \(change.sessionID.prefix(30)) \(change.fields) \
        \(change.previousStatus?.rawValue ?? "-") \(change.status?.rawValue ?? "-") \(change.disconnectReason.map { "\($0)" } ?? "-")]
        """
    }

    /// An error's type and sentence, with the place of a lease among those that were opened for its number.
    private static func words(_ error: any Error, _ walker: Walker) -> String {
        var text = "\(type(of: error)) \(error)"
        for (index, lease) in walker.leases.enumerated().suffix(6) {
            text = text.replacingOccurrences(of: " \(lease.number) ", with: " #\(index) ")
        }
        // A history is random.
        return text.replacing(/[0-9]{15,}-/, with: "")
    }
}
