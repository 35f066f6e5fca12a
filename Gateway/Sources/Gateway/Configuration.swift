import Foundation

/// What the gateway was started with, read and checked.
struct Configuration: Sendable {
    /// Where changes are posted.
    struct Webhook: Sendable {
        var url: String
        /// Signs each message.
        var secret: String?
        /// How long to wait before a message is posted again; it doubles each time.
        var firstPause = Duration.milliseconds(500)
    }

    /// The database; `nil` for one in memory.
    var file: String?
    var hostname = "127.0.0.1"
    var port = 3000
    /// What clients must send; `nil` for a gateway that only this machine reaches.
    var token: Token?
    var webhook: Webhook?
    /// How long a worker may be gone before its sessions become disconnected.
    var lease = Duration.seconds(30)
    /// How many times real speed the demo plays at; `nil` for no demo.
    var demoSpeed: Double?

    /// Reads a secret from a file that only its owner can read.
    ///
    /// - Throws: ``ConfigurationError`` when the file cannot be read, others may read it, or it holds no secret.
    static func secret(inFile path: String) throws -> String {
        let resolved = URL(filePath: path).resolvingSymlinksInPath().path
        let attributes = try? FileManager.default.attributesOfItem(atPath: resolved)
        guard let permissions = attributes?[.posixPermissions] as? Int else {
            throw ConfigurationError("\(path) cannot be read: create it, with a secret as its only line.")
        }
        // systemd gives the group of its own user the right to read, and nobody else: systemd.exec(5), LoadCredential.
        let credentials = ProcessInfo.processInfo.environment["CREDENTIALS_DIRECTORY"]
        let isCredential = credentials.map { path.hasPrefix($0 + "/") } ?? false
        guard permissions & (isCredential ? 0o037 : 0o077) == 0 else {
            throw ConfigurationError("Other users can access \(path): run chmod 600 on it.")
        }
        let text = (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
        guard let text, !text.isEmpty, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw ConfigurationError("\(path) must hold one line of printable ASCII without spaces.")
        }
        return text
    }
}

/// A start that was refused, and what to do.
struct ConfigurationError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
