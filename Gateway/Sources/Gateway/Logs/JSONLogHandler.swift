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
        FileHandle.standardError.write(Data("\(line)\n".utf8))
    }

    static func line(
        _ level: Logger.Level,
        _ message: Logger.Message,
        _ metadata: Logger.Metadata,
        at date: Date
    ) -> String {
        var members = metadata.mapValues { "\($0)" }
        members["time"] = date.iso8601
        members["level"] = level.rawValue
        members["message"] = "\(message)"
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // A dictionary of texts can always be encoded.
        return String(decoding: try! encoder.encode(members), as: UTF8.self)
    }
}
