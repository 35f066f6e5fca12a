import Foundation
import WhatsAppSessions

/// What WhatsApp doesn't let an account do although it is online. Each begins the text that is kept with the session.
enum Restriction: String {
    /// The account may not write to those who haven't written to it.
    case newContacts = "no messages to new contacts"
    /// It may begin so many chats until the month is over.
    case newChats = "new chats"

    /// - Parameters:
    ///   - detail: What is known about it, if anything.
    ///   - date: When it will be over, if that is known.
    func text(_ detail: String? = nil, until date: Date? = nil) -> String {
        rawValue + (detail.map { ": \($0)" } ?? "") + (date.map { KnownReason.until + $0.iso8601 } ?? "")
    }

    /// The update of a session for which it holds from now on, or no longer.
    func updates(_ text: String?, for session: Session) -> SessionUpdates {
        if let text { return SessionUpdates(restriction: .set(text)) }
        // Another one may hold.
        return session.restriction?.hasPrefix(rawValue) == true ? SessionUpdates(restriction: .clear) : SessionUpdates()
    }
}
