#if Postgres
/// How long a text may be: 256 of them in an array are less than the 2 GiB that the protocol can count.
private let longestText = 8_000_000

extension SessionWrite {
    /// - Throws: ``DatabaseError`` with the code ``DatabaseError/ResultCode/tooBig``, before the server closes the connection for it.
    func requireSizes() throws {
        if case .restore(let contents) = self {
            let size = contents.sessions.reduce(0) { $0 + $1.session.texts.reduce(0) { $0 + $1.utf8.count } }
            guard size <= 1 << 30 else { throw DatabaseError.tooLong }
        }
        guard texts.allSatisfy({ $0.utf8.count <= longestText }) else { throw DatabaseError.tooLong }
    }

    private var texts: [String] {
        switch self {
        case .create(let id, _), .delete(let id): [id]
        case .update(let id, let updates, _, _, let lease, _):
            [
                id, updates.phoneNumber.newValue, updates.name.newValue, updates.qrCode.newValue,
                updates.disconnectReason.newValue?.text, updates.restriction.newValue, lease?.holder,
            ].compactMap(\.self)
        case .openLease(let holder, _, _): [holder]
        case .renewLease(let lease, _), .closeLease(let lease), .keepCursor(_, let lease), .claimUnserved(_, let lease):
            [lease.holder]
        case .claim(let id, let lease), .release(let id, let lease): [id, lease.holder]
        case .restore(let contents): contents.sessions.flatMap(\.session.texts)
        case .recover, .renewHistory: []
        }
    }
}

extension PostgresRead {
    /// - Throws: As a write does.
    func requireSizes() throws {
        let text =
            switch self {
            case .session(let id), .exists(let id), .other(.sessionAndPlace(let id)), .other(.history(let id, _)): id
            case .other(.lease(let holder)), .other(.keptCursor(let holder)): holder
            case .other: ""
            }
        guard text.utf8.count <= longestText else { throw DatabaseError.tooLong }
    }
}

extension Session {
    fileprivate var texts: [String] {
        [id, phoneNumber, name, qrCode, disconnectReason?.text, restriction].compactMap(\.self)
    }
}

extension DatabaseError {
    fileprivate static var tooLong: DatabaseError {
        DatabaseError(
            resultCode: .tooBig,
            message:
                "a text is too long: on PostgreSQL each has at most 8,000,000 bytes, and all that are restored 1 GiB",
            sqlState: "54000"
        )
    }
}
#endif
