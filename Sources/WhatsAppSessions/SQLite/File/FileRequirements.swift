import Foundation

// What must be true of a file before SQLite may open it.
//
// No descriptor of a database in use is ever opened and closed here: `close` would drop the locks that SQLite holds for other
// connections of this process (<https://sqlite.org/howtocorrupt.html>, section 2.2).
extension DatabasePath {
    /// One at a time in this process, since `close` would drop the locks of a manager that opened the file meanwhile.
    static let creation = Lock<Void>(())

    /// Creates the file, empty and readable by its owner only, unless there is one; checks it otherwise.
    func createIfMissing() throws {
        try Self.creation.withLock { _ in
            // The log first: another process that creates both right now makes the file first.
            let hasLog = (fileStatus(log)?.st_size ?? 0) > 0
            let status = fileStatus(path)
            if let status { try requireOrdinary(path, status) }
            for name in [log, index, journal] {
                if let status = fileStatus(name) { try requireOrdinary(name, status) }
            }
            // SQLite would delete a log whose file is missing or empty.
            if hasLog, (status?.st_size ?? 0) == 0 {
                throw Self.refusal("there is a log, \(log), but not the file it belongs to: move that back first")
            }
            // SQLite would overwrite a file that is shorter than its smallest database.
            if let size = status?.st_size, (1..<512).contains(size) {
                throw DatabaseError(resultCode: .notADatabase, message: "cannot open \(path): file is not a database")
            }
            if status == nil { try create() }
        }
    }

    func create() throws {
        // The folder first, so that nothing is left behind where it cannot be synced.
        let folderDescriptor = try systemCall(folder) { open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        defer { close(folderDescriptor) }
        let descriptor: Int32
        do {
            descriptor = try systemCall(path) {
                open(path, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0o600)
            }
        } catch {
            // Another process was faster.
            guard let status = fileStatus(path) else { throw error }
            return try requireOrdinary(path, status)
        }
        defer { close(descriptor) }
        // Whatever the umask.
        try systemCall(path) { fchmod(descriptor, 0o600) }
        try sync(folderDescriptor, folder)
    }

    /// Refuses what is not a plain file with one name. A file has one log by name, so under two names it would have two.
    private func requireOrdinary(_ name: String, _ status: stat) throws {
        guard status.st_mode & S_IFMT == S_IFREG else { throw Self.refusal("\(name) is not a regular file") }
        guard status.st_nlink == 1 else {
            throw Self.refusal(
                "\(name) has \(status.st_nlink) names (hard links), and SQLite keeps a log for each: remove the others"
            )
        }
        try Self.requireNoMount(name)
    }

    static func requireNoMount(_ name: String) throws {
        guard !isMountPoint(name, in: FileManager.default.contents(atPath: "/proc/self/mountinfo")) else {
            throw refusal("\(name) is mounted by itself, which leaves its log outside: mount its folder instead")
        }
    }

    /// Whether a file is mounted at this path, as `docker run -v file:file` does. Linux lists the mounts, with the path as
    /// the fifth field; elsewhere there is no such list.
    static func isMountPoint(_ name: String, in mounts: Data?) -> Bool {
        guard let mounts else { return false }
        let escapes: [UInt8: String] = [0x5c: "\\134", 0x20: "\\040", 0x09: "\\011", 0x0a: "\\012"]
        let escaped = name.utf8.flatMap { byte in escapes[byte].map { Array($0.utf8) } ?? [byte] }
        return mounts.split(separator: UInt8(ascii: "\n")).contains { line in
            line.split(separator: UInt8(ascii: " ")).dropFirst(4).first?.elementsEqual(escaped) == true
        }
    }

    private static func refusal(_ message: String) -> DatabaseError {
        DatabaseError(resultCode: .cannotOpen, message: message)
    }

    /// Removes group and other permissions from the file and its log; adds none, and changes nothing through a link.
    func restrict() throws {
        for name in [path, log, index] {
            guard let status = fileStatus(name), status.st_mode & S_IFMT == S_IFREG, status.st_mode & 0o177 != 0 else {
                continue
            }
            try systemCall(name) { fchmodat(AT_FDCWD, name, status.st_mode & 0o600, AT_SYMLINK_NOFOLLOW) }
        }
    }
}
