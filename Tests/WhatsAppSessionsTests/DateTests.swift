import Foundation
import Testing

@testable import WhatsAppSessions

/// Dates are whole milliseconds in 64 bits.
@Suite(.eachEngine) struct DateTests {
    let manager = try! Engine.current.open()
    let id: String

    init() throws {
        id = try manager.createSession().id
    }

    @Test(arguments: [
        0, 0.001, -0.001, 1_772_442_111.403, -62_135_596_800, 253_402_300_799.999, 8_640_000_000_000,
        -8_640_000_000_000,
    ])
    func `a date in whole milliseconds comes back as it was`(seconds: Double) throws {
        let date = Date(timeIntervalSince1970: seconds)
        #expect(try manager.updateSession(id, SessionUpdates(connectedAt: .set(date))).connectedAt == date)
        #expect(try manager.getSession(id)?.connectedAt == date)
    }

    @Test(arguments: [Date.distantPast, .distantFuture])
    func `the distant past and the distant future can be stored`(date: Date) throws {
        #expect(try manager.updateSession(id, SessionUpdates(connectedAt: .set(date))).connectedAt == date)
    }

    @Test(arguments: [(1.000_4, 1.0), (1.000_6, 1.001), (-1.000_6, -1.001)])
    func `a finer date is rounded to the nearest millisecond`(given: Double, stored: Double) throws {
        let updates = SessionUpdates(connectedAt: .set(Date(timeIntervalSince1970: given)))
        #expect(try manager.updateSession(id, updates).connectedAt == Date(timeIntervalSince1970: stored))
    }

    @Test func `a stamp is a moment that has passed, not one that is rounded up`() {
        #expect(Date(timeIntervalSince1970: 1.9996).millisecondsCutOff == 1999)
        #expect(abs(Date(milliseconds: Date.millisecondsNow).timeIntervalSinceNow) < 60)
    }

    @Test func `a date that was read can be written again and stays the same`() throws {
        for exponent in stride(from: -3.0, through: 15.9, by: 0.037) {
            let date = Date(timeIntervalSince1970: pow(10, exponent))
            let once = try manager.updateSession(id, SessionUpdates(connectedAt: .set(date))).connectedAt
            let twice = try manager.updateSession(id, SessionUpdates(connectedAt: .set(#require(once)))).connectedAt
            #expect(once == twice)
        }
    }

    @Test(arguments: [
        .nan, .signalingNaN, .infinity, -.infinity, .greatestFiniteMagnitude, -.greatestFiniteMagnitude, 9.3e15,
        -9.3e15,
    ])
    func `a date that 64-bit milliseconds cannot hold is refused and changes nothing`(seconds: Double) throws {
        let before = try manager.getSession(id)
        let updates = SessionUpdates(name: .set("Ana"), connectedAt: .set(Date(timeIntervalSince1970: seconds)))
        let error = #expect(throws: InvalidSessionUpdateError.self) { try manager.updateSession(id, updates) }
        #expect(error?.reason == .dateOutOfRange)
        #expect(error?.sessionID == id)
        #expect(try manager.getSession(id) == before)
    }

    @Test(arguments: [9.2e15, -9.2e15])
    func `the last dates that fit can be stored`(seconds: Double) throws {
        let date = Date(timeIntervalSince1970: seconds)
        #expect(try manager.updateSession(id, SessionUpdates(connectedAt: .set(date))).connectedAt == date)
    }
}
