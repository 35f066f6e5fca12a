import Crypto
import Foundation
import WhatsAppSessions

/// What is kept for the receiver of webhooks, in files beside the database: how far it was told, and what it refused.
struct WebhookFiles {
    private let cursorFile: PrivateFile
    private let firstCursorFile: PrivateFile
    private let refusedFile: PrivateFile

    /// The file of the messages that were set aside; `nil` beside sessions in memory.
    var refusedPath: String? { refusedFile.path }

    /// - Parameters:
    ///   - database: The database; `nil` for one in memory.
    ///   - url: The receiver, which names the files: receivers may come and go, and change places.
    ///   - isFirst: Whether it takes over the place that 0.1.0 kept, which knew one receiver.
    init(beside database: String?, url: String, isFirst: Bool) {
        let name = SHA256.hash(data: Data(url.utf8)).prefix(4).map { String(format: "%02x", $0) }.joined()
        cursorFile = PrivateFile(path: database.map { "\($0).webhook-cursor-\(name)" })
        firstCursorFile = PrivateFile(path: isFirst ? database.map { "\($0).webhook-cursor" } : nil)
        refusedFile = PrivateFile(path: database.map { "\($0).webhook-refused-\(name).ndjson" })
    }

    /// Up to where the receiver was told; `nil` when that isn't known.
    func cursor() -> ChangeCursor? { (cursorFile.read() ?? firstCursorFile.read()).flatMap { ChangeCursor($0) } }

    func keep(_ cursor: ChangeCursor) throws {
        try cursorFile.replace(with: cursor.description)
        // Or another receiver would go on from there one day.
        firstCursorFile.remove()
    }

    /// Sets a message aside that the receiver refuses.
    func setAside(_ body: Data, status: UInt) throws {
        let message = String(decoding: body, as: UTF8.self)
        try refusedFile.append(#"{"refusedAt":"\#(Date().iso8601)","status":\#(status),"message":\#(message)}"#)
    }
}
