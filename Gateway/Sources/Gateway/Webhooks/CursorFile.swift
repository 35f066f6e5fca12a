import Foundation
import WhatsAppSessions

/// Keeps the place up to which webhooks were delivered, in a file beside the database, or in memory beside one in memory.
struct CursorFile {
    /// `nil` in memory.
    let path: String?

    /// The kept cursor; `nil` when there is none, or the file holds something else.
    func read() -> ChangeCursor? {
        path.flatMap { try? String(contentsOfFile: $0, encoding: .utf8) }.flatMap { ChangeCursor($0) }
    }

    /// Replaces the file at once, so that a crash leaves the old cursor or the new one.
    func write(_ cursor: ChangeCursor) throws {
        guard let path else { return }
        try Data(cursor.description.utf8).write(to: URL(filePath: path), options: .atomic)
    }
}
