// Opens arbitrary bytes as a file of sessions, and uses it. `.ci/run` compiles this together with the library's own
// sources, so that the fuzzer sees their branches: https://llvm.org/docs/LibFuzzer.html
import Foundation

private let path = "/dev/shm/whatsapp-sessions-fuzz-\(getpid()).sqlite"

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    for suffix in ["-wal", "-shm", "-journal"] { unlink(path + suffix) }
    let file = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0o600)
    _ = write(file, bytes, count)
    close(file)
    do {
        let manager = try SessionManager(storage: .file(path: path))
        try manager.recoverSessions()
        for session in try manager.getAllSessions() {
            try manager.updateSession(session.id, SessionUpdates(status: .connected, name: .set("Ana")))
            try manager.deleteSession(session.id)
        }
        try manager.createSession("new")
        _ = try (manager.countSessions(), manager.getSessions(status: .qrWaiting))
        let cursor = try manager.snapshot().cursor
        _ = try manager.getChanges(after: ChangeCursor(history: cursor.history, number: 0))
    } catch {
        guard
            error is DatabaseError || error is SessionNotFoundError || error is SessionAlreadyExistsError
                || error is InvalidSessionUpdateError || error is ChangeCursorExpiredError
        else { fatalError("\(error)") }
    }
    return 0
}
