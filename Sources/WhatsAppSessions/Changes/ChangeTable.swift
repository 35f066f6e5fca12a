import Foundation

/// The journal. The schema's triggers write it; here it is read.
struct ChangeTable {
    let connection: Connection

    init(_ connection: Connection) {
        self.connection = connection
    }

    /// Returns the changes after a cursor, the oldest first; empty if the cursor is the newest. They end before a damaged one.
    ///
    /// One statement, so that it sees one state; and a LEFT JOIN, so that it has a row where there is no change.
    ///
    /// - Throws: ``ChangeCursorExpiredError`` unless all of them are there. ``DatabaseError`` when the first is damaged.
    func changes(after cursor: ChangeCursor, limit: Int) throws -> [SessionChange] {
        var (last, damage): (Int64, DatabaseError?) = (cursor.number, nil)
        let rows = try connection.prepared(
            """
            SELECT history, (SELECT max(number) FROM session_changes), number, session_id, previous_status, status,
                fields, disconnect_code, disconnect_text, changed_at
            FROM journal LEFT JOIN session_changes ON number > :number
            WHERE journal.id = 1 ORDER BY number LIMIT :limit
            """
        ).all {
            try $0.bind(cursor.number, to: ":number")
            try $0.bind(Int64(limit), to: ":limit")
        } read: { row -> SessionChange? in
            guard damage == nil else { return nil }
            guard let number = try row.integerIfPresent(2) else {
                guard try ChangeCursor(row, history: 0, number: 1) == cursor else {
                    throw ChangeCursorExpiredError(cursor: cursor)
                }
                return nil
            }
            // The numbers have no gaps, so one that is missing was dropped.
            guard number - 1 == last, try row.integer(0) == cursor.history else {
                throw ChangeCursorExpiredError(cursor: cursor)
            }
            last = number
            do {
                return try SessionChange(ChangeCursor(history: cursor.history, number: number), row)
            } catch let error as DatabaseError where error.resultCode == .corrupt {
                damage = error.explained { "\($0) in the change with the number \(number)" }
                return nil
            }
        }
        let changes = rows.compactMap(\.self)
        if rows.isEmpty { throw DatabaseError.journalLost }
        if changes.isEmpty, let damage { throw damage }
        return changes
    }
}

extension ChangeCursor {
    /// The newest place in a journal.
    init(_ row: Row, history: Int32, number: Int32) throws {
        self.init(history: try row.integer(history), number: try row.integerIfPresent(number) ?? 0)
    }
}

extension DatabaseError {
    static var journalLost: DatabaseError {
        DatabaseError(resultCode: .corrupt, message: "the table journal is empty: restore a backup")
    }
}

extension SessionChange {
    fileprivate init(_ cursor: ChangeCursor, _ row: Row) throws {
        func status(_ column: Int32) throws -> Session.Status? {
            try row.isNull(column) ? nil : Session.Status(row: row, column: column)
        }
        let (before, after) = (try status(4), try status(5))
        guard before != nil || after != nil else { throw row.malformed(5) }
        self.init(
            cursor: cursor,
            sessionID: try row.text(3),
            kind: before == nil ? .created : after == nil ? .deleted : .updated,
            date: Date(milliseconds: try row.integer(9)),
            fields: Fields(rawValue: Int(try row.integer(6))),
            previousStatus: before,
            status: after,
            disconnectReason: try DisconnectReason(row: row, code: 7, text: 8)
        )
    }
}
