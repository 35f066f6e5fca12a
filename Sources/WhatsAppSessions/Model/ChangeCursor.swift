/// A place in the journal of changes: after one change, and before the next.
///
/// Keep it anywhere as its text, which is opaque, and follow the changes after it later, after a restart too. It belongs to
/// one database. A backup is another one.
public struct ChangeCursor: Hashable, Sendable {
    /// A random number that was made with the database.
    let history: Int64
    /// The change that it comes after; 0 before the first one.
    let number: Int64
}

extension ChangeCursor: LosslessStringConvertible {
    /// Reads the text of a cursor; `nil` for any other text.
    public init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let history = Int64(parts[0]), let number = Int64(parts[1]) else { return nil }
        self.init(history: history, number: number)
        // One text for each cursor: no signs, no zeros in front.
        guard description == text else { return nil }
    }

    /// The text of the cursor.
    public var description: String { "\(history)-\(number)" }
}

extension ChangeCursor: Codable {
    /// Decodes the text.
    ///
    /// - Throws: `DecodingError` for text that isn't a cursor.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let cursor = Self(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "this is not the text of a cursor")
        }
        self = cursor
    }

    /// Encodes the text.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }
}
