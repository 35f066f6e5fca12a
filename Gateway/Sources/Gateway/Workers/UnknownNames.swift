import Logging
import Synchronization

/// Names that the gateway doesn't know, such as those of a worker's newer library: each is said once in the log.
enum UnknownNames {
    private static let known = Mutex<Set<String>>([])
    private static let logger = Logger(label: "gateway")

    /// - Returns: Whether it was said: once, and never of an event that is known to say nothing.
    @discardableResult
    static func note(_ name: String, as kind: String) -> Bool {
        // A name is short and plain. What isn't may be a worker's mistake, and hold a code.
        guard (1...60).contains(name.utf8.count), name.utf8.allSatisfy({ isPlain($0) }),
            name.contains(where: \.isLowercase), !SilentEvents.contains(name)
        else {
            return false
        }
        let isNew = known.withLock { $0.count < 1000 && $0.insert("\(kind) \(name)").inserted }
        if isNew { logger.notice("ignored an unknown \(kind)", metadata: ["name": "\(name)"]) }
        return isNew
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        let character = Character(Unicode.Scalar(byte))
        return character.isASCII && (character.isLetter || character.isNumber || "._*-".contains(character))
    }
}
