import Testing
import WhatsAppSessions

/// Text of every kind comes back byte for byte.
@Suite(.eachEngine) struct TextTests {
    let manager = try! Engine.current.open()

    static let hostile = [
        "\0", "a\0b", "a", "b\0", "☕", "👩‍👩‍👧‍👦", "\u{e9}", "e\u{301}", "\u{feff}bom", "'", "\"", "`", "\\", "%", "_",
        "'; DROP TABLE sessions; --", "?1", ":id", "NULL", "null", " ", "trailing ", "\n", "\r\n", "\u{202e}",
        "\u{10ffff}", "\u{fffd}", "123", "1e3", "0x10", String(repeating: "🇧🇷", count: 131_072),
    ]

    @Test func `every text is an id of its own`() throws {
        for id in Self.hostile { #expect(bytes(try manager.createSession(id).id) == bytes(id)) }
        #expect(try manager.getAllSessions().map { bytes($0.id) } == Self.hostile.map(bytes))
        for id in Self.hostile {
            #expect(throws: SessionAlreadyExistsError.self) { try manager.createSession(id) }
            #expect(try manager.sessionExists(id))
            #expect(try bytes(#require(try manager.getSession(id)).id) == bytes(id))
            #expect(try bytes(manager.updateSession(id, SessionUpdates(name: .set(id))).id) == bytes(id))
        }
        for id in Self.hostile { #expect(bytes(try #require(try manager.getSession(id)?.name)) == bytes(id)) }
        for (index, id) in Self.hostile.enumerated() {
            #expect(try manager.deleteSession(id))
            #expect(try !manager.sessionExists(id))
            #expect(try manager.getAllSessions().count == Self.hostile.count - index - 1)
        }
    }

    @Test func `ids that Swift calls equal but whose bytes differ are two sessions`() throws {
        let (composed, decomposed) = ("caf\u{e9}", "cafe\u{301}")
        #expect(composed == decomposed)
        try manager.createSession(composed)
        #expect(try !manager.sessionExists(decomposed))
        #expect(try manager.getSession(decomposed) == nil)
        #expect(try !manager.deleteSession(decomposed))
        #expect(throws: SessionNotFoundError.self) { try manager.updateSession(decomposed, SessionUpdates()) }
        try manager.createSession(decomposed)
        #expect(try manager.getAllSessions().count == 2)
    }

    @Test func `every text field keeps every text, the empty one too`() throws {
        let id = try manager.createSession().id
        for text in Self.hostile + [""] {
            let updates = SessionUpdates(
                status: .qrWaiting,
                phoneNumber: .set(text),
                name: .set(text + "n"),
                qrCode: .set(text + "q")
            )
            let returned = try manager.updateSession(id, updates)
            for session in [returned, try #require(try manager.getSession(id))] {
                #expect(try bytes(#require(session.phoneNumber)) == bytes(text))
                #expect(try bytes(#require(session.name)) == bytes(text + "n"))
                #expect(try bytes(#require(session.qrCode)) == bytes(text + "q"))
            }
        }
    }

    private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
}
