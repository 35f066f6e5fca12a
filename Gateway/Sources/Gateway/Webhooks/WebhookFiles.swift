import Crypto
import Foundation
import WhatsAppSessions

/// What is kept of a receiver in files: what it refused and, until the database has it, how far it was told.
struct WebhookFiles {
    /// What the receiver is called in files and leases: receivers may come and go, and change places.
    let name: String
    private let cursorFiles: [PrivateFile]
    private let refusedFile: PrivateFile

    /// The file of the messages that were set aside; `nil` when they are not kept.
    var refusedPath: String? { refusedFile.path }

    /// - Parameters:
    ///   - database: What the files' names begin with; `nil` when there are none.
    ///   - url: The receiver.
    ///   - isFirst: Whether it takes over the place that 0.1.0 kept, which knew one receiver.
    init(beside database: String?, url: String, isFirst: Bool) {
        let name = SHA256.hash(data: Data(url.utf8)).prefix(4).map { String(format: "%02x", $0) }.joined()
        self.name = name
        let endings = [".webhook-cursor-\(name)"] + (isFirst ? [".webhook-cursor"] : [])
        cursorFiles = database.map { database in endings.map { PrivateFile(path: database + $0) } } ?? []
        refusedFile = PrivateFile(path: database.map { "\($0).webhook-refused-\(name).ndjson" })
    }

    /// Up to where the receiver was told by a gateway that kept it in a file.
    func cursor() -> ChangeCursor? { cursorFiles.lazy.compactMap { $0.read() }.first.flatMap { ChangeCursor($0) } }

    /// Or another receiver would go on from there one day.
    func forgetCursor() { for file in cursorFiles { file.remove() } }

    /// Sets a message aside that the receiver refuses.
    func setAside(_ body: Data, status: UInt) throws {
        let message = String(decoding: body, as: UTF8.self)
        try refusedFile.append(#"{"refusedAt":"\#(Date().iso8601)","status":\#(status),"message":\#(message)}"#)
    }
}
