/// The changes that were read after a place in the journal, for all followers at that place or further on.
struct ChangePage {
    let start: ChangeCursor
    /// Without a gap from `start` on.
    let changes: [SessionChange]
    /// Whether there were more.
    let hasMore: Bool

    var end: ChangeCursor { changes.last?.cursor ?? start }

    /// What the page has after another place; empty when it ends before; `nil` when it can't tell, because that place is before
    /// its start, or of a history that the page doesn't have there: it may be a lost future.
    func changes(after cursor: ChangeCursor) -> ArraySlice<SessionChange>? {
        if cursor == start { return ArraySlice(changes) }
        guard cursor.number > start.number else { return nil }
        let place = Int(cursor.number - start.number)
        let here = place <= changes.count ? changes[place - 1].cursor : end
        guard cursor.history == here.history else { return nil }
        return changes.dropFirst(place)
    }
}
