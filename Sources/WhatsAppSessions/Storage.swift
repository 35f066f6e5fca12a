extension SessionManager {
    /// Where a manager keeps its sessions.
    public struct Storage: Hashable, Sendable {
        private enum Place: Hashable {
            case memory
            case file(path: String)
            #if Postgres
            case postgres(String)
            #endif
        }

        private let place: Place

        /// In memory; the sessions end with the manager.
        public static let memory = Storage(place: .memory)

        /// In the file at `path`, which is created if there is none; its folder must exist. A relative path starts at the
        /// current folder.
        ///
        /// Beside the file are `-wal` and `-shm` while it is open. The three belong together, and only their owner can
        /// read them.
        public static func file(path: String) -> Storage { Storage(place: .file(path: path)) }

        #if Postgres
        /// In a PostgreSQL database, which several hosts may share (<doc:BeyondOneMachine>). The schema is made by whoever opens it
        /// first.
        ///
        /// - Parameter connection: A URL or key words, as libpq reads them: several hosts, `sslmode`, `passfile`, `service`
        ///   (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING>). It is never printed.
        public static func postgres(_ connection: String) -> Storage { Storage(place: .postgres(connection)) }
        #endif

        func open(log: (@Sendable (String) -> Void)? = nil) throws -> any SessionStore {
            switch place {
            case .memory: try MemoryDatabase()
            case .file(let path): try FileDatabase(path)
            #if Postgres
            case .postgres(let connection): try PostgresDatabase(connection, log: log ?? { _ in })
            #endif
            }
        }
    }
}

extension SessionManager.Storage: Redacted {
    /// Where it is; of a server's address nothing, since it may have a password.
    public var customMirror: Mirror {
        let child: (String?, Any) =
            switch place {
            case .memory: ("memory", true)
            case .file(let path): ("file", path)
            #if Postgres
            case .postgres: ("postgres", Self.hidden)
            #endif
            }
        return Mirror(self, children: [child], displayStyle: .struct)
    }
}
