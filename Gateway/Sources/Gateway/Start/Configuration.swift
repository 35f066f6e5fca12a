import Foundation
import WhatsAppSessions

/// What the gateway was started with, read and checked.
struct Configuration: Sendable {
    /// Where changes are posted.
    struct Webhook: Sendable {
        /// Without credentials.
        let url: String
        /// The receiver in logs and metrics: its address without the path, which may be a secret.
        let receiver: String
        /// What the URL's name and password become: RFC 7617.
        let authorization: String?
        /// How long to wait before a message is posted again; it doubles each time.
        var firstPause = Duration.milliseconds(500)
        /// How long a message is posted that the receiver refuses.
        var patience = Duration.seconds(3600)

        /// `nil` for a text that is no URL to post to.
        init?(_ text: String) {
            guard var parts = URLComponents(string: text), let scheme = parts.scheme?.lowercased(),
                ["http", "https"].contains(scheme), let host = parts.host,
                host.contains(where: { $0.isLetter || $0.isNumber }),
                // A port that is no number of 16 bits would end the process when it is used.
                parts.rangeOfPort == nil || (1...65_535).contains(parts.port ?? 0)
            else { return nil }
            authorization =
                if parts.user == nil && parts.password == nil {
                    nil
                } else {
                    "Basic " + Data("\(parts.user ?? ""):\(parts.password ?? "")".utf8).base64EncodedString()
                }
            (parts.user, parts.password, parts.fragment) = (nil, nil, nil)
            guard let url = parts.string else { return nil }
            self.url = url
            receiver = "\(scheme)://\(host)\(parts.port.map { ":\($0)" } ?? "")"
        }
    }

    /// The file of the sessions; without it and a database they are in memory.
    var file: String?
    /// The database of the sessions, which other gateways may share.
    var database: SessionManager.Storage?
    /// Where messages are kept that were set aside, if there is no file to be beside.
    var refusedFolder: String?
    var hostname = "127.0.0.1"
    var port = 3000
    /// Reads the secrets, again when SIGHUP comes.
    var readSecrets: @Sendable () throws -> Secrets.Values = { Secrets.Values() }
    /// The origins of other pages that may use the gateway.
    var origins: Set<String> = []
    var webhooks: [Webhook] = []
    /// How long a worker may be gone before its sessions become disconnected.
    var lease = Duration.seconds(30)
    /// How many times real speed the demo plays at; `nil` for no demo.
    var demoSpeed: Double?
    /// What is done instead of serving.
    var transfer: Transfer?
    /// How long a client may take to send a body.
    var bodyTime = Duration.seconds(30)

    /// Reads a secret from a file that others can neither write nor, outside a folder of secrets, read.
    ///
    /// - Throws: ``ConfigurationError`` when the file cannot be read, others may use it, or it holds no secret.
    static func secret(inFile path: String, secretFolders: [String] = Self.secretFolders) throws -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        let failure = errno
        guard descriptor >= 0 else {
            throw ConfigurationError(
                failure == EACCES
                    ? "\(path) cannot be read: permission denied. Let the user that runs the gateway own it."
                    : "\(path) cannot be read: create it, with a secret as its only line."
            )
        }
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw ConfigurationError("\(path) is no file: name one with a secret as its only line.")
        }
        guard status.st_mode & 0o022 == 0 else {
            throw ConfigurationError("Other users can change \(path): run chmod 600 on it.")
        }
        guard status.st_mode & 0o055 == 0 || isMountedSecret(path, in: secretFolders) else {
            throw ConfigurationError("Other users can read \(path): run chmod 600 on it.")
        }
        let text = (try? file.read(upToCount: 4096)).map { String(decoding: $0, as: UTF8.self) }
        return try secret(text ?? "", from: path)
    }

    /// Checks a secret that came from a file or the environment.
    static func secret(_ text: String, from source: String) throws -> String {
        let text = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw ConfigurationError("\(source) must hold one line of printable ASCII without spaces.")
        }
        return text
    }

    /// A token is guessed as fast as the gateway answers, so it must be long.
    static func token(_ text: String, from source: String) throws -> Token {
        guard text.utf8.count >= 16 else {
            throw ConfigurationError(
                "The token in \(source) has fewer than 16 characters: make one with openssl rand -hex 32."
            )
        }
        return Token(text)
    }

    /// Where container engines and systemd put secrets, with permissions of their own choice: Docker's are 0444, and those of
    /// systemd are read by a group (systemd.exec(5), LoadCredential).
    static let secretFolders =
        ["/run/secrets", "/var/run/secrets"]
        + [ProcessInfo.processInfo.environment["CREDENTIALS_DIRECTORY"]].compactMap(\.self).filter { !$0.isEmpty }

    private static func isMountedSecret(_ path: String, in folders: [String]) -> Bool {
        let resolved = URL(filePath: path).resolvingSymlinksInPath().path
        let folders = folders.map { URL(filePath: $0).resolvingSymlinksInPath().path }
        if folders.contains(where: { resolved.hasPrefix($0 + "/") }) { return true }
        // Kubernetes mounts a secret anywhere, as links to a folder like ..2026_03_02_09_01_51.403.
        return URL(filePath: resolved).deletingLastPathComponent().lastPathComponent.hasPrefix("..")
    }
}

/// A start that was refused, and what to do.
struct ConfigurationError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
