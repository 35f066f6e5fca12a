extension SessionManager {
    /// Where a manager keeps its sessions.
    public enum Storage: Hashable, Sendable {
        /// In memory. They end with the manager.
        case memory
        /// In the file at `path`, which is created if there is none; its folder must exist. A relative path starts at the
        /// current folder. The file, its `-wal` and its `-shm` belong together and are readable by their owner only.
        case file(path: String)
    }

    /// Marks the sessions that a dead process left behind as disconnected, so that the host can connect them again.
    ///
    /// Call it once when the gateway starts, before any worker does. With two gateways on one file it would disconnect
    /// the other one's sessions.
    ///
    /// - Returns: The sessions that were `initializing`, `qr_waiting` or `connected`, as they were, in order of creation.
    ///   Each is now ``Session/Status/disconnected`` without a QR code. A session that was disconnected stays untouched.
    /// - Throws: ``DatabaseError``; then nothing has changed.
    @discardableResult
    public func recoverSessions() throws -> [Session] {
        try table.withLock { table in
            try table.connection.requireReady()
            let sessions = try table.connection.write {
                let sessions = try table.sessions(table.selectLive)
                try table.disconnectLive.run { try $0.step() }
                return sessions
            }
            table.connection.checkpointIfDue(isUrgent: sessions.contains { $0.qrCode != nil })
            return sessions
        }
    }

    /// Writes a consistent copy of the database, from memory or a file, to a new file that a manager can open.
    ///
    /// The copy is on disk and readable by its owner only when it gets its name. Other calls wait until it is done.
    ///
    /// - Parameter path: Where to; a file that exists is never overwritten.
    /// - Throws: ``DatabaseError`` when there is something at `path`, or it cannot be written; then nothing is there.
    public func backUp(to path: String) throws {
        let copy = try DatabaseFile(path)
        try table.withLock { table in
            try table.connection.requireReady()
            try table.connection.backUp(to: copy)
        }
    }
}
