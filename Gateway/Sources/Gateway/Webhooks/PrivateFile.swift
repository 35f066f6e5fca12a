import Foundation

/// A file that only its owner reads. Without a path, nothing is kept.
struct PrivateFile {
    let path: String?

    func read() -> String? { path.flatMap { try? String(contentsOfFile: $0, encoding: .utf8) } }

    func remove() { if let path { unlink(path) } }

    /// Adds a line at the end; all of it, or nothing.
    func append(_ line: String) throws {
        guard let path else { return }
        let descriptor = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_CREAT | O_APPEND, 0o600)
        guard descriptor >= 0 else { throw CocoaError(.fileWriteUnknown) }
        // One of 0.1.0 may be read by others.
        fchmod(descriptor, 0o600)
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        let length = lseek(descriptor, 0, SEEK_END)
        do {
            try file.write(contentsOf: Data("\(line)\n".utf8))
        } catch {
            // Of this file: under its name there may be another by now.
            ftruncate(descriptor, length)
            throw error
        }
    }
}
