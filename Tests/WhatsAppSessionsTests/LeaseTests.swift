import Foundation
import Testing

@testable import WhatsAppSessions

/// Who serves a session.
@Suite(.eachEngine) struct LeaseTests {
    let manager = try! Engine.current.open()

    /// Ends every lease by its time, or those of one holder.
    private func endLeases(of holder: String = "%") throws {
        try manager.execute("UPDATE leases SET ends_at = 0 WHERE holder LIKE '\(holder)'")
    }

    private func open(_ holder: String) throws -> SessionLease {
        try manager.openLease(holder: holder, lasting: .seconds(60))
    }

    private func changes(after cursor: ChangeCursor) throws -> [String] {
        try manager.getChanges(after: cursor).map { "\($0.kind) \($0.sessionID) \($0.fields)" }
    }

    // MARK: A lease

    @Test func `no two leases have the same number, also when one is over and its row gone`() throws {
        var numbers: Set<Int64> = []
        for round in 0..<20 {
            numbers.insert(try open("eu-1").number)
            if round % 3 == 0 { try endLeases() }
            if round % 5 == 0 { try manager.execute("DELETE FROM leases") }
        }
        #expect(numbers.count == 20)
    }

    @Test func `a lease lasts so long from its last renewal, by the database's clock`() throws {
        let lease = try manager.openLease(holder: "eu-1", lasting: .milliseconds(60_000))
        func left() throws -> Int64 {
            try Int64(manager.query("SELECT ends_at FROM leases WHERE number = \(lease.number)")!)!
                - Date.millisecondsNow
        }
        #expect(try (50_000...60_000).contains(left()))
        try manager.renewLease(lease, lasting: .seconds(1800))
        #expect(try (1_790_000...1_800_000).contains(left()))
        // Also a shorter one.
        try manager.renewLease(lease, lasting: .seconds(90))
        #expect(try (80_000...90_000).contains(left()))
    }

    @Test func `a lease that is over or closed never comes back`() throws {
        try manager.createSession("support")
        for end in ["time", "close"] {
            let lease = try open("eu-1")
            try manager.claimSession("support", under: lease)
            if end == "time" { try endLeases() } else { try manager.closeLease(lease) }
            let cursor = try manager.snapshot().cursor
            // First, since a claim drops the row of a lease that is over.
            #expect(throws: LeaseLostError(lease: lease)) {
                try manager.updateSession("support", SessionUpdates(status: .connected), under: lease)
            }
            let error = #expect(throws: LeaseLostError.self) {
                try manager.renewLease(lease, lasting: .seconds(60))
            }
            #expect(error == LeaseLostError(lease: lease))
            #expect(error?.description == "The lease \(lease.number) of eu-1 has ended")
            #expect(error?.localizedDescription == error?.description)
            #expect(throws: LeaseLostError(lease: lease)) { try manager.claimSession("support", under: lease) }
            #expect(throws: LeaseLostError(lease: lease)) { try manager.claimSessions(limit: 10, under: lease) }
            #expect(throws: LeaseLostError(lease: lease)) { try manager.releaseSession("support", under: lease) }
            #expect(try changes(after: cursor) == [])
            try manager.closeLease(lease)
        }
    }

    @Test func `a process goes on under a lease that another one opened, if it knows the holder too`() throws {
        try manager.createSession("support")
        let opened = try open("eu-1")
        let lease = try JSONDecoder().decode(SessionLease.self, from: JSONEncoder().encode(opened))
        #expect(lease == opened)
        try manager.renewLease(lease, lasting: .seconds(60))
        #expect(try manager.claimSession("support", under: lease).holder == "eu-1")
        let stranger = SessionLease(holder: "eu-2", number: lease.number)
        #expect(throws: LeaseLostError.self) { try manager.renewLease(stranger, lasting: .seconds(60)) }
        #expect(throws: LeaseLostError.self) { try manager.claimSession("support", under: stranger) }
        #expect(throws: LeaseLostError.self) {
            try manager.updateSession("support", SessionUpdates(name: .set("Ana")), under: stranger)
        }
        // Nor does it end it.
        try manager.closeLease(stranger)
        try manager.renewLease(lease, lasting: .seconds(60))
    }

    @Test func `a sole lease is refused while another of its holder lives, and not one moment longer`() throws {
        let first = try #require(try manager.openSoleLease(holder: "webhooks", lasting: .seconds(3600)))
        #expect(try manager.openSoleLease(holder: "webhooks", lasting: .seconds(3600)) == nil)
        // Others live beside it.
        let other = try #require(try manager.openSoleLease(holder: "reports", lasting: .seconds(3600)))
        try manager.closeLease(first)
        let second = try #require(try manager.openSoleLease(holder: "webhooks", lasting: .seconds(3600)))
        #expect(Set([first.number, second.number, other.number]).count == 3)
        try endLeases(of: "webhooks")
        #expect(try manager.openSoleLease(holder: "webhooks", lasting: .seconds(3600)) != nil)
        // One that need not be alone hinders it too.
        _ = try open("eu-1")
        #expect(try manager.openSoleLease(holder: "eu-1", lasting: .seconds(3600)) == nil)
        #expect(throws: InvalidLeaseError(reason: .emptyHolder)) {
            try manager.openSoleLease(holder: "", lasting: .seconds(3600))
        }
    }

    @Test func `a cursor is kept for each holder, under a lease that lives`() throws {
        let holders = ["webhooks", "reports", "\u{0}", String(repeating: "x", count: 20_000)]
        for holder in holders { #expect(try manager.getCursor(holder: holder) == nil) }
        var kept: [String: ChangeCursor] = [:]
        for holder in holders {
            let lease = try open(holder)
            for _ in 0..<2 {
                try manager.createSession()
                kept[holder] = try manager.snapshot().cursor
                try manager.keepCursor(try #require(kept[holder]), under: lease)
            }
        }
        #expect(Set(kept.values).count == holders.count)
        for holder in holders { #expect(try manager.getCursor(holder: holder) == kept[holder]) }
        // By one whose lease is over, nothing is kept, and the cursor stays for the next.
        let late = try open("webhooks")
        try endLeases()
        let cursor = try manager.snapshot().cursor
        #expect(throws: LeaseLostError(lease: late)) { try manager.keepCursor(cursor, under: late) }
        #expect(try manager.getCursor(holder: "webhooks") == kept["webhooks"])
        let stranger = SessionLease(holder: "webhooks", number: try open("reports").number)
        #expect(throws: LeaseLostError(lease: stranger)) { try manager.keepCursor(cursor, under: stranger) }
        // Also an earlier place.
        try manager.keepCursor(try #require(kept["reports"]), under: open("webhooks"))
        #expect(try manager.getCursor(holder: "webhooks") == kept["reports"])
        // It is no change of a session.
        #expect(try changes(after: cursor) == [])
    }

    @Test func `sole leases and cursors for async code`() async throws {
        let lease = try #require(try await manager.openSoleLease(holder: "webhooks", lasting: .seconds(3600)))
        #expect(try await manager.openSoleLease(holder: "webhooks", lasting: .seconds(3600)) == nil)
        let cursor = try await manager.snapshot().cursor
        try await manager.keepCursor(cursor, under: lease)
        #expect(try await manager.getCursor(holder: "webhooks") == cursor)
    }

    @Test func `a lease needs a holder, and lasts from a millisecond to 366 days`() throws {
        let error = #expect(throws: InvalidLeaseError.self) {
            try manager.openLease(holder: "", lasting: .seconds(1))
        }
        #expect(error == InvalidLeaseError(reason: .emptyHolder))
        #expect(
            error?.description
                == "Invalid lease: the holder is empty: name the process that will serve under the lease"
        )
        #expect(error?.localizedDescription == error?.description)
        // By their codes.
        #expect(Set([InvalidLeaseError.Reason.emptyHolder, .durationOutOfRange, .emptyHolder]).count == 2)
        #expect(InvalidLeaseError.Reason.emptyHolder.code == "empty_holder")
        let lease = try open("eu-1")
        let durations: [Duration] = [
            .zero, .seconds(-1), .microseconds(999), .seconds(366 * 86_400) + .nanoseconds(1), .seconds(Int64.max),
        ]
        for duration in durations {
            #expect(throws: InvalidLeaseError(reason: .durationOutOfRange)) {
                try manager.openLease(holder: "eu-1", lasting: duration)
            }
            #expect(throws: InvalidLeaseError(reason: .durationOutOfRange)) {
                try manager.renewLease(lease, lasting: duration)
            }
        }
        #expect(try manager.query("SELECT count(*) FROM leases") == "1")
        try manager.renewLease(lease, lasting: .milliseconds(1))
        _ = try manager.openLease(holder: "eu-1", lasting: .seconds(366 * 86_400))
    }

    @Test func `opening a lease drops those that are over, and no other`() throws {
        let ended = try open("eu-1")
        try endLeases()
        let (second, third) = (try open("eu-2"), try open("eu-3"))
        #expect(try manager.query("SELECT count(*) FROM leases") == "2")
        #expect(try manager.query("SELECT min(number) FROM leases") == "\(second.number)")
        #expect(try manager.query("SELECT max(number) FROM leases") == "\(third.number)")
        #expect(second.number > ended.number)
    }

    @Test func `the newest living lease of a holder is found`() throws {
        #expect(try manager.getLease(holder: "eu-1") == nil)
        let first = try open("eu-1")
        _ = try open("eu-2")
        #expect(try manager.getLease(holder: "eu-1") == first)
        let second = try open("eu-1")
        #expect(try manager.getLease(holder: "eu-1") == second)
        try manager.closeLease(second)
        #expect(try manager.getLease(holder: "eu-1") == first)
        try endLeases()
        #expect(try manager.getLease(holder: "eu-1") == nil)
        #expect(try manager.getLease(holder: "") == nil)
    }

    @Test func `the leases that live are listed, with how many sessions each has`() throws {
        let (first, second) = (try open("eu-1"), try open("eu-1"))
        for id in ["a", "b", "c"] { try manager.createSession(id) }
        for id in ["a", "b"] { try manager.claimSession(id, under: second) }
        #expect(try manager.getLeases().map(\.lease) == [first, second])
        #expect(try manager.getLeases().map(\.sessions) == [0, 2])
        let left = try manager.getLeases()[0].endsAt.timeIntervalSinceNow
        #expect(left > 0 && left <= 60)
        try manager.closeLease(second)
        _ = try open("eu-2")
        try endLeases(of: "eu-1")
        #expect(try manager.getLeases().map(\.lease.holder) == ["eu-2"])
    }

    // MARK: A claim

    @Test func `a claimed session says who serves it, everywhere it is read`() throws {
        try manager.createSession("support")
        let created = try #require(try manager.getSession("support"))
        #expect(created.holder == nil)
        let lease = try open("eu-1 ☕\0")
        let claimed = try manager.claimSession("support", under: lease)
        #expect(claimed == created.served(by: "eu-1 ☕\0"))
        #expect(try manager.getSession("support") == claimed)
        #expect(try manager.getAllSessions() == [claimed])
        #expect(try manager.getSessions(status: .initializing) == [claimed])
        #expect(try manager.snapshot().sessions == [claimed])
        #expect(try manager.updateSession("support", SessionUpdates(name: .set("Ana"))).holder == "eu-1 ☕\0")
        try endLeases()
        #expect(try manager.getSession("support")?.holder == nil)
        #expect(try manager.getAllSessions().map(\.holder) == [nil])
        #expect(try manager.updateSession("support", SessionUpdates(name: .set("Zoë"))).holder == nil)
    }

    @Test func `a session is served under one lease at a time`() throws {
        try manager.createSession("support")
        let (first, second) = (try open("eu-1"), try open("eu-2"))
        try manager.claimSession("support", under: first)
        let cursor = try manager.snapshot().cursor
        let error = #expect(throws: SessionTakenError.self) { try manager.claimSession("support", under: second) }
        #expect(error == SessionTakenError(sessionID: "support", holder: "eu-1"))
        #expect(error?.description == "Session support is served by eu-1")
        #expect(error?.localizedDescription == error?.description)
        #expect(error?.recoverySuggestion?.isEmpty == false)
        // A second lease of the same holder is another one.
        let twin = try open("eu-1")
        #expect(throws: SessionTakenError.self) { try manager.claimSession("support", under: twin) }
        #expect(try manager.claimSessions(limit: 10, under: second) == [])
        // And once more under its own.
        #expect(try manager.claimSession("support", under: first).holder == "eu-1")
        #expect(try changes(after: cursor) == [])
        #expect(throws: SessionNotFoundError.self) { try manager.claimSession("Support", under: first) }
    }

    @Test func `a session can be claimed once the lease on it is over, closed or released`() throws {
        try manager.createSession("support")
        for end in ["time", "close", "release"] {
            let (first, second) = (try open("eu-1"), try open("eu-2"))
            try manager.claimSession("support", under: first)
            switch end {
            case "time": try endLeases(of: "eu-1")
            case "close": try manager.closeLease(first)
            default: try manager.releaseSession("support", under: first)
            }
            #expect(try manager.getSession("support")?.holder == nil, "\(end)")
            #expect(try manager.claimSession("support", under: second).holder == "eu-2", "\(end)")
            try manager.releaseSession("support", under: second)
        }
    }

    @Test func `claiming many takes those that nobody serves, in order of creation`() throws {
        for id in ["e", "d", "c", "b", "a"] { try manager.createSession(id) }
        try manager.updateSession("c", SessionUpdates(status: .disconnected))
        let (first, second) = (try open("eu-1"), try open("eu-2"))
        try manager.claimSession("d", under: first)
        let claimed = try manager.claimSessions(limit: 2, under: second)
        #expect(claimed.map(\.id) == ["e", "c"])
        #expect(claimed.allSatisfy { $0.holder == "eu-2" })
        #expect(try manager.getSession("c") == claimed[1])
        #expect(try manager.claimSessions(limit: .max, under: first).map(\.id) == ["b", "a"])
        #expect(try manager.claimSessions(limit: 1, under: second) == [])
        try endLeases(of: "eu-1")
        #expect(try manager.claimSessions(limit: 10, under: second).map(\.id) == ["d", "b", "a"])
        for limit in [0, -1, .min] {
            let error = #expect(throws: DatabaseError.self) { try manager.claimSessions(limit: limit, under: second) }
            #expect(error?.resultCode == .misuse)
        }
    }

    @Test(.onlySQLite) func `claiming many leaves damaged sessions alone, however many come first`() throws {
        for id in ["a", "b", "c", "d", "e"] { try manager.createSession(id) }
        try manager.execute("UPDATE sessions SET name = CAST(x'ff' AS TEXT) WHERE id IN ('a', 'b', 'd')")
        let lease = try open("eu-1")
        #expect(try manager.claimSessions(limit: 1, under: lease).map(\.id) == ["c"])
        #expect(try manager.claimSessions(limit: 1, under: lease).map(\.id) == ["e"])
        #expect(try manager.claimSessions(limit: 1, under: lease) == [])
        #expect(try manager.query("SELECT group_concat(id) FROM sessions WHERE lease IS NULL") == "a,b,d")
        let error = #expect(throws: DatabaseError.self) { try manager.claimSession("b", under: lease) }
        #expect(error?.resultCode == .corrupt)
        #expect(try manager.query("SELECT count(*) FROM sessions WHERE lease IS NULL") == "3")
    }

    @Test func `a release gives back only what is claimed under that lease`() throws {
        try manager.createSession("support")
        let (first, second) = (try open("eu-1"), try open("eu-2"))
        try manager.claimSession("support", under: first)
        let error = #expect(throws: LeaseLostError.self) { try manager.releaseSession("support", under: second) }
        #expect(error == LeaseLostError(lease: second, sessionID: "support"))
        #expect(error?.description == "Session support is not served under the lease \(second.number) of eu-2")
        #expect(throws: SessionNotFoundError.self) { try manager.releaseSession("Support", under: first) }
        #expect(try manager.getSession("support")?.holder == "eu-1")
        try manager.releaseSession("support", under: first)
        #expect(try manager.getSession("support")?.holder == nil)
        #expect(throws: LeaseLostError.self) { try manager.releaseSession("support", under: first) }
    }

    // MARK: An update

    @Test func `an update under a lease is made while the session is claimed under it, and refused otherwise`() throws {
        try manager.createSession("support")
        let (first, second) = (try open("eu-1"), try open("eu-2"))
        let updates = SessionUpdates(status: .connected)
        #expect(throws: LeaseLostError(lease: first, sessionID: "support")) {
            try manager.updateSession("support", updates, under: first)
        }
        try manager.claimSession("support", under: first)
        let connected = try manager.updateSession("support", updates, under: first)
        #expect(connected.status == .connected && connected.holder == "eu-1")
        #expect(try manager.getSession("support") == connected)
        for late in [second, SessionLease(holder: "eu-1", number: first.number - 1)] {
            #expect(throws: LeaseLostError(lease: late, sessionID: late == second ? "support" : nil)) {
                try manager.updateSession("support", SessionUpdates(status: .disconnected), under: late)
            }
        }
        #expect(try manager.getSession("support") == connected)
        #expect(throws: SessionNotFoundError.self) { try manager.updateSession("Support", updates, under: first) }
        #expect(throws: InvalidSessionUpdateError.self) {
            try manager.updateSession("support", SessionUpdates(status: .qrWaiting), under: first)
        }
        // An operator needs no lease.
        #expect(try manager.updateSession("support", SessionUpdates(status: .disconnected)).holder == "eu-1")
    }

    // MARK: Recovery

    @Test func `a recovery spares the sessions of living leases`() throws {
        for id in ["living", "ended", "closed", "never"] {
            try manager.createSession(id)
            try manager.updateSession(id, SessionUpdates(status: .qrWaiting, qrCode: .set("2@code")))
        }
        try manager.createSession("reconnecting")
        let lost = SessionUpdates(disconnectReason: .set(DisconnectReason(code: 408, text: "Connection was lost")))
        try manager.updateSession("reconnecting", lost)
        let (living, ended, closed) = (try open("eu-1"), try open("eu-2"), try open("eu-3"))
        try manager.claimSession("living", under: living)
        try manager.claimSession("ended", under: ended)
        try manager.claimSession("reconnecting", under: ended)
        try manager.claimSession("closed", under: closed)
        let before = try manager.getAllSessions()
        try endLeases(of: "eu-2")
        try manager.closeLease(closed)

        let cursor = try manager.snapshot().cursor
        let lostSessions = try manager.recoverLeasedSessions()
        #expect(lostSessions == [before[1], before[2], before[4]].map { $0.served(by: nil) })
        #expect(
            try changes(after: cursor) == [
                "updated ended [status, qrCode, disconnectReason, holder]",
                "updated closed [status, qrCode, disconnectReason, holder]",
                "updated reconnecting [status, disconnectReason, holder]",
            ]
        )
        for id in ["ended", "closed", "reconnecting"] {
            let session = try #require(try manager.getSession(id))
            #expect(session.status == .disconnected && session.qrCode == nil && session.holder == nil)
            #expect(session.disconnectReason == DisconnectReason(text: "worker gone"))
        }
        #expect(try manager.getSession("living") == before[0])
        #expect(try manager.getSession("never") == before[3])
        #expect(try manager.recoverLeasedSessions() == [])

        #expect(try manager.recoverSessions() == [before[3]])
        #expect(try manager.getSession("never")?.disconnectReason == DisconnectReason(text: "the gateway stopped"))
        #expect(try manager.getSession("living") == before[0])
        #expect(try manager.recoverSessions() == [])
    }

    @Test func `who was recovered cannot be updated under the old lease`() throws {
        try manager.createSession("support")
        let lease = try open("eu-1")
        try manager.claimSession("support", under: lease)
        try manager.closeLease(lease)
        try manager.recoverSessions()
        let recovered = try manager.getSession("support")
        #expect(throws: LeaseLostError.self) {
            try manager.updateSession("support", SessionUpdates(status: .connected), under: lease)
        }
        #expect(try manager.getSession("support") == recovered)
    }

    @Test func `a session that was stopped stays so when its worker is gone, and followers hear that nobody serves it`()
        throws
    {
        try manager.createSession("support")
        let lease = try open("eu-1")
        try manager.claimSession("support", under: lease)
        let stopped = SessionUpdates(status: .disconnected, disconnectReason: .set(DisconnectReason(text: "by hand")))
        try manager.updateSession("support", stopped)
        try manager.closeLease(lease)
        let cursor = try manager.snapshot().cursor
        #expect(try manager.recoverLeasedSessions() == [])
        #expect(try manager.recoverSessions() == [])
        #expect(try changes(after: cursor) == ["updated support [holder]"])
        #expect(try manager.getSession("support")?.disconnectReason?.text == "by hand")
    }

    @Test(.onlySQLite) func `a damaged session whose lease is over is named, and the others are recovered`() throws {
        for id in ["a", "b", "c"] { try manager.createSession(id) }
        let lease = try open("eu-1")
        #expect(try manager.claimSessions(limit: 3, under: lease).count == 3)
        try manager.execute("UPDATE sessions SET name = CAST(x'ff' AS TEXT) WHERE id = 'b'")
        try manager.closeLease(lease)
        let error = #expect(throws: DatabaseError.self) { try manager.recoverLeasedSessions() }
        #expect(error?.message.contains("malformed name in the row with the id b") == true)
        #expect(try manager.getSessions(status: .disconnected).map(\.id) == ["a", "c"])
    }

    // MARK: What others see

    @Test func `a claim and a release are changes, a renewal and the end of a lease are none`() throws {
        try manager.createSession("support")
        let cursor = try manager.snapshot().cursor
        let lease = try open("eu-1")
        try manager.claimSession("support", under: lease)
        try manager.renewLease(lease, lasting: .seconds(90))
        try manager.releaseSession("support", under: lease)
        _ = try manager.claimSessions(limit: 1, under: lease)
        try manager.closeLease(lease)
        let change = "updated support [holder]"
        #expect(try changes(after: cursor) == [change, change, change])
        let statuses = try manager.getChanges(after: cursor).map { [$0.previousStatus, $0.status] }
        #expect(statuses == Array(repeating: [.initializing, .initializing], count: 3))
        #expect(try manager.query("SELECT fields FROM session_history ORDER BY number DESC LIMIT 1") == "holder")
    }

    @Test func `a change of the status and the holder at once is one change`() throws {
        try manager.createSession("support")
        let cursor = try manager.snapshot().cursor
        try manager.execute("UPDATE sessions SET lease = 1, status = 'disconnected'")
        #expect(try changes(after: cursor) == ["updated support [status, holder]"])
    }

    @Test func `the overview names the holder of a living lease`() throws {
        try manager.createSession("support")
        let holder = "SELECT coalesce(holder, 'nobody') FROM session_overview"
        #expect(try manager.query(holder) == "nobody")
        try manager.claimSession("support", under: open("eu-1"))
        #expect(try manager.query(holder) == "eu-1")
        try endLeases()
        #expect(try manager.query(holder) == "nobody")
    }

    @Test(.onlySQLite) func `the shell is refused a lease without a holder, and another number or holder for one`()
        throws
    {
        let lease = try open("eu-1")
        for (sql, rule) in [
            ("INSERT INTO leases (holder, ends_at) VALUES ('', 0)", "lease_without_holder: "),
            ("UPDATE leases SET number = number + 1", "lease_changed: "),
            ("UPDATE leases SET rowid = rowid + 1", "lease_changed: "),
            ("UPDATE leases SET holder = 'eu-2'", "lease_changed: "),
        ] {
            let error = #expect(throws: DatabaseError.self, "\(sql)") { try manager.execute(sql) }
            #expect(error?.message.contains(rule) == true, "\(sql)")
        }
        try manager.renewLease(lease, lasting: .seconds(60))
    }

    @Test(.onlySQLite) func `a holder in Latin-1 costs its own sessions only, until its lease is over`() throws {
        for id in ["a", "b"] { try manager.createSession(id) }
        try manager.execute(
            """
            INSERT INTO leases (number, holder, ends_at) VALUES (7, CAST(x'43616665E9' AS TEXT), 9e15);
            UPDATE sessions SET lease = 7 WHERE id = 'a'
            """
        )
        let snapshot = try manager.snapshot()
        #expect(snapshot.sessions.map(\.id) == ["b"])
        #expect(snapshot.damages.map(\.description) == ["malformed holder in the row with the id a"])
        #expect(throws: DatabaseError.self) { try manager.getSession("a") }
        try endLeases()
        #expect(try manager.getSession("a")?.holder == nil)
        #expect(try manager.recoverSessions().map(\.id) == ["a", "b"])
    }

    // MARK: A random walk

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `3,000 random operations on leases do what the rules say`(seed: UInt64) throws {
        var random = SplitMix64(state: seed)
        let ids = ["a", "b", "c", "d"]
        for id in ids { try manager.createSession(id) }
        // What must be true: the leases that live, and under which of all each session was claimed last.
        var living: Set<SessionLease> = []
        var all = [SessionLease(holder: "nobody", number: 7)]
        var claims: [String: SessionLease] = [:]
        var statuses = Dictionary(uniqueKeysWithValues: ids.map { ($0, Session.Status.initializing) })
        func server(of id: String) -> SessionLease? { claims[id].flatMap { living.contains($0) ? $0 : nil } }

        for step in 0..<3000 {
            let id = ids.randomElement(using: &random)!
            // Mostly one of the latest.
            let lease = all.suffix(6).randomElement(using: &random)!
            let isLiving = living.contains(lease)
            let lost = isLiving ? nil : LeaseLostError(lease: lease)
            switch Int.random(in: 0..<100, using: &random) {
            case 0..<8:
                let opened = try open("eu-\(Int.random(in: 1...2, using: &random))")
                #expect(!all.contains { $0.number == opened.number }, "step \(step)")
                all.append(opened)
                living.insert(opened)
            case 8..<12:
                try manager.closeLease(lease)
                living.remove(lease)
            case 12..<16:
                try manager.execute("UPDATE leases SET ends_at = 0 WHERE number = \(lease.number)")
                living.remove(lease)
            case 16..<26:
                #expect(failure { try manager.renewLease(lease, lasting: .seconds(60)) } as? LeaseLostError == lost)
            case 26..<50:
                let error = failure { try manager.claimSession(id, under: lease) }
                if let lost {
                    #expect(error as? LeaseLostError == lost, "step \(step)")
                } else if let other = server(of: id), other != lease {
                    #expect(error as? SessionTakenError == SessionTakenError(sessionID: id, holder: other.holder))
                } else {
                    #expect(error == nil, "step \(step)")
                    claims[id] = lease
                }
            case 50..<58:
                let error = failure { try manager.releaseSession(id, under: lease) }
                if let lost {
                    #expect(error as? LeaseLostError == lost, "step \(step)")
                } else if claims[id] == lease {
                    #expect(error == nil, "step \(step)")
                    claims[id] = nil
                } else {
                    #expect(error as? LeaseLostError == LeaseLostError(lease: lease, sessionID: id), "step \(step)")
                }
            case 58..<88:
                let status: Session.Status = Bool.random(using: &random) ? .connected : .disconnected
                let error = failure { try manager.updateSession(id, SessionUpdates(status: status), under: lease) }
                if isLiving && claims[id] == lease {
                    #expect(error == nil, "step \(step)")
                    statuses[id] = status
                } else {
                    let place = isLiving ? id : nil
                    #expect(error as? LeaseLostError == LeaseLostError(lease: lease, sessionID: place), "step \(step)")
                }
            case 88..<94:
                let unserved = ids.filter { server(of: $0) == nil }.prefix(2)
                var claimed: [String] = []
                let error = failure { claimed = try manager.claimSessions(limit: 2, under: lease).map(\.id) }
                #expect(claimed == (isLiving ? Array(unserved) : []), "step \(step)")
                #expect(error as? LeaseLostError == lost, "step \(step)")
                if isLiving { for id in unserved { claims[id] = lease } }
            default:
                let gone = ids.filter { statuses[$0] != .disconnected && claims[$0] != nil && server(of: $0) == nil }
                #expect(try manager.recoverLeasedSessions().map(\.id) == gone, "step \(step)")
                for id in gone { statuses[id] = .disconnected }
                for id in ids where server(of: id) == nil { claims[id] = nil }
            }
            for session in try manager.getAllSessions() {
                #expect(session.holder == server(of: session.id)?.holder, "step \(step)")
                #expect(session.status == statuses[session.id], "step \(step)")
            }
        }
    }

    /// What something throws; `nil` when it throws nothing.
    private func failure(_ body: () throws -> Void) -> (any Error)? {
        do {
            try body()
            return nil
        } catch {
            return error
        }
    }

    // MARK: async

    @Test func `without blocking each method does the same`() async throws {
        for id in ["a", "b"] { try await manager.createSession(id) }
        let lease = try await manager.openLease(holder: "eu-1", lasting: .seconds(60))
        let other = try await manager.openLease(holder: "eu-2", lasting: .seconds(60))
        try await manager.renewLease(lease, lasting: .seconds(90))
        #expect(try await manager.getLease(holder: "eu-1") == lease)
        #expect(try await manager.getLeases().map(\.lease) == [lease, other])
        #expect(try await manager.claimSession("a", under: lease).holder == "eu-1")
        await #expect(throws: SessionTakenError(sessionID: "a", holder: "eu-1")) {
            try await manager.claimSession("a", under: other)
        }
        #expect(try await manager.claimSessions(limit: 5, under: other).map(\.id) == ["b"])
        let updates = SessionUpdates(status: .connected)
        #expect(try await manager.updateSession("a", updates, under: lease).status == .connected)
        await #expect(throws: LeaseLostError(lease: other, sessionID: "a")) {
            try await manager.updateSession("a", updates, under: other)
        }
        try await manager.releaseSession("b", under: other)
        #expect(try await manager.getSession("b")?.holder == nil)
        #expect(try await manager.getChanges(of: "b", limit: 2).map(\.fields) == [[.holder], [.holder]])
        #expect(try await manager.newestCursor() == manager.snapshot().cursor)
        #expect(try await manager.getSessions(status: .connected, limit: 2).sessions.map(\.id) == ["a"])
        try await manager.closeLease(lease)
        await #expect(throws: LeaseLostError(lease: lease)) {
            try await manager.renewLease(lease, lasting: .seconds(60))
        }
        await #expect(throws: InvalidLeaseError(reason: .emptyHolder)) {
            try await manager.openLease(holder: "", lasting: .seconds(60))
        }
        #expect(try await manager.recoverLeasedSessions().map(\.id) == ["a"])
    }
}

/// Numbers of leases in more than one database.
@Suite struct LeaseNumberTests {
    @Test func `a number is not given again after a restore of an older copy`() throws {
        let folder = TemporaryFolder()
        let copy = folder.path + "/copy.sqlite"
        var numbers: Set<Int64> = []
        do {
            let manager = try SessionManager(storage: .file(path: folder.file))
            numbers.insert(try manager.openLease(holder: "eu-1", lasting: .seconds(60)).number)
            try manager.backUp(to: copy)
            for _ in 0..<3 { numbers.insert(try manager.openLease(holder: "eu-1", lasting: .seconds(60)).number) }
        }
        let restored = try SessionManager(storage: .file(path: copy))
        // Leases that were given at the same millisecond as another are numbered on from there.
        Thread.sleep(forTimeInterval: 0.01)
        for _ in 0..<3 { numbers.insert(try restored.openLease(holder: "eu-1", lasting: .seconds(60)).number) }
        #expect(numbers.count == 7)
    }

    @Test func `a lease lives on when the file is closed and opened again`() throws {
        let folder = TemporaryFolder()
        let lease: SessionLease
        do {
            let manager = try SessionManager(storage: .file(path: folder.file))
            try manager.createSession("support")
            try manager.updateSession("support", SessionUpdates(status: .connected))
            lease = try manager.openLease(holder: "eu-1", lasting: .seconds(60))
            try manager.claimSession("support", under: lease)
            try manager.close()
        }
        let manager = try SessionManager(storage: .file(path: folder.file))
        #expect(try manager.recoverSessions() == [])
        #expect(try manager.getSession("support")?.holder == "eu-1")
        try manager.renewLease(lease, lasting: .seconds(60))
        try manager.updateSession("support", SessionUpdates(name: .set("Ana")), under: lease)
    }
}
