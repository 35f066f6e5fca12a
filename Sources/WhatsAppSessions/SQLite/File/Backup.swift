import Foundation
import WhatsAppSessionsSystem

/// A new file that a database is copied to. It appears under its name only once it is complete and synced.
///
/// Until then it is `NAME.partial`. A process that is killed leaves that behind, and the next copy to the same path
/// replaces it.
struct Backup: Sendable {
    private let file: DatabasePath
    private var partial: String { file.path + ".partial" }

    init(to path: String) throws {
        file = try DatabasePath(path)
        _ = try DatabasePath(path + ".partial")
    }

    /// Creates the file with what `fill` writes at the path that it is given.
    func create(_ fill: (String) throws -> Void) throws {
        let folder = try systemCall(file.folder) { open(file.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        defer { close(folder) }
        // A log that another file left behind would be taken for the copy's.
        for name in [file.path, file.log, file.journal] where fileStatus(name) != nil {
            throw DatabaseError(resultCode: .cannotOpen, message: "\(name) exists already")
        }
        // Alone, as below: one that isn't ours is closed again, perhaps as a manager opens it under its new name.
        let descriptor = try DatabasePath.creation.withLock { _ in try claimPartial() }
        var written = [partial, partial + "-journal"]
        do {
            do {
                try fill(partial)
                try sync(descriptor, partial)
            } catch {
                close(descriptor)
                throw error
            }
            // Closed before another thread may open the copy, whose locks `close` would drop.
            try DatabasePath.creation.withLock { _ in
                defer { close(descriptor) }
                try systemCall(file.path) { whatsapp_sessions_rename_exclusively(partial, file.path) }
            }
            written = [file.path]
            try sync(folder, file.folder)
        } catch {
            for path in written { unlink(path) }
            throw error
        }
    }

    /// Opens the partial file, empty and for its owner only. Its lock is held while a copy is under way, so one that is not
    /// locked was left behind.
    private func claimPartial() throws -> Int32 {
        guard fileStatus(partial + "-wal") == nil else {
            throw DatabaseError(resultCode: .cannotOpen, message: "\(partial) is a database in use")
        }
        // Not blocking, and looked at first: there may be a pipe of that name.
        let descriptor = try systemCall(partial) {
            open(partial, O_CREAT | O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0o600)
        }
        do {
            let isLocked = flock(descriptor, LOCK_EX | LOCK_NB) == 0
            var status = stat()
            try systemCall(partial) { fstat(descriptor, &status) }
            guard status.st_mode & S_IFMT == S_IFREG else {
                throw DatabaseError(resultCode: .cannotOpen, message: "\(partial) is not a regular file")
            }
            // Between opening and locking, another copy may have given it its name.
            guard isLocked, fileStatus(partial)?.st_ino == status.st_ino, status.st_nlink == 1 else {
                throw DatabaseError(resultCode: .busy, message: "another backup to \(file.path) is under way")
            }
            try systemCall(partial) { fchmod(descriptor, 0o600) }
            try systemCall(partial) { ftruncate(descriptor, 0) }
            return descriptor
        } catch {
            close(descriptor)
            throw error
        }
    }
}
