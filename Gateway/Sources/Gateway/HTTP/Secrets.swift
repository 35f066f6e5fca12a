import Crypto
import Foundation
import Logging
import ServiceLifecycle
import Synchronization
import UnixSignals

/// The secret that a client sends as `Authorization: Bearer …`.
struct Token: Sendable {
    private let digest: SHA256Digest

    init(_ text: String) { digest = Self.digest(text) }

    /// Compares in constant time: two digests of the same length.
    func matches(_ text: some StringProtocol) -> Bool { Self.digest(text) == digest }

    private static func digest(_ text: some StringProtocol) -> SHA256Digest { SHA256.hash(data: Data(text.utf8)) }
}

/// What a token allows.
enum Access: String, Sendable {
    /// Everything.
    case full
    /// To see everything but QR codes.
    case read
}

/// The secrets as they are now: SIGHUP has their files read again.
final class Secrets: Sendable {
    /// What is read at once, so that nothing changes when something cannot be read.
    struct Values: Sendable {
        /// What clients must send; `nil` for a gateway that only this machine reaches.
        var token: Token?
        /// What lets clients see, and change nothing.
        var readToken: Token?
        /// What signs the messages of each webhook, in their order; nothing for those that have no place here.
        var webhooks: [String?] = []
    }

    private let current: Mutex<Values>
    private let read: @Sendable () throws -> Values

    /// - Throws: What `read` throws: ``ConfigurationError``.
    init(_ read: @escaping @Sendable () throws -> Values) throws {
        self.read = read
        current = Mutex(try read())
    }

    var values: Values { current.withLock { $0 } }

    /// - Throws: ``ConfigurationError``; then the secrets stay as they were.
    func readAgain() throws {
        let values = try read()
        current.withLock { $0 = values }
    }
}

/// Reads the secrets again when SIGHUP comes.
struct SecretReloads: Service {
    let secrets: Secrets
    let logger: Logger

    func run() async throws {
        for await _ in await UnixSignalsSequence(trapping: .sighup).cancelOnGracefulShutdown() {
            do {
                try secrets.readAgain()
                logger.notice("the secrets were read again")
            } catch {
                logger.error("the secrets stay as they were", metadata: ["error": "\(error)"])
            }
        }
    }
}
