import Foundation
import WhatsAppSessions

/// The reasons that the gateway itself gives, by the text that is kept with the session.
enum KnownReason: String, CaseIterable {
    case loggedOut = "logged out"
    case temporarilyBanned = "temporarily banned"
    case accountLocked = "account locked"
    case banned
    case workerOutdated = "worker outdated"
    case codesUsedUp = "QR codes used up"
    case multideviceMismatch = "multi-device mismatch"
    case phoneTooOld = "scanned by a phone without multi-device"
    case replaced = "replaced by another process"
    /// What `SessionManager.recoverLeasedSessions()` says.
    case workerGone = "worker gone"
    case released = "released by the worker"
    case stopped
    /// What `SessionManager.recoverSessions()` says.
    case gatewayStopped = "the gateway stopped"
    case pairingFailed = "pairing failed"
    case passkeyRequested = "passkey requested"
    case passkeyToConfirm = "passkey to be confirmed"
    case closedByWorker = "closed by the worker"
    case connectionLost = "connection lost"
    case connectionClosed = "connection closed"
    case noAnswer = "no answer from WhatsApp"
    case tokenNotRefreshed = "auth token not refreshed"

    /// The reason that a text is, also one that says until when.
    init?(text: String) {
        // Most have no end, and a search takes longer than all else.
        if let reason = Self(rawValue: text) {
            self = reason
            return
        }
        guard text.utf8.last == UInt8(ascii: "Z"), let range = text.firstRange(of: Self.until) else { return nil }
        self.init(rawValue: String(text[..<range.lowerBound]))
    }

    /// Between a reason and the time until which it holds.
    static let until = " until "

    /// Whether a session that is disconnected for this reason waits for a person.
    var waitsForPerson: Bool {
        switch self {
        case .workerGone, .released, .gatewayStopped, .phoneTooOld, .passkeyRequested, .passkeyToConfirm,
            .connectionLost,
            .connectionClosed, .noAnswer:
            false
        case .loggedOut, .temporarilyBanned, .accountLocked, .banned, .workerOutdated, .codesUsedUp,
            .multideviceMismatch,
            .replaced, .pairingFailed, .closedByWorker, .tokenNotRefreshed, .stopped:
            true
        }
    }

    /// What the page says to a person: what happened, and what to do about it.
    var words: (title: String, advice: String) {
        switch self {
        case .loggedOut:
            (
                "Logged out",
                "The device was unlinked on the phone, or the worker logged out. Pair it again to relink it."
            )
        case .temporarilyBanned:
            (
                "Temporarily banned",
                "WhatsApp has banned this account for some time. Wait before you pair it again, or the ban may become longer."
            )
        case .accountLocked:
            ("Locked by WhatsApp", "WhatsApp has locked this account. Open WhatsApp on the phone to see why.")
        case .banned:
            ("Banned", "WhatsApp has banned this account. Open WhatsApp on the phone to ask for a review.")
        case .workerOutdated:
            (
                "Worker outdated",
                "WhatsApp refuses the worker’s version. Update Baileys or whatsmeow, then pair again."
            )
        case .codesUsedUp:
            (
                "Not scanned",
                "Nobody scanned a code in time, so the worker stopped. Pair again when the phone is at hand."
            )
        case .multideviceMismatch:
            (
                "Multi-device mismatch",
                "The phone’s WhatsApp doesn’t match the linked device. Update WhatsApp on the phone, then pair again."
            )
        case .phoneTooOld:
            (
                "Phone too old",
                "The phone’s WhatsApp is too old for linked devices. Update it, then scan again."
            )
        case .replaced:
            (
                "Replaced",
                "Another process opened this account’s connection. Only one may: stop the other one, then pair again."
            )
        case .workerGone:
            (
                "Worker gone",
                "The worker that runs this account has gone silent. The account comes back when the worker does."
            )
        case .released:
            ("Released", "The worker gave this account back. It comes back when a worker claims it.")
        case .stopped:
            ("Stopped", "An operator stopped it. The account stays linked: start it to bring it online.")
        case .gatewayStopped:
            (
                "Gateway stopped",
                "The gateway stopped while the account was in use. The account comes back when its worker reports it, or pair it again."
            )
        case .pairingFailed:
            ("Pairing failed", "The worker could not link the account. Pair it again.")
        case .passkeyRequested:
            ("Passkey requested", "WhatsApp asks for a passkey: confirm it on the phone, or on the device that has it.")
        case .passkeyToConfirm:
            (
                "Passkey to be confirmed",
                "Compare the code that the worker shows with the one on the phone, and confirm it."
            )
        case .closedByWorker:
            ("Closed by the worker", "The worker closed the connection. Pair again to open it.")
        case .connectionLost, .connectionClosed:
            ("Connection lost", "The connection to WhatsApp broke. The worker opens it again by itself.")
        case .noAnswer:
            (
                "No answer from WhatsApp",
                "WhatsApp hasn’t answered the worker for a while. The worker opens the connection again by itself."
            )
        case .tokenNotRefreshed:
            ("Not authorised", "The worker could not renew its token with WhatsApp. Pair again to try once more.")
        }
    }
}

extension DisconnectReason {
    /// - Parameter date: When it will be over, if WhatsApp said so.
    init(_ reason: KnownReason, code: Int? = nil, until date: Date? = nil) {
        self.init(code: code, text: reason.rawValue + (date.map { KnownReason.until + $0.iso8601 } ?? ""))
    }
}
