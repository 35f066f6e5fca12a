import Foundation
import Testing

@testable import WhatsAppSessions

/// When a status began and a QR code came, and why an account went offline.
@Suite(.eachEngine) struct SessionTimesTests {
    let manager = try! Engine.current.open()

    /// Has the table update a session at a moment of the test's choice.
    private func update(_ updates: SessionUpdates, at now: Int64) throws -> Session {
        let write = SessionWrite.update(
            id: "support",
            updates,
            connectedAt: nil,
            qrCodeReceivedAt: updates.qrCodeReceivedAt?.milliseconds,
            under: nil,
            at: now
        )
        return try #require(manager.make(write, at: now).session)
    }

    private func time(_ milliseconds: Int64) -> Date { Date(milliseconds: milliseconds) }

    @Test func `a restriction stays whatever the status is, until it is cleared, and each change of it is kept`() throws
    {
        try manager.createSession("support")
        let cursor = try manager.snapshot().cursor
        let restricted = SessionUpdates(status: .connected, restriction: .set("new chats"))
        #expect(try manager.updateSession("support", restricted).restriction == "new chats")
        try manager.updateSession("support", SessionUpdates(status: .disconnected))
        #expect(try manager.getSession("support")?.restriction == "new chats")
        #expect(try manager.getAllSessions().map(\.restriction) == ["new chats"])
        #expect(try manager.query("SELECT restriction FROM session_overview") == "new chats")
        #expect(try manager.updateSession("support", SessionUpdates(restriction: .clear)).restriction == nil)
        try manager.updateSession("support", SessionUpdates(restriction: .clear))
        let fields = try manager.getChanges(after: cursor).map(\.fields)
        #expect(fields == [[.status, .connectedAt, .restriction], [.status], [.restriction]])
        #expect(try manager.query("SELECT fields FROM session_history ORDER BY number DESC LIMIT 1") == "restriction")
    }

    @Test func `a wish stays whatever the status is, until it is cleared, and each change of it is kept`() throws {
        try manager.createSession("support")
        let cursor = try manager.snapshot().cursor
        for wish in Session.Wish.allCases {
            #expect(try manager.updateSession("support", SessionUpdates(wish: .set(wish))).wish == wish)
            #expect(try manager.getSession("support")?.wish == wish)
            #expect(try manager.query("SELECT wish FROM session_overview") == wish.rawValue)
        }
        for status in [Session.Status.connected, .disconnected, .initializing] {
            #expect(try manager.updateSession("support", SessionUpdates(status: status)).wish == .pair)
        }
        try manager.updateSession("support", SessionUpdates(wish: .set(.pair)))
        #expect(try manager.updateSession("support", SessionUpdates(wish: .clear)).wish == nil)
        let fields = try manager.getChanges(after: cursor).map(\.fields)
        #expect(fields.count { $0 == [.wish] } == 4)
        #expect(fields.count == 7)
        #expect(try manager.query("SELECT fields FROM session_history ORDER BY number DESC LIMIT 1") == "wish")
        let error = #expect(throws: DatabaseError.self) { try manager.execute("UPDATE sessions SET wish = 'rest'") }
        #expect(error?.message.contains("unknown_wish: a wish is stop, logout or pair") == true)
    }

    // MARK: Times

    @Test func `a code that comes late counts from when WhatsApp sent it, and never from the future`() throws {
        try manager.createSession("support")
        func receive(_ code: String, sentAt: Int64?, at now: Int64) throws -> Session {
            let updates = SessionUpdates(
                status: .qrWaiting,
                qrCode: .set(code),
                qrCodeReceivedAt: sentAt.map(time)
            )
            return try update(updates, at: now)
        }
        let late = try receive("2@one", sentAt: 10_000, at: 60_000)
        #expect(late.qrCodeReceivedAt == time(10_000) && late.qrCodeExpiresAt == time(70_000))
        // The same code is not timed again, and neither is anything else of the session.
        #expect(try receive("2@one", sentAt: 20_000, at: 61_000).qrCodeReceivedAt == time(10_000))
        #expect(late.statusChangedAt == time(60_000))
        #expect(try receive("2@two", sentAt: 90_000, at: 62_000).qrCodeReceivedAt == time(62_000))
        #expect(try receive("2@three", sentAt: nil, at: 63_000).qrCodeReceivedAt == time(63_000))
        #expect(try receive("2@four", sentAt: 63_000, at: 64_000).qrCodeReceivedAt == time(63_001))
        #expect(try manager.getSession("support")?.qrCodeReceivedAt == time(63_001))
        let error = #expect(throws: InvalidSessionUpdateError.self) {
            try manager.updateSession(
                "support",
                SessionUpdates(qrCode: .set("2@five"), qrCodeReceivedAt: Date(timeIntervalSince1970: .infinity))
            )
        }
        #expect(error?.reason == .dateOutOfRange)
    }

    @Test func `a change of status is timed, and nothing else moves its time`() throws {
        let created = try manager.createSession("support")
        #expect(created.statusChangedAt == created.createdAt)
        #expect(try update(SessionUpdates(name: .set("Ana")), at: 1).statusChangedAt == created.createdAt)
        #expect(try update(SessionUpdates(status: .initializing), at: 2).statusChangedAt == created.createdAt)
        #expect(try update(SessionUpdates(status: .qrWaiting), at: 3).statusChangedAt == time(3))
        #expect(try update(SessionUpdates(status: .qrWaiting, qrCode: .set("2@one")), at: 4).statusChangedAt == time(3))
        #expect(try update(SessionUpdates(status: .connected), at: 5).statusChangedAt == time(5))
        #expect(try update(SessionUpdates(status: .connected), at: 6).statusChangedAt == time(5))
        #expect(try manager.getSession("support")?.statusChangedAt == time(5))
    }

    @Test func `a new QR code is timed, the same one is not, and without one there is no time`() throws {
        try manager.createSession("support")
        #expect(try update(SessionUpdates(status: .qrWaiting), at: 1).qrCodeReceivedAt == nil)
        #expect(try update(SessionUpdates(qrCode: .set("2@one")), at: 2).qrCodeReceivedAt == time(2))
        #expect(try update(SessionUpdates(name: .set("Ana"), qrCode: .set("2@one")), at: 3).qrCodeReceivedAt == time(2))
        #expect(try update(SessionUpdates(qrCode: .set("2@two")), at: 4).qrCodeReceivedAt == time(4))
        #expect(try update(SessionUpdates(qrCode: .clear), at: 5).qrCodeReceivedAt == nil)
        #expect(try update(SessionUpdates(qrCode: .set("2@two")), at: 6).qrCodeReceivedAt == time(6))
        #expect(try update(SessionUpdates(status: .initializing), at: 7).qrCodeReceivedAt == nil)
    }

    @Test func `the first QR code of a pairing is good for a minute, later ones for twenty seconds`() throws {
        #expect(try manager.createSession("support").qrCodeExpiresAt == nil)
        let waiting = { (code: Int) in SessionUpdates(status: .qrWaiting, qrCode: .set("2@\(code)")) }
        #expect(try update(waiting(1), at: 5_000).qrCodeExpiresAt == time(65_000))
        #expect(try update(SessionUpdates(name: .set("Ana")), at: 6_000).qrCodeExpiresAt == time(65_000))
        #expect(try update(waiting(2), at: 65_000).qrCodeExpiresAt == time(85_000))
        #expect(try update(SessionUpdates(status: .initializing), at: 70_000).qrCodeExpiresAt == nil)
        // In the same millisecond: the status changes a millisecond later, and the code is the first all the same.
        #expect(try update(waiting(3), at: 70_000).qrCodeExpiresAt == time(130_000))
    }

    @Test func `which code of its pairing a code is, is decided when it is stored`() throws {
        try manager.createSession("support")
        // The first code long after the status, and later codes right after it.
        #expect(try update(SessionUpdates(status: .qrWaiting), at: 1_000).qrCodeExpiresAt == nil)
        #expect(try update(SessionUpdates(qrCode: .set("2@1")), at: 3_000).qrCodeExpiresAt == time(63_000))
        #expect(try update(SessionUpdates(qrCode: .set("2@2")), at: 3_300).qrCodeExpiresAt == time(23_300))
        // Cleared between two codes.
        #expect(try update(SessionUpdates(qrCode: .clear), at: 4_000).qrCodeExpiresAt == nil)
        #expect(try update(SessionUpdates(qrCode: .set("2@3")), at: 5_000).qrCodeExpiresAt == time(25_000))
        // Another pairing.
        _ = try update(SessionUpdates(status: .disconnected), at: 6_000)
        let again = SessionUpdates(status: .qrWaiting, qrCode: .set("2@4"))
        #expect(try update(again, at: 7_000).qrCodeExpiresAt == time(67_000))
    }

    @Test(.onlySQLite, arguments: [false, true])
    func `codes that the shell sets are numbered too`(recursiveTriggers: Bool) throws {
        try manager.execute("PRAGMA recursive_triggers = \(recursiveTriggers)")
        try manager.execute(
            "INSERT INTO sessions (id, created_at, status, qr_code) VALUES ('support', 1, 'qr_waiting', '2@1')"
        )
        func numbers() throws -> String? { try manager.query("SELECT group_concat(qr_code_number) FROM sessions") }
        #expect(try numbers() == "1")
        try manager.execute("UPDATE sessions SET qr_code = '2@2'")
        #expect(try numbers() == "2")
        try manager.execute("UPDATE sessions SET name = 'Ana'")
        #expect(try numbers() == "2")
        try manager.execute("UPDATE sessions SET qr_code = NULL")
        try manager.execute("UPDATE sessions SET qr_code = '2@3'")
        #expect(try numbers() == "3")
        let session = try #require(try manager.getSession("support"))
        #expect(session.qrCodeExpiresAt == session.qrCodeReceivedAt?.addingTimeInterval(20))
        try manager.execute("UPDATE sessions SET status = 'disconnected', qr_code = NULL")
        #expect(try numbers() == nil)
        try manager.execute("UPDATE sessions SET status = 'qr_waiting', qr_code = '2@3'")
        #expect(try numbers() == "1")
        try manager.execute(
            """
            INSERT INTO sessions (id, created_at, status, qr_code, qr_code_received_at)
            VALUES ('sales', 1, 'qr_waiting', '2@4', 7)
            """
        )
        #expect(try numbers() == "1,1")
        try manager.execute("DELETE FROM sessions WHERE id = 'sales'")
        // A code without a number counts as a later one.
        try manager.execute("UPDATE sessions SET qr_code_number = NULL")
        #expect(try numbers() == "2")
    }

    @Test func `changes in one millisecond are a millisecond apart, and what is answered is stored`() throws {
        try manager.createSession("support")
        for (number, status) in [Session.Status.qrWaiting, .initializing, .qrWaiting, .initializing].enumerated() {
            let answer = try update(SessionUpdates(status: status), at: 1000)
            #expect(answer.statusChangedAt == time(1000 + Int64(number)))
            #expect(try manager.getSession("support") == answer)
        }
        for number in 0..<4 {
            let updates = SessionUpdates(status: .qrWaiting, qrCode: .set("2@\(number)"))
            let answer = try update(updates, at: 2000)
            #expect(answer.qrCodeReceivedAt == time(2000 + Int64(number)))
            #expect(try manager.getSession("support") == answer)
        }
        // A clock that was set back by more than a second is believed.
        #expect(try update(SessionUpdates(qrCode: .set("2@before")), at: 500).qrCodeReceivedAt == time(500))
        #expect(try update(SessionUpdates(status: .initializing), at: 500).statusChangedAt == time(500))
    }

    @Test(.onlySQLite) func `someone using the shell gets the times set`() throws {
        try manager.createSession("support")
        _ = try update(SessionUpdates(status: .qrWaiting, qrCode: .set("2@one")), at: 1000)
        func expectNow(_ date: Date?) { #expect(abs(date?.timeIntervalSinceNow ?? .infinity) < 60) }

        try manager.execute("UPDATE sessions SET qr_code = '2@two'")
        var session = try #require(try manager.getSession("support"))
        #expect(session.statusChangedAt == time(1000))
        expectNow(session.qrCodeReceivedAt)

        _ = try update(SessionUpdates(qrCode: .set("2@three")), at: 2000)
        try manager.execute("UPDATE sessions SET qr_code = '2@four', qr_code_number = 9")
        session = try #require(try manager.getSession("support"))
        expectNow(session.qrCodeReceivedAt)

        try manager.execute("UPDATE sessions SET status = 'disconnected', qr_code = NULL")
        session = try #require(try manager.getSession("support"))
        expectNow(session.statusChangedAt)
        _ = try update(SessionUpdates(status: .initializing), at: 3000)
        try manager.execute("UPDATE sessions SET status = 'disconnected'")
        expectNow(try manager.getSession("support")?.statusChangedAt)
        #expect(session.qrCodeReceivedAt == nil)

        try manager.execute(
            "INSERT INTO sessions (id, created_at, status, qr_code) VALUES ('sales', 0, 'qr_waiting', '2@three')"
        )
        session = try #require(try manager.getSession("sales"))
        #expect(session.statusChangedAt == time(0))
        expectNow(session.qrCodeReceivedAt)

        // A code has a time, and what is no code has none.
        try manager.execute("UPDATE sessions SET qr_code_received_at = NULL WHERE id = 'sales'")
        expectNow(try manager.getSession("sales")?.qrCodeReceivedAt)
        try manager.execute("UPDATE sessions SET qr_code = NULL, qr_code_received_at = 9 WHERE id = 'sales'")
        #expect(try manager.getSession("sales")?.qrCodeReceivedAt == nil)
        try manager.execute("INSERT INTO sessions (id, created_at, qr_code_received_at) VALUES ('billing', 0, 9)")
        #expect(try manager.getSession("billing")?.qrCodeReceivedAt == nil)
        try manager.deleteSession("billing")

        // Times that the statement itself sets are kept.
        try manager.execute("UPDATE sessions SET status = 'initializing', status_changed_at = 7, qr_code = NULL")
        #expect(try manager.getAllSessions().map(\.statusChangedAt) == [time(7), time(7)])
        #expect(try manager.getChanges(after: manager.snapshot().cursor) == [])
    }

    // MARK: Reasons

    let loggedOut = DisconnectReason(code: 401, text: "logged out on the phone")

    @Test func `a reason stays until the account is connected again`() throws {
        try manager.createSession("support")
        let offline = SessionUpdates(status: .disconnected, disconnectReason: .set(loggedOut))
        #expect(try manager.updateSession("support", offline).disconnectReason == loggedOut)
        for status in [Session.Status.initializing, .qrWaiting, .disconnected] {
            #expect(try manager.updateSession("support", SessionUpdates(status: status)).disconnectReason == loggedOut)
        }
        #expect(try manager.updateSession("support", SessionUpdates(status: .connected)).disconnectReason == nil)
        #expect(try manager.updateSession("support", SessionUpdates(status: .disconnected)).disconnectReason == nil)
    }

    @Test func `a connected session takes no reason, and one that becomes connected neither`() throws {
        try manager.createSession("support")
        for _ in 0..<2 {
            let before = try manager.getSession("support")
            let error = #expect(throws: InvalidSessionUpdateError.self) {
                try manager.updateSession(
                    "support",
                    SessionUpdates(status: .connected, disconnectReason: .set(loggedOut))
                )
            }
            #expect(error?.reason == .disconnectReasonWhileConnected)
            #expect(try manager.getSession("support") == before)
            try manager.updateSession("support", SessionUpdates(status: .connected, disconnectReason: .clear))
        }
        #expect(throws: InvalidSessionUpdateError.self) {
            try manager.updateSession("support", SessionUpdates(disconnectReason: .set(loggedOut)))
        }
    }

    @Test func `recovering gives those a reason that have none, and a time`() throws {
        for id in ["new", "logged out", "offline"] { try manager.createSession(id) }
        try manager.updateSession("logged out", SessionUpdates(status: .qrWaiting, disconnectReason: .set(loggedOut)))
        let offline = try manager.updateSession("offline", SessionUpdates(status: .disconnected))
        try manager.execute("UPDATE sessions SET status_changed_at = 7 WHERE id <> 'offline'")
        let before = try manager.getAllSessions()
        let start = try manager.snapshot().cursor
        #expect(try manager.recoverSessions() == Array(before.prefix(2)))
        let after = try manager.getAllSessions()
        #expect(after.map(\.disconnectReason) == [DisconnectReason(text: "the gateway stopped"), loggedOut, nil])
        #expect(after.map(\.status) == [.disconnected, .disconnected, .disconnected])
        for session in after.prefix(2) { #expect(abs(session.statusChangedAt.timeIntervalSinceNow) < 60) }
        #expect(after[2] == offline)
        #expect(try manager.getChanges(after: start).map(\.sessionID) == ["new", "logged out"])
    }
}
