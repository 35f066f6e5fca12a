import Foundation
import Synchronization

/// What a forked child must know about its parent.
///
/// `fork` copies connections and locks, held ones too, but neither the threads that hold them nor the locks on files:
/// <https://sqlite.org/howtocorrupt.html>, section 2.6. A handler notes the fork, so asking costs no system call.
enum Fork {
    /// How many forks there were from the first process to this one.
    private static let count = Atomic(0)
    private static let openDatabases = Atomic(0)
    private static let parentHadOpenDatabase = Atomic(false)

    private static let handler: Void = {
        pthread_atfork(nil, nil) {
            count.add(1, ordering: .relaxed)
            if openDatabases.load(ordering: .relaxed) > 0 { parentHadOpenDatabase.store(true, ordering: .relaxed) }
        }
    }()

    /// The process that something belongs to.
    struct Owner: Sendable {
        private let forks: Int

        init() {
            handler
            forks = count.load(ordering: .relaxed)
        }

        var isThisProcess: Bool { forks == count.load(ordering: .relaxed) }

        /// Call it before taking any lock: a thread that doesn't exist in the child may hold it.
        func requireThisProcess() throws {
            guard isThisProcess else {
                throw DatabaseError(
                    resultCode: .misuse,
                    message: "this process was forked from the one that opened the database: fork first, then open it"
                )
            }
        }
    }

    /// Counts a database as open for as long as it lives.
    struct OpenDatabase: ~Copyable {
        /// - Throws: ``DatabaseError`` in a child whose parent had a database open. SQLite's table of locks came with the
        ///   fork, so in a file SQLite would take no lock at all; and a thread that the child doesn't have may hold the lock
        ///   of SQLite's allocator for ever.
        init() throws {
            guard !parentHadOpenDatabase.load(ordering: .relaxed) else {
                throw DatabaseError(
                    resultCode: .misuse,
                    message: """
                        this process was forked while a database was open, and cannot open one safely: \
                        fork before the first is opened, or exec
                        """
                )
            }
            openDatabases.add(1, ordering: .relaxed)
        }

        deinit { openDatabases.subtract(1, ordering: .relaxed) }
    }
}
