import Foundation
import Testing

@testable import WhatsAppSessions

/// An operator with the real `sqlite3` shell beside a running manager: the transcript in README.md.
@Suite(.enabled(if: Shell.exists, "needs the sqlite3 command-line shell"))
struct ShellTests {
    let folder = TemporaryFolder()
    let manager: SessionManager

    init() throws {
        manager = try SessionManager(storage: .file(path: folder.path + "/sessions.sqlite"))
        for id in ["support", "sales", "billing"] { try manager.createSession(id) }
        try manager.updateSession("sales", SessionUpdates(status: .qrWaiting, qrCode: .set("2@SECRET")))
        try manager.updateSession(
            "support",
            SessionUpdates(status: .connected, phoneNumber: .set("447700900123"), name: .set("Ana"))
        )
    }

    @Test func `what the README shows is what the shell prints`() throws {
        let readme = URL(filePath: #filePath).appending(path: "../../../README.md").standardized
        let text = try String(contentsOf: readme, encoding: .utf8)
        let transcript = try #require(
            text.split(separator: "<!-- shell -->\n```\n").last?.split(separator: "```").first
        )
        var printed = ""
        for line in transcript.split(separator: "\n") where line.hasPrefix("$ ") {
            printed += line + "\n" + (try Shell.run(String(line.dropFirst(2)), in: folder.path))
        }
        #expect(withoutFrames(printed) == withoutFrames(String(transcript)))
        #expect(transcript.contains("connected_to_qr_waiting"))
        #expect(try manager.getSession("support")?.status == .disconnected)
    }

    /// The same without what versions of the shell put around an error: `Error: stepping, ` and ` (19)`.
    private func withoutFrames(_ output: String) -> String {
        output.replacing(/[A-Za-z ,:]*(connected_to_qr_waiting: .*?)( \(19\))?\n/) { "\($0.1)\n" }
    }

    @Test(arguments: [(13 * 60 + 5, "0d 13h 05m"), (2 * 1440 + 59, "2d 00h 59m"), (-300, "0d 00h 00m")])
    func `the overview counts days, hours and minutes, and none for a time to come`(minutes: Int, age: String) throws {
        try manager.execute(
            """
            INSERT INTO sessions (id, created_at)
            VALUES ('old', (CAST(strftime('%s', 'now') AS INTEGER) - \(minutes) * 60 - 2) * 1000)
            """
        )
        let row = try Shell.run(
            "sqlite3 sessions.sqlite \"SELECT age, status_age FROM session_overview WHERE id = 'old'\"",
            in: folder.path
        )
        #expect(row == "\(age)|\(age)\n")
    }

    @Test func `the overview has readable times, the age, and no QR code`() throws {
        try manager.execute("INSERT INTO sessions (id, created_at) VALUES ('old', 1700000000999)")
        let row = try Shell.run(
            "sqlite3 sessions.sqlite \"SELECT * FROM session_overview WHERE id = 'old'\"",
            in: folder.path
        )
        let columns = row.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        #expect(columns.prefix(2) == ["old", "initializing"])
        #expect(columns[3...6] == ["", "", "2023-11-14 22:13:20", ""])
        for age in [columns[2], columns[7]] { #expect(age.wholeMatch(of: /\d+d \d\dh \d\dm/) != nil) }
        #expect(columns[8...] == ["no", "", "", "", "", "\n"])
        let all = try Shell.run("sqlite3 sessions.sqlite 'SELECT * FROM session_overview'", in: folder.path)
        #expect(all.contains("sales|qr_waiting") && all.firstMatch(of: /\|yes\|\d+\|\|\|\|\n/) != nil)
        #expect(!all.contains("SECRET"))
    }

    @Test(arguments: [
        ("UPDATE sessions SET status = 'online'", "the status is initializing, qr_waiting, connected or disconnected"),
        (
            "INSERT INTO sessions (id, created_at) VALUES ('support', 0)",
            "already_exists: a session with this id already exists"
        ),
        ("UPDATE sessions SET connected_at = 'noon'", "cannot store TEXT value in INTEGER column"),
    ])
    func `an edit that breaks a rule is refused with a sentence`(sql: String, sentence: String) throws {
        let before = try manager.getAllSessions()
        #expect(try Shell.run("sqlite3 sessions.sqlite \"\(sql)\"", in: folder.path).contains(sentence))
        #expect(try manager.getAllSessions() == before)
    }

    @Test func `an edit that breaks none is seen by the running manager's next call`() throws {
        let edit = "UPDATE sessions SET status = 'disconnected', qr_code = NULL WHERE id = 'sales'"
        #expect(try Shell.run("sqlite3 sessions.sqlite \"\(edit)\"", in: folder.path) == "")
        #expect(try manager.getSession("sales")?.status == .disconnected)
    }
}

private enum Shell {
    static let exists = (try? run("sqlite3 -version", in: "/"))?.hasPrefix("3.") == true

    /// What a command prints, its errors among it.
    static func run(_ command: String, in folder: String) throws -> String {
        let process = Process()
        let pipe = Pipe()
        process.executableURL = URL(filePath: "/bin/sh")
        process.arguments = ["-c", command]
        process.currentDirectoryURL = URL(filePath: folder)
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return String(decoding: output, as: UTF8.self)
    }
}
