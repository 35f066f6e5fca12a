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

extension String {
    /// The same, in quotes unless it is plain: a line break in a name would look like another line of the log.
    var inLog: String {
        let isPlain = !isEmpty && utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\"") }
        return isPlain ? self : debugDescription
    }
}
