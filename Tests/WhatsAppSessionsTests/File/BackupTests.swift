import Foundation
import Testing

@testable import WhatsAppSessions

/// Copies of a database, in memory or in a file.
@Suite struct BackupTests {
    let folder = TemporaryFolder()
    var copy: String { folder.path + "/copy.sqlite" }

    @Test(arguments: [false, true])
    func `a copy holds everything, is its owner's only, and is opened by a manager`(inMemory: Bool) async throws {
        let manager = inMemory ? try SessionManager() : try folder.open()
        for number in 0..<100 { try await manager.createSession("\(number)") }
        try await manager.updateSession("7", SessionUpdates(status: .connected, name: .set("Ana")))
        try backUpSynchronously(manager)
        #expect(mode(copy) == 0o600)
        #expect(try folder.names.filter { $0.hasPrefix("copy") } == ["copy.sqlite"])
        #expect(try await SessionManager(storage: .file(path: copy)).getAllSessions() == manager.getAllSessions())
        try await manager.backUp(to: folder.path + "/copy2.sqlite")
        try await manager.createSession("goes on")
    }

    @Test func `a copy never overwrites a file`() throws {
        let manager = try folder.open()
        try Data("mine".utf8).write(to: URL(filePath: copy))
        for path in [copy, folder.file] {
            let before = try Data(contentsOf: URL(filePath: path))
            let error = #expect(throws: DatabaseError.self) { try manager.backUp(to: path) }
            #expect(error?.message == "\(path) exists already")
            #expect(try Data(contentsOf: URL(filePath: path)) == before)
        }
        for path in [folder.path + "/none/copy", "", folder.path + "/" + String(repeating: "x", count: 245)] {
            #expect(throws: DatabaseError.self) { try manager.backUp(to: path) }
        }
        #expect(try folder.names.filter { $0.contains("partial") } == [])
        try manager.createSession("goes on")
    }

    @Test func `what a killed backup left behind is replaced by the next`() throws {
        let manager = try SessionManager()
        try manager.createSession("support")
        try Data(String(repeating: "2@SECRET", count: 10_000).utf8).write(to: URL(filePath: copy + ".partial"))
        #expect(chmod(copy + ".partial", 0o644) == 0)
        try manager.backUp(to: copy)
        #expect(mode(copy) == 0o600)
        #expect(try folder.names == ["copy.sqlite"])
        #expect(try SessionManager(storage: .file(path: copy)).sessionExists("support"))
    }

    @Test func `a database that is open is not taken for what a killed backup left behind`() throws {
        let other = try SessionManager(storage: .file(path: copy + ".partial"))
        try other.createSession("other")
        let error = #expect(throws: DatabaseError.self) { try SessionManager().backUp(to: copy) }
        #expect(error?.message == "\(copy).partial is a database in use")
        #expect(try other.getAllSessions().count == 1)
    }

    @Test func `a log that another file left behind is not taken for the copy's`() throws {
        for suffix in ["-wal", "-journal"] {
            try Data("theirs".utf8).write(to: URL(filePath: copy + suffix))
            let error = #expect(throws: DatabaseError.self) { try SessionManager().backUp(to: copy) }
            #expect(error?.message == "\(copy)\(suffix) exists already")
            #expect(unlink(copy + suffix) == 0)
        }
        #expect(try folder.names == [])
    }

    @Test func `a copy that cannot be filled leaves nothing behind`() throws {
        struct Refused: Error {}
        #expect(throws: Refused.self) { try Backup(to: copy).create { _ in throw Refused() } }
        #expect(try folder.names == [])
    }

    @Test func `of two backups to one path at once, the second is refused and the first is left alone`() throws {
        let other = open(copy + ".partial", O_CREAT | O_RDWR, 0o600)
        #expect(write(other, "theirs", 6) == 6)
        #expect(flock(other, LOCK_EX) == 0)
        let manager = try SessionManager()
        let error = #expect(throws: DatabaseError.self) { try manager.backUp(to: copy) }
        #expect(error?.message == "another backup to \(copy) is under way")
        #expect(error?.resultCode == .busy)
        #expect(size(copy + ".partial") == 6)
        close(other)
        try manager.backUp(to: copy)
        #expect(size(copy) > 6)
    }

    @Test func `a link in place of the partial file is not followed`() throws {
        let target = folder.path + "/target"
        try Data("mine".utf8).write(to: URL(filePath: target))
        #expect(symlink(target, copy + ".partial") == 0)
        #expect(throws: DatabaseError.self) { try SessionManager().backUp(to: copy) }
        #expect(size(target) == 4)
    }

    @Test func `a backup of a file holds up no other call`() async throws {
        let manager = try folder.open()
        for number in 0..<200 {
            try await manager.createSession("\(number)")
            try await manager.updateSession(
                "\(number)",
                SessionUpdates(name: .set(String(repeating: "x", count: 50_000)))
            )
        }
        async let backup: Void = manager.backUp(to: copy)
        try await manager.createSession("meanwhile")
        #expect(try await manager.sessionExists("meanwhile"))
        try await backup
        #expect(try await SessionManager(storage: .file(path: copy)).getAllSessions().count >= 200)
    }

    // In a function that is not `async`, so that it calls the synchronous method.
    private func backUpSynchronously(_ manager: SessionManager) throws { try manager.backUp(to: copy) }
}
