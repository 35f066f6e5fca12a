/// The changes that were read after a place in the journal, for all followers at that place or further on.
struct ChangePage {
    let start: ChangeCursor
    /// Without a gap from `start` on.
    let changes: [SessionChange]
    /// Whether there were more.
    let hasMore: Bool

    var end: ChangeCursor { changes.last?.cursor ?? start }

    /// What the page has after another place; empty when it ends before; `nil` when it can't tell, because that place is before
    /// its start or in another history.
    func changes(after cursor: ChangeCursor) -> ArraySlice<SessionChange>? {
        guard cursor.history == start.history, cursor.number >= start.number else { return nil }
        return changes.dropFirst(Int(cursor.number - start.number))
    }
}
