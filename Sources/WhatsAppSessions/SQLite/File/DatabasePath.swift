import Foundation
import WhatsAppSessionsSystem

/// Where a database is, and its log and the log's index beside it.
final class DatabasePath: Sendable {
    /// Absolute, with every link among its folders resolved, so SQLite can't mistake it for anything else: `:memory:`, or a
    /// `file:` URI whose options could turn off locks (<https://sqlite.org/uri.html>).
    let path: String
    let folder: String
    var log: String { path + "-wal" }
    var index: String { path + "-shm" }
    var journal: String { path + "-journal" }

    // As C has them, since they are looked at with every change.
    private let names: [ContiguousArray<CChar>]

    /// - Throws: ``DatabaseError`` when the path names no file, is too long, or its folder cannot be reached.
    init(_ path: String) throws {
        // By bytes: to Swift a slash followed by a combining accent is one character, and not a slash.
        let start = path.utf8.lastIndex(of: UInt8(ascii: "/")).map(path.utf8.index(after:)) ?? path.startIndex
        let name = path[start...]
        guard !name.isEmpty, !path.utf8.contains(0) else {
            throw DatabaseError(resultCode: .cannotOpen, message: "the path names no file")
        }
        guard !["-wal", "-shm", "-journal"].contains(where: name.hasSuffix) else {
            throw DatabaseError(resultCode: .cannotOpen, message: "the name \(name) is that of another database's log")
        }
        let parent = start == path.startIndex ? "." : String(path[..<start])
        var resolved = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        try systemCall(path) { realpath(parent, &resolved) == nil ? -1 : 0 }
        guard let folder = resolved.withUnsafeBufferPointer({ String(validatingCString: $0.baseAddress!) }) else {
            throw DatabaseError(resultCode: .cannotOpen, message: "the name of a folder in the path is not UTF-8")
        }
        self.folder = folder
        self.path = folder + (folder == "/" ? "" : "/") + name
        names = [self.path, self.path + "-wal", self.path + "-shm"].map { ContiguousArray($0.utf8CString) }
        // SQLite appends `-journal`, and takes 512 bytes with it.
        let limit = 512 - 8
        guard self.path.utf8.count <= limit, name.utf8.count + 8 <= NAME_MAX else {
            throw DatabaseError(
                resultCode: .cannotOpen,
                message: """
                    the path is too long: SQLite takes \(limit) bytes, here \(self.path.utf8.count), \
                    and \(Int(NAME_MAX) - 8) in the name, here \(name.utf8.count)
                    """
            )
        }
    }

    /// Looks which files have the three names now.
    func look() -> FileIdentity {
        names[0].withUnsafeBufferPointer { file in
            names[1].withUnsafeBufferPointer { log in
                names[2].withUnsafeBufferPointer { index in
                    FileIdentity(whatsapp_sessions_look_at(file.baseAddress!, log.baseAddress!, index.baseAddress!))
                }
            }
        }
    }
}

extension DatabasePath {
    /// - Throws: ``DatabaseError`` unless the files are still those with this identity.
    func requireInPlace(_ identity: FileIdentity) throws {
        guard look() == identity else { throw DatabaseError.moved }
    }
}

/// Which files a database, its log and the log's index are, by device and inode.
struct FileIdentity: Sendable, Equatable {
    private let look: whatsapp_sessions_look

    fileprivate init(_ look: whatsapp_sessions_look) { self.look = look }

    /// The length of the log in bytes.
    var logSize: Int { Int(look.second_size) }

    /// Whether all three are there.
    var isComplete: Bool { look.inode.0 != 0 && look.inode.1 != 0 && look.inode.2 != 0 }

    /// Whether a descriptor is open on the log.
    func isLog(_ descriptor: Int32) -> Bool {
        withUnsafePointer(to: look) { whatsapp_sessions_is_second(descriptor, $0) != 0 }
    }

    /// Whether the database itself is the same file.
    func isSameFile(as other: FileIdentity) -> Bool {
        look.inode.0 == other.look.inode.0 && look.device.0 == other.look.device.0
    }

    /// Whether they are the same three files, however long.
    static func == (a: Self, b: Self) -> Bool { a.look.inode == b.look.inode && a.look.device == b.look.device }
}

extension DatabaseError {
    static var moved: DatabaseError {
        DatabaseError(
            resultCode: .misuse,
            message: "the file or its log was moved, replaced or deleted while it was open: open it again"
        )
    }
}
