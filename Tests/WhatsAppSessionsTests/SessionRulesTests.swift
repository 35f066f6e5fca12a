import Foundation
import Testing
import WhatsAppSessions

/// Which status may follow which, and what a change of status does to the other fields.
@Suite(.eachEngine) struct SessionRulesTests {
    let manager = try! Engine.current.open()
    let earlier = Date(timeIntervalSince1970: 1_000_000.125)

    static let pairs = Session.Status.allCases.flatMap { from in Session.Status.allCases.map { (from, $0) } }

    /// A session with every field that its status allows.
    func session(in status: Session.Status) throws -> Session {
        let id = try manager.createSession().id
        return try manager.updateSession(
            id,
            SessionUpdates(
                status: status,
                phoneNumber: .set("447700900123"),
                name: .set("Ana"),
                connectedAt: .set(earlier),
                qrCode: status == .qrWaiting ? .set("2@old") : .unchanged
            )
        )
    }

    @Test(arguments: pairs)
    func `fifteen of the sixteen changes of status are made, with their effects`(
        from: Session.Status,
        to: Session.Status
    ) throws {
        let before = try session(in: from)
        guard (from, to) != (.connected, .qrWaiting) else { return }
        let start = Date()
        let after = try manager.updateSession(before.id, SessionUpdates(status: to))

        let isNewConnection = to == .connected && from != .connected
        #expect(
            after.unstamped
                == Session(
                    id: before.id,
                    status: to,
                    phoneNumber: "447700900123",
                    name: "Ana",
                    createdAt: before.createdAt,
                    connectedAt: isNewConnection ? after.connectedAt : earlier,
                    qrCode: from == .qrWaiting && to == .qrWaiting ? "2@old" : nil
                )
        )
        if isNewConnection {
            let connectedAt = try #require(after.connectedAt)
            #expect(abs(connectedAt.timeIntervalSince(start)) < 60)
        }
        #expect(try manager.getSession(before.id) == after)
    }

    @Test(arguments: [FieldUpdate.unchanged, .set("2@late"), .clear])
    func `connected to qr_waiting is refused, names both statuses and changes nothing`(code: FieldUpdate<String>) throws
    {
        let before = try session(in: .connected)
        let error = #expect(throws: InvalidSessionUpdateError.self) {
            try manager.updateSession(before.id, SessionUpdates(status: .qrWaiting, name: .set("Eve"), qrCode: code))
        }
        #expect(error?.sessionID == before.id)
        #expect(error?.reason == .connectedToQRWaiting)
        #expect(
            error?.description.hasPrefix("Session \(before.id) cannot be updated: connected never becomes qr_waiting")
                == true
        )
        #expect(error?.localizedDescription == error?.description)
        #expect(try manager.getSession(before.id) == before)
    }

    @Test func `after a disconnection the account may be paired anew`() throws {
        let id = try session(in: .connected).id
        for status in [Session.Status.disconnected, .initializing] {
            try manager.updateSession(id, SessionUpdates(status: status))
            #expect(try manager.updateSession(id, SessionUpdates(status: .qrWaiting)).status == .qrWaiting)
            try manager.updateSession(id, SessionUpdates(status: .connected))
        }
    }

    @Test(arguments: Session.Status.allCases)
    func `becoming connected takes the connection time of the update`(from: Session.Status) throws {
        let date = Date(timeIntervalSince1970: 2_000_000.5)
        let id = try session(in: from).id
        let updates = SessionUpdates(status: .connected, connectedAt: .set(date))
        #expect(try manager.updateSession(id, updates).connectedAt == date)
    }

    @Test(arguments: Session.Status.allCases)
    func `connected without a connection time is refused`(from: Session.Status) throws {
        let before = try session(in: from)
        let error = #expect(throws: InvalidSessionUpdateError.self) {
            try manager.updateSession(
                before.id,
                SessionUpdates(status: .connected, name: .set("Eve"), connectedAt: .clear)
            )
        }
        #expect(error?.reason == .connectedWithoutConnectedAt)
        #expect(try manager.getSession(before.id) == before)
    }

    @Test func `a connected session cannot lose its connection time`() throws {
        let before = try session(in: .connected)
        let error = #expect(throws: InvalidSessionUpdateError.self) {
            try manager.updateSession(before.id, SessionUpdates(connectedAt: .clear))
        }
        #expect(error?.reason == .connectedWithoutConnectedAt)
        #expect(try manager.getSession(before.id) == before)
    }

    @Test(arguments: pairs)
    func `a QR code is taken only where the status is, or becomes, qr_waiting`(
        from: Session.Status,
        to: Session.Status
    ) throws {
        let before = try session(in: from)
        // The same once with the status named and once, where it does not change, without.
        for status in from == to ? [to, nil] : [to] {
            let updates = SessionUpdates(status: status, name: .set("Eve"), qrCode: .set("2@new"))
            if (from, to) == (.connected, .qrWaiting) {
                #expect(throws: InvalidSessionUpdateError.self) { try manager.updateSession(before.id, updates) }
            } else if to == .qrWaiting {
                #expect(try manager.updateSession(before.id, updates).qrCode == "2@new")
            } else {
                let error = #expect(throws: InvalidSessionUpdateError.self) {
                    try manager.updateSession(before.id, updates)
                }
                #expect(error?.reason == .qrCodeOutsideQRWaiting)
                #expect(try manager.getSession(before.id) == before)
            }
        }
    }

    /// One statement computes what another one writes.
    @Test func `every update answers with what is stored then, or throws and changes nothing`() throws {
        func fields<Value>(_ value: Value) -> [FieldUpdate<Value>] { [.unchanged, .set(value), .clear] }
        var (done, refused) = (0, 0)
        for from in Session.Status.allCases {
            for to in [nil] + Session.Status.allCases {
                for (phoneNumber, name) in zip(fields("491700900123"), fields("Bo").reversed()) {
                    for connectedAt in fields(Date(timeIntervalSince1970: 2_000_000)) {
                        for qrCode in fields("2@new") {
                            let before = try session(in: from)
                            let updates = SessionUpdates(
                                status: to,
                                phoneNumber: phoneNumber,
                                name: name,
                                connectedAt: connectedAt,
                                qrCode: qrCode
                            )
                            do {
                                let answer = try manager.updateSession(before.id, updates)
                                #expect(try manager.getSession(before.id) == answer)
                                done += 1
                            } catch is InvalidSessionUpdateError {
                                #expect(try manager.getSession(before.id) == before)
                                refused += 1
                            }
                        }
                    }
                }
            }
        }
        #expect(done + refused == 4 * 5 * 3 * 3 * 3 && done > 250 && refused > 100, "\(done) done, \(refused) refused")
    }

    @Test func `a session may wait for its QR code before there is one`() throws {
        let id = try manager.createSession().id
        #expect(try manager.updateSession(id, SessionUpdates(status: .qrWaiting)).qrCode == nil)
        #expect(try manager.updateSession(id, SessionUpdates(qrCode: .set("2@code"))).qrCode == "2@code")
        #expect(try manager.updateSession(id, SessionUpdates(qrCode: .clear)).status == .qrWaiting)
    }

    @Test func `a refused update says which rule it would break`() {
        let reasons: [InvalidSessionUpdateError.Reason] = [
            .connectedToQRWaiting, .qrCodeOutsideQRWaiting, .connectedWithoutConnectedAt, .dateOutOfRange,
            .disconnectReasonWhileConnected,
        ]
        #expect(Set(reasons).count == 5)
        #expect(reasons[0].description.contains("connected") && reasons[0].description.contains("qr_waiting"))
    }
}
