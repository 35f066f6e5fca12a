import Foundation

/// Makes a system call that answers a negative number on failure; again, if a signal interrupted it.
///
/// - Throws: ``DatabaseError`` with the path and the system's reason.
@discardableResult
func systemCall(_ path: String, _ call: () -> Int32) throws -> Int32 {
    var (result, code): (Int32, Int32)
    repeat { (result, code) = (call(), errno) } while result < 0 && code == EINTR
    if result >= 0 { return result }
    let codes: [Int32: DatabaseError.ResultCode] = [
        ENOSPC: .full, EDQUOT: .full, EIO: .ioError, EROFS: .readOnly,
    ]
    throw DatabaseError(
        resultCode: codes[code, default: .cannotOpen],
        message: "\(path): \(String(cString: strerror(code)))"
    )
}

/// What is at a path, without following a link; `nil` when there is nothing.
func fileStatus(_ path: String) -> stat? {
    var status = stat()
    // One without a name was deleted just now, as the last process to close a database deletes its log.
    return lstat(path, &status) == 0 && status.st_nlink > 0 ? status : nil
}

/// Waits until what was written to a descriptor is on the disk.
func sync(_ descriptor: Int32, _ path: String) throws {
    #if canImport(Darwin)
    // There `fsync` stops at the disk's own cache.
    try systemCall(path) { fcntl(descriptor, F_FULLFSYNC) }
    #else
    try systemCall(path) { fsync(descriptor) }
    #endif
}
