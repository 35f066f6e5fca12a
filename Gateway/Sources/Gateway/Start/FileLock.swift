import Foundation

/// Keeps a second gateway away from a file, where it would disconnect the sessions of the first. The lock ends with the process.
final class FileLock: Sendable {
    private let descriptor: Int32

    /// - Throws: ``ConfigurationError`` when another gateway has the lock, or it cannot be taken.
    init(_ file: String) throws {
        let path = Self.path(of: file)
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        let failure = errno
        guard descriptor >= 0 else {
            throw ConfigurationError("\(path) cannot be opened: \(String(cString: strerror(failure))).")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw ConfigurationError("Another gateway serves \(file): stop it first.")
        }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    static func path(of file: String) -> String { file + ".gateway-lock" }
}
