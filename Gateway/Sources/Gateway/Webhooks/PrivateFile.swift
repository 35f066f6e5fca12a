import Foundation

/// A file beside the database that only its owner reads. Without a path, beside sessions in memory, nothing is kept.
struct PrivateFile {
    let path: String?

    func read() -> String? { path.flatMap { try? String(contentsOfFile: $0, encoding: .utf8) } }

    /// Replaces the file at once, so that a crash leaves what was there or what comes.
    func replace(with text: String) throws {
        guard let path else { return }
        let new = path + ".new"
        try write(text, to: new, O_CREAT | O_TRUNC)
        guard rename(new, path) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }

    func remove() { if let path { unlink(path) } }

    /// Adds a line at the end; all of it, or nothing.
    func append(_ line: String) throws {
        guard let path else { return }
        try write(line + "\n", to: path, O_CREAT | O_APPEND)
    }

    private func write(_ text: String, to path: String, _ flags: Int32) throws {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | flags, 0o600)
        guard descriptor >= 0 else { throw CocoaError(.fileWriteUnknown) }
        // One of 0.1.0 may be read by others.
        fchmod(descriptor, 0o600)
        let file = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        let length = lseek(descriptor, 0, SEEK_END)
        do {
            try file.write(contentsOf: Data(text.utf8))
        } catch {
            // Of this file: under its name there may be another by now.
            ftruncate(descriptor, length)
            throw error
        }
    }
}
