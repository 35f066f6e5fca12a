import WhatsAppSessionsSQLite

extension DatabaseError {
    /// The error behind the result code that a call on `connection` has just returned.
    ///
    /// The corresponding C function is `sqlite3_errmsg`.
    init(_ code: Int32, on connection: OpaquePointer?, sql: String? = nil) {
        self.init(
            resultCode: ResultCode(rawValue: code),
            message: String(cString: sqlite3_errmsg(connection)),
            sql: sql
        )
    }

    /// The rule of the schema that was broken: the name of a CHECK constraint or what a trigger raised, split at the
    /// first colon.
    var brokenRule: (code: String, sentence: String)? {
        guard resultCode == .checkConstraint || resultCode == .triggerConstraint else { return nil }
        // By bytes, which is much faster than by characters.
        let frame = resultCode == .checkConstraint ? "CHECK constraint failed: " : ""
        let name = message.utf8.dropFirst(frame.utf8.count)
        guard let colon = name.firstIndex(of: UInt8(ascii: ":")) else { return nil }
        return (String(Substring(name[..<colon])), String(Substring(name[colon...].dropFirst(2))))
    }
}

extension DatabaseError.ResultCode {
    // The importer cannot read these macros: https://sqlite.org/rescode.html#extrc
    static let checkConstraint = Self(rawValue: SQLITE_CONSTRAINT | 1 << 8)
    static let triggerConstraint = Self(rawValue: SQLITE_CONSTRAINT | 7 << 8)
}
