import Foundation
import Testing
import WhatsAppSessions

/// The original TypeScript SessionManager's own list of tests, test by test.
@Suite(.eachEngine) struct SessionManagerTests {
    let manager = try! Engine.current.open()

    // MARK: Pages

    @Test func `pages have every session once, whatever is created and deleted meanwhile`() throws {
        for number in 0..<10 { try manager.createSession("\(number)") }
        var (seen, next) = ([String](), Int64?.some(0))
        while let place = next {
            let page = try manager.getSessions(status: nil, after: place, limit: 3)
            seen += page.sessions.map(\.id)
            next = page.next
            // The last of the page, and one that comes later.
            if place == 0 { for id in ["2", "7"] { try manager.deleteSession(id) } }
        }
        #expect(seen == ["0", "1", "2", "3", "4", "5", "6", "8", "9"])
        #expect(try manager.getSessions(status: nil, after: .max, limit: 3).sessions.isEmpty)
    }

    @Test func `pages of a status have those with it only, and end where there are no more`() throws {
        for number in 0..<6 { try manager.createSession("\(number)") }
        for id in ["1", "3", "5"] { try manager.updateSession(id, SessionUpdates(status: .connected)) }
        let first = try manager.getSessions(status: .connected, limit: 2)
        #expect(first.sessions.map(\.id) == ["1", "3"])
        let second = try manager.getSessions(status: .connected, after: #require(first.next), limit: 2)
        #expect(second.sessions.map(\.id) == ["5"])
        #expect(second.next == nil)
    }

    // MARK: createSession

    @Test func `creating without an id generates a version 4 UUID in lowercase`() throws {
        for id in [nil, ""] as [String?] {
            let session = try manager.createSession(id)
            #expect(
                session.id.wholeMatch(of: /[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/) != nil
            )
            #expect(try manager.getSession(session.id) == session)
        }
        #expect(try manager.getAllSessions().count == 2)
    }

    @Test func `creating with an id keeps it and starts initializing, with nothing else known`() throws {
        let before = Date()
        let session = try manager.createSession("support")
        #expect(session == Session(id: "support", status: .initializing, createdAt: session.createdAt))
        #expect(abs(session.createdAt.timeIntervalSince(before)) < 60)
        #expect(
            session.createdAt
                == Date(timeIntervalSince1970: (session.createdAt.timeIntervalSince1970 * 1000).rounded() / 1000)
        )
        #expect(try manager.getSession("support") == session)
    }

    @Test func `creating with an id that exists is refused and leaves the first as it was`() throws {
        try manager.createSession("support")
        let first = try manager.updateSession("support", SessionUpdates(status: .connected, name: .set("Ana")))
        let error = #expect(throws: SessionAlreadyExistsError.self) { try manager.createSession("support") }
        #expect(error?.sessionID == "support")
        #expect(error?.description == "Session support already exists")
        #expect(error?.localizedDescription == "Session support already exists")
        #expect(error?.recoverySuggestion?.isEmpty == false)
        #expect(try manager.getAllSessions() == [first])
    }

    // MARK: getSession

    @Test func `getting an existing session returns it`() throws {
        let session = try manager.createSession("support")
        #expect(try manager.getSession("support") == session)
    }

    @Test func `getting a session that does not exist returns nil`() throws {
        try manager.createSession("support")
        #expect(try manager.getSession("Support") == nil)
    }

    // MARK: updateSession

    @Test func `updating the status returns the session as it is stored`() throws {
        try manager.createSession("support")
        let session = try manager.updateSession("support", SessionUpdates(status: .qrWaiting, qrCode: .set("2@code")))
        #expect(session.status == .qrWaiting)
        #expect(session.qrCode == "2@code")
        #expect(try manager.getSession("support") == session)
    }

    @Test func `updating a session that does not exist is an error and creates nothing`() throws {
        let error = #expect(throws: SessionNotFoundError.self) {
            try manager.updateSession("support", SessionUpdates(status: .connected))
        }
        #expect(error?.sessionID == "support")
        #expect(error?.description == "Session support not found")
        #expect(error?.localizedDescription == "Session support not found")
        #expect(error?.recoverySuggestion?.isEmpty == false)
        #expect(try manager.getAllSessions().isEmpty)
    }

    @Test func `updating one field preserves the others`() throws {
        let created = try manager.createSession("support")
        let date = Date(timeIntervalSince1970: 1_772_442_111.403)
        try manager.updateSession("support", SessionUpdates(phoneNumber: .set("447700900123"), name: .set("Ana")))
        try manager.updateSession("support", SessionUpdates(connectedAt: .set(date)))
        let session = try manager.updateSession("support", SessionUpdates(status: .qrWaiting, qrCode: .set("2@code")))
        #expect(
            session.unstamped
                == Session(
                    id: "support",
                    status: .qrWaiting,
                    phoneNumber: "447700900123",
                    name: "Ana",
                    createdAt: created.createdAt,
                    connectedAt: date,
                    qrCode: "2@code"
                )
        )
        #expect(try manager.updateSession("support", SessionUpdates()) == session)
    }

    @Test func `each field that can be empty is set, kept and cleared on its own`() throws {
        func expect(_ set: SessionUpdates, _ clear: SessionUpdates, _ field: (Session) -> Bool) throws {
            let id = try manager.createSession().id
            let all = SessionUpdates(
                status: .qrWaiting,
                phoneNumber: .set("1"),
                name: .set("n"),
                connectedAt: .set(.distantPast),
                qrCode: .set("q"),
                disconnectReason: .set(DisconnectReason(code: 408, text: "r"))
            )
            let empty = try manager.updateSession(id, SessionUpdates(status: .qrWaiting))
            #expect(!field(empty))
            #expect(field(try manager.updateSession(id, set)))
            #expect(field(try manager.updateSession(id, SessionUpdates())))
            #expect(try manager.updateSession(id, clear) == empty)

            let full = try manager.updateSession(id, all)
            let without = try manager.updateSession(id, clear)
            #expect(!field(without))
            #expect(try manager.updateSession(id, set).unstamped == full.unstamped)
        }
        try expect(SessionUpdates(phoneNumber: .set("1")), SessionUpdates(phoneNumber: .clear)) {
            $0.phoneNumber == "1"
        }
        try expect(SessionUpdates(name: .set("n")), SessionUpdates(name: .clear)) { $0.name == "n" }
        try expect(SessionUpdates(qrCode: .set("q")), SessionUpdates(qrCode: .clear)) { $0.qrCode == "q" }
        try expect(SessionUpdates(connectedAt: .set(.distantPast)), SessionUpdates(connectedAt: .clear)) {
            $0.connectedAt == .distantPast
        }
        let reason = DisconnectReason(code: 408, text: "r")
        try expect(SessionUpdates(disconnectReason: .set(reason)), SessionUpdates(disconnectReason: .clear)) {
            $0.disconnectReason == reason
        }
    }

    @Test func `updating one session leaves its neighbours alone`() throws {
        let first = try manager.createSession("first")
        try manager.createSession("second")
        let third = try manager.createSession("third")
        let second = try manager.updateSession("second", SessionUpdates(status: .connected, name: .set("Ana")))
        #expect(try manager.getAllSessions() == [first, second, third])
    }

    // MARK: deleteSession, sessionExists

    @Test func `deleting an existing session removes it alone and answers true`() throws {
        try manager.createSession("support")
        let sales = try manager.createSession("sales")
        #expect(try manager.deleteSession("support"))
        #expect(try manager.getAllSessions() == [sales])
        #expect(try !manager.sessionExists("support"))
        #expect(try manager.createSession("support").status == .initializing)
    }

    @Test func `deleting a session that does not exist answers false`() throws {
        try manager.createSession("sales")
        #expect(try !manager.deleteSession("support"))
        #expect(try manager.deleteSession("sales"))
        #expect(try !manager.deleteSession("sales"))
    }

    @Test func `a session exists from its creation to its deletion`() throws {
        #expect(try !manager.sessionExists("support"))
        try manager.createSession("support")
        #expect(try manager.sessionExists("support"))
        try manager.deleteSession("support")
        #expect(try !manager.sessionExists("support"))
    }

    // MARK: getAllSessions

    @Test func `a new manager has no sessions`() throws {
        #expect(try manager.getAllSessions() == [])
    }

    @Test func `all sessions come in order of creation, whatever happened to them since`() throws {
        let ids = ["b", "a", "d", "c"]
        for id in ids { try manager.createSession(id) }
        try manager.updateSession("a", SessionUpdates(status: .connected))
        #expect(try manager.getAllSessions().map(\.id) == ids)
        try manager.deleteSession("b")
        try manager.createSession("b")
        #expect(try manager.getAllSessions().map(\.id) == ["a", "d", "c", "b"])
    }

    // MARK: init, shared

    @Test func `two managers have nothing in common`() throws {
        try manager.createSession("support")
        #expect(try SessionManager().getAllSessions().isEmpty)
    }

    @Test func `the shared manager is one and the same`() throws {
        let id = try SessionManager.shared.createSession().id
        #expect(try SessionManager.shared.sessionExists(id))
        #expect(try !manager.sessionExists(id))
        #expect(try SessionManager.shared.deleteSession(id))
    }
}
