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

    /// The lists of hosts and ports that begin with another one, as libpq's parameters: none if there is one host only, or another place
    /// names them. libpq takes the first host that is a primary, which may be an old one.
    func hosts(startingAt number: Int) -> [(String, String)] {
        guard let options = PQconninfoParse(text, nil) else { return [] }
        defer { PQconninfoFree(options) }
        var lists: [(String, String)] = []
        var option = options
        while let keyword = option.pointee.keyword {
            let name = String(cString: keyword)
            if ["host", "hostaddr", "port"].contains(name), let value = option.pointee.val {
                let parts = String(cString: value).split(separator: ",", omittingEmptySubsequences: false)
                let first = number % parts.count
                if parts.count > 1 {
                    lists.append((name, (parts[first...] + parts[..<first]).joined(separator: ",")))
                }
            }
            option += 1
        }
        return lists
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
