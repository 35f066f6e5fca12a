import Foundation
import WhatsAppSessionsSQLite

/// The file of a database: where it is, and who may read it.
///
/// A descriptor of a database that may be in use is never opened or closed by hand: `close` would drop the locks that
/// SQLite holds for another connection of this process (<https://sqlite.org/howtocorrupt.html>, section 2.2).
struct DatabaseFile {
    /// Absolute, with no link among its folders. So it is never a name that SQLite takes for something else: `:memory:`,
    /// or a `file:` URI whose options may turn off locks (<https://sqlite.org/uri.html>).
    let path: String
    private let folder: String

    /// - Throws: ``DatabaseError`` when the path names no file, or its folder cannot be reached.
    init(_ path: String) throws {
        // By bytes: to Swift a slash and a combining accent after it are one character, and no slash.
        let start = path.utf8.lastIndex(of: UInt8(ascii: "/")).map(path.utf8.index(after:)) ?? path.startIndex
        let name = path[start...]
        guard !name.isEmpty, !path.utf8.contains(0) else {
            throw DatabaseError(SQLITE_CANTOPEN, message: "the path names no file")
        }
        guard let resolved = realpath(start == path.startIndex ? "." : String(path[..<start]), nil) else {
            throw Self.systemError(path)
        }
        defer { free(resolved) }
        folder = String(cString: resolved)
        self.path = folder + "/" + name
    }

    /// Creates the file, empty, unless there is one.
    func createIfMissing() throws {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            _ = try create { _ in }
            return
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw DatabaseError(SQLITE_CANTOPEN, message: "\(path) is not a regular file")
        }
        // SQLite would overwrite a file that is shorter than its smallest database.
        guard status.st_size == 0 || status.st_size >= 512 else {
            throw DatabaseError(SQLITE_NOTADB, message: "cannot open \(path): file is not a database")
        }
    }

    /// Creates the file with what `fill` writes at the path that it is given: for its owner only, whatever the umask, and
    /// all of it, on disk, or nothing. It gets its name last, by a link, which never replaces another file.
    ///
    /// - Returns: `false` when there is a file already.
    func create(fill: (String) throws -> Void) throws -> Bool {
        let temporary = "\(path).\(UUID().uuidString)"
        let descriptor = open(temporary, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
        try check(descriptor)
        defer { unlink(temporary) }
        try check(fchmod(descriptor, 0o600))
        try check(close(descriptor))
        try fill(temporary)
        try sync(temporary)
        let result = link(temporary, path)
        if result != 0, errno == EEXIST { return false }
        try check(result)
        try sync(folder)
        return true
    }

    /// Takes the file and its log away from everyone but their owner, and gives nobody more than they had.
    func restrict() throws {
        var status = stat()
        for name in [path, path + "-wal", path + "-shm"] where stat(name, &status) == 0 && status.st_mode & 0o177 != 0 {
            try check(chmod(name, status.st_mode & 0o600))
        }
    }

    /// The length of the write-ahead log in bytes.
    var logSize: Int {
        var status = stat()
        stat(path + "-wal", &status)
        return Int(status.st_size)
    }

    private func sync(_ name: String) throws {
        let descriptor = open(name, O_RDONLY | O_CLOEXEC)
        defer { close(descriptor) }
        try check(fsync(descriptor))
    }

    private func check(_ result: Int32) throws {
        if result < 0 { throw Self.systemError(path) }
    }

    private static func systemError(_ path: String) -> DatabaseError {
        let reason = String(cString: strerror(errno))
        return DatabaseError(SQLITE_CANTOPEN, message: "\(path): \(reason)")
    }
}

extension Connection {
    /// Copies the database. `VACUUM INTO` is one read transaction, and takes an empty file for a new one:
    /// <https://sqlite.org/lang_vacuum.html>.
    func backUp(to file: DatabaseFile) throws {
        let isNew = try file.create { temporary in
            try withoutReader { try prepare("VACUUM INTO ?1").run(temporary) { _ = try $0.step() } }
        }
        guard isNew else { throw DatabaseError(SQLITE_CANTOPEN, message: "\(file.path) exists already") }
    }
}
