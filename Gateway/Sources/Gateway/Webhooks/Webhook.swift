import Crypto
import Foundation
import WhatsAppSessions

/// One message to the receiver of webhooks, in the envelope of WAHA.
struct Webhook: Encodable {
    /// Names the change, so that a receiver recognises one that comes again.
    let id: String
    /// Milliseconds since 1970.
    let timestamp: Int64
    let event: String
    /// The id of the session; absent in `sessions.reset`.
    var session: String?
    /// The account, as far as it is known.
    var me: Account?
    var payload = Payload()

    struct Account: Encodable {
        let id: String, pushName: String?
    }

    struct Payload: Encodable {
        var status, previousStatus: Session.Status?
        var disconnectReason: DisconnectReason?
        /// What WhatsApp doesn't let the account do.
        var restriction: String?
        var qrCodeReceivedAt, qrCodeExpiresAt: Date?
    }

    /// The message for a change of a status, a name, a number or a restriction, a new QR code, and a deletion; `nil` for any other.
    ///
    /// - Parameter session: The session as it is now, for what the journal doesn't hold.
    init?(_ change: SessionChange, session: Session?) {
        let hasNewCode = change.fields.contains(.qrCode) && change.status == .qrWaiting
        let posted: SessionChange.Fields = [.status, .phoneNumber, .name, .restriction]
        guard change.kind != .updated || !change.fields.isDisjoint(with: posted) || hasNewCode else {
            return nil
        }
        id = "evt_\(change.cursor)"
        timestamp = change.date.millisecondsSince1970
        event = change.kind == .deleted ? "session.deleted" : "session.status"
        self.session = change.sessionID
        me = session?.phoneNumber.map { Account(id: "\($0)@c.us", pushName: session?.name) }
        payload.status = change.status
        payload.previousStatus = change.previousStatus
        payload.disconnectReason = change.disconnectReason
        payload.restriction = session?.restriction
        if change.status == .qrWaiting {
            payload.qrCodeReceivedAt = session?.qrCodeReceivedAt
            // When a code that is typed ends is not known.
            if session?.qrCode.map(PairingCode.isOne) != true { payload.qrCodeExpiresAt = session?.qrCodeExpiresAt }
        }
    }

    /// The message that changes were missed: the receiver reads all sessions again.
    init(resetAt cursor: ChangeCursor) {
        id = "evt_reset_\(cursor)"
        timestamp = Date().millisecondsSince1970
        event = "sessions.reset"
    }

    /// The signature of a body: HMAC with SHA-512, in hexadecimal.
    static func signature(of body: Data, secret: String) -> String {
        HMAC<SHA512>.authenticationCode(for: body, using: SymmetricKey(data: Data(secret.utf8)))
            .map { byte in
                let digits = String(byte, radix: 16)
                return digits.count == 1 ? "0\(digits)" : digits
            }
            .joined()
    }
}
