import Foundation
import WhatsAppSessions

/// Sessions that move between a file and the place where the gateway keeps them, instead of being served.
enum Transfer: Equatable {
    case importing(String)
    case exporting(String)

    /// Moves them, and says what was done.
    ///
    /// A file of an older version is brought up to date first, as by any opening.
    ///
    /// - Throws: ``ConfigurationError`` when there is nothing to move from, nowhere to move to, or a gateway serves the file that would
    ///   be filled or read into another place; `DatabaseError` when the database has sessions already, or a file of that name is there.
    ///   Then no session has moved.
    func run(_ configuration: Configuration, _ open: () throws -> SessionManager) async throws -> String {
        guard configuration.file != nil || configuration.database != nil else {
            throw ConfigurationError("Sessions in memory are gone with the process: add --file or --database.")
        }
        switch self {
        case .importing(let path):
            guard FileManager.default.fileExists(atPath: path) else {
                throw ConfigurationError("There is no file \(path).")
            }
            // Neither is served meanwhile.
            let isServed = FileManager.default.fileExists(atPath: FileLock.path(of: path))
            let locks = try [configuration.file, isServed ? path : nil].compactMap(\.self).map { try FileLock($0) }
            defer { withExtendedLifetime(locks) {} }
            let manager = try open()
            try await manager.restoreSessions(from: path)
            let count = try await manager.countSessions().values.reduce(0, +)
            try await manager.close()
            return "\(count) sessions of \(path) are in \(configuration.file ?? "the database")."
        case .exporting(let path):
            if let file = configuration.file, !FileManager.default.fileExists(atPath: file) {
                throw ConfigurationError("There is no file \(file).")
            }
            let manager = try open()
            try await manager.backUp(to: path)
            try await manager.close()
            return "The sessions are in \(path), which only its owner can read."
        }
    }
}
