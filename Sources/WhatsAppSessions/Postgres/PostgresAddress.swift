#if Postgres
import Foundation
import WhatsAppSessionsLibpq

/// Where a server is, and who asks: a URL or key words, as libpq reads them.
struct PostgresAddress: Hashable, Sendable {
    /// It may hold a password, so it is in no message.
    let text: String

    /// - Throws: ``DatabaseError`` for a text that libpq cannot read. Its own message would show a part of it.
    init(_ text: String) throws {
        self.text = text
        let unreadable = DatabaseError(
            resultCode: .cannotOpen,
            message: """
                the address of the database cannot be read: it is a URL such as postgres://user@host/database, or key words such as \
                host=… dbname=…; in a URL a password is percent-encoded, and among key words it is in quotes
                """,
            sqlState: "08001"
        )
        guard !text.utf8.contains(0), !Self.hasBareDelimiter(text), let options = PQconninfoParse(text, nil) else {
            throw unreadable
        }
        PQconninfoFree(options)
    }

    /// Whether libpq would take a part of a password in a URL for the host or the name, and show it in its errors. It ends the user's part
    /// at the first `@`, unless a `/` comes before.
    private static func hasBareDelimiter(_ text: String) -> Bool {
        guard let scheme = ["postgres://", "postgresql://"].first(where: text.hasPrefix) else { return false }
        let rest = text.dropFirst(scheme.count)
        guard let first = rest.firstIndex(where: { $0 == "@" || $0 == "/" }) else { return false }
        let hasUser = rest[first] == "@"
        let place = rest[(hasUser ? rest.index(after: first) : rest.startIndex)...].prefix { $0 != "?" }
        return place.contains("@") || hasUser && rest[..<first].contains("#")
    }
}
#endif
