import ArgumentParser
import Logging

/// What the log looks like.
enum LogFormat: String, CaseIterable, ExpressibleByArgument {
    case text, json
}

/// How much is logged: the levels of swift-log.
enum LogLevel: String, CaseIterable, ExpressibleByArgument {
    case trace, debug, info, notice, warning, error, critical

    init?(argument: String) { self.init(rawValue: argument.lowercased()) }

    // The names are the same.
    var level: Logger.Level { Logger.Level(rawValue: rawValue)! }
}

enum Logs {
    /// Standard output to a pipe is buffered, so a container's log would show nothing: the log goes to standard error.
    static func begin(_ level: Logger.Level, _ format: LogFormat) {
        LoggingSystem.bootstrap { label in
            switch format {
            case .text:
                var handler = StreamLogHandler.standardError(label: label)
                handler.logLevel = level
                return handler
            case .json:
                return JSONLogHandler(logLevel: level)
            }
        }
    }
}
