extension SessionManager {
    /// Where a manager keeps its sessions.
    public struct Storage: Hashable, Sendable {
        /// `nil` in memory.
        private let path: String?

        /// In memory; the sessions end with the manager.
        public static let memory = Storage(path: nil)

        /// In the file at `path`, which is created if there is none; its folder must exist. A relative path starts at the
        /// current folder.
        ///
        /// Beside the file are `-wal` and `-shm` while it is open. The three belong together, and only their owner can
        /// read them.
        public static func file(path: String) -> Storage { Storage(path: path) }

        func open() throws -> any SessionStore {
            if let path { try FileDatabase(path) } else { try MemoryDatabase() }
        }
    }
}
