import Foundation
import Testing
import WhatsAppSessions

@testable import Gateway

/// A session as its JSON should be: the library's, and what a worker or a page would have to work out.
struct SessionJSON: Encodable {
    private let session: Session
    private let pairing: Pairing?

    /// How the code that waits is used: scanned, or typed into the phone.
    private enum Pairing: String, Encodable { case qr, code }

    /// A single session has its code, for whoever asks for that one. Lists, events and webhooks have none.
    init(_ session: Session, withQRCode: Bool = false) {
        pairing = session.qrCode.map { PairingCode.isOne($0) ? .code : .qr }
        self.session = session.shown(withQRCode: withQRCode, withExpiry: pairing != .code)
    }

    private enum CodingKeys: String, CodingKey {
        case needsSocket
        case isLinked = "linked"
        case pairing
    }

    func encode(to encoder: any Encoder) throws {
        try session.encode(to: encoder)
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(session.needsSocket, forKey: .needsSocket)
        try container.encode(session.isLinked, forKey: .isLinked)
        try container.encodeIfPresent(pairing, forKey: .pairing)
    }
}

extension Session {
    /// - Parameter withExpiry: Whether the end of the code is known: the library's is that of a QR code.
    fileprivate func shown(withQRCode: Bool, withExpiry: Bool) -> Session {
        Session(
            id: id,
            status: status,
            phoneNumber: phoneNumber,
            name: name,
            createdAt: createdAt,
            connectedAt: connectedAt,
            qrCode: withQRCode ? qrCode : nil,
            statusChangedAt: statusChangedAt,
            qrCodeReceivedAt: qrCodeReceivedAt,
            disconnectReason: disconnectReason,
            qrCodeExpiresAt: withExpiry ? qrCodeExpiresAt : nil,
            restriction: restriction,
            holder: holder,
            wish: wish
        )
    }
}

@Suite struct SessionTextTests {
    private struct Random: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state >> 33) | (state << 31)
        }
    }

    private func text(_ random: inout Random) -> String {
        let kind = Int.random(in: 0..<6, using: &random)
        if kind == 0 { return ["", "support", "ABCD-1234", "447700900123", "2@code"].randomElement(using: &random)! }
        return String(
            String.UnicodeScalarView(
                (0..<Int.random(in: 0..<12, using: &random)).map { _ in
                    let limit: UInt32 = [0x30, 0x80, 0x800, 0xD7FF, 0x1_0FFFF].randomElement(using: &random)!
                    return Unicode.Scalar(UInt32.random(in: 0..<limit, using: &random)) ?? "x"
                }
            )
        )
    }

    private func date(_ random: inout Random) -> Date {
        let seconds: Double =
            switch Int.random(in: 0..<8, using: &random) {
            case 0:
                [0, -1, 253_402_300_799.999, 1e18, -1e18, 951_782_400, 4_107_542_400].randomElement(using: &random)!
            case 1: Double.random(in: 0...253_402_300_800, using: &random)
            default: Double.random(in: 1.7e9...1.9e9, using: &random)
            }
        return Date(timeIntervalSince1970: seconds)
    }

    private func session(_ random: inout Random) -> Session {
        func maybe<Value>(_ value: (inout Random) -> Value) -> Value? {
            Bool.random(using: &random) ? value(&random) : nil
        }
        let texts = KnownReason.allCases.map(\.rawValue)
        let reasons: [DisconnectReason?] = [
            nil, DisconnectReason(text: text(&random)),
            DisconnectReason(code: .min, text: texts.randomElement(using: &random)!),
            DisconnectReason(code: 401, text: texts.randomElement(using: &random)! + " until 2026-03-02T10:00:00.000Z"),
        ]
        return Session(
            id: text(&random),
            status: Session.Status.allCases.randomElement(using: &random)!,
            phoneNumber: maybe(text),
            name: maybe(text),
            createdAt: date(&random),
            connectedAt: maybe(date),
            qrCode: maybe(text),
            statusChangedAt: maybe(date),
            qrCodeReceivedAt: maybe(date),
            disconnectReason: reasons.randomElement(using: &random)!,
            qrCodeExpiresAt: maybe(date),
            restriction: maybe(text),
            holder: maybe(text),
            wish: maybe { Session.Wish.allCases.randomElement(using: &$0)! }
        )
    }

    @Test func `20,000 random sessions are byte for byte what the encoder makes of them`() throws {
        let seed = UInt64.random(in: .min ... .max)
        var random = Random(state: seed)
        for number in 0..<20_000 {
            let session = session(&random)
            let withQRCode = number % 2 == 0
            var text: [UInt8] = []
            text.writeSession(session, withQRCode: withQRCode)
            let expected = try JSONEncoder.gateway.encode(SessionJSON(session, withQRCode: withQRCode))
            guard Data(text) == expected else {
                Issue.record(
                    "seed \(seed): \(String(decoding: text, as: UTF8.self)) is not \(String(decoding: expected, as: UTF8.self))"
                )
                return
            }
        }
    }
}
