/// Why an account went offline, as its worker reported it.
public struct DisconnectReason: Hashable, Codable, Sendable {
    /// The worker's number, such as 401 (logged out on the phone) or 440 (replaced by another process) from Baileys.
    public var code: Int?
    /// The worker's words. The number alone says too little: Baileys' 408 is a lost connection, and also a pairing whose
    /// codes were used up. The journal keeps them with each change of the status, and nothing erases them there: keep them
    /// short, and free of credentials and personal data.
    public var text: String

    /// Creates a reason.
    public init(code: Int? = nil, text: String) {
        self.code = code
        self.text = text
    }
}

extension DisconnectReason: CustomStringConvertible {
    /// `401, logged out on the phone`, or the text alone.
    public var description: String { (code.map { "\($0), " } ?? "") + text }
}
