import Logging
import WhatsAppSessions

extension Logger.MetadataValue {
    /// An error in one line. Of the library's own the text holds no value that was bound; of any other only the type is safe to log.
    static func error(_ error: any Error) -> Self {
        guard error is DatabaseError else { return "\(type(of: error))" }
        // An id may have line breaks.
        let text = "\(error)".unicodeScalars.map { $0.properties.generalCategory == .control ? "\u{FFFD}" : "\($0)" }
        return .string(text.joined())
    }
}

/// What somebody else chose, such as a name. In a log of text it is in quotes unless it is plain, since a line break in a name would look
/// like another line of the log; in one of JSON it is itself.
struct LoggedText: CustomStringConvertible {
    let text: String

    var description: String {
        let isPlain = !text.isEmpty && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\"") }
        return isPlain ? text : "\"\(text.unicodeScalars.map(Self.escaped).joined())\""
    }

    private static func escaped(_ scalar: Unicode.Scalar) -> String {
        switch scalar.properties.generalCategory {
        // Those that turn the direction of a text are formats.
        case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned:
            scalar.escaped(asASCII: true)
        default: scalar.escaped(asASCII: false)
        }
    }
}

extension Logger.MetadataValue {
    static func text(_ text: String) -> Self { .stringConvertible(LoggedText(text: text)) }
}
