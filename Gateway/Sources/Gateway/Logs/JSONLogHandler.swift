import Foundation
import Logging

/// Writes each message as a line of JSON to standard error: the time, the level, the message, and the metadata beside them.
struct JSONLogHandler: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let metadata = self.metadata.merging(event.metadata ?? [:]) { $1 }
        let line = Self.line(event.level, event.message, metadata, at: Date())
        // A log that cannot be written ends nothing.
        try? FileHandle.standardError.write(contentsOf: Data("\(line)\n".utf8))
    }

    static func line(
        _ level: Logger.Level,
        _ message: Logger.Message,
        _ metadata: Logger.Metadata,
        at date: Date
    ) -> String {
        var members = metadata.mapValues(Member.init)
        members["time"] = .text(date.iso8601)
        members["level"] = .text(level.rawValue)
        members["message"] = .text("\(message)")
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Texts and finite numbers can always be encoded.
        return String(decoding: try! encoder.encode(members), as: UTF8.self)
    }

    private enum Member: Encodable {
        case text(String)
        case number(Double)

        init(_ value: Logger.MetadataValue) {
            switch value {
            case .stringConvertible(let number as any BinaryInteger): self = .number(Double(number))
            case .stringConvertible(let number as Double): self = .number(number)
            case .stringConvertible(let logged as LoggedText): self = .text(logged.text)
            default: self = .text("\(value)")
            }
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .text(let text): try container.encode(text)
            case .number(let number): try container.encode(number)
            }
        }
    }
}
