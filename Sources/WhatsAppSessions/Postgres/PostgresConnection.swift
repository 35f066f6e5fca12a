#if Postgres
import Foundation
import WhatsAppSessionsLibpq

/// The server refused something, and did nothing of it.
struct PostgresRefusal: Error {
    /// The SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    let state: String
    let message: String
}

/// The connection cannot be used any more, or there never was one. What was under way may have been done.
struct PostgresConnectionLost: Error {
    let state: String?
    let message: String
}

/// A connection to the server that takes writes. One thread at a time uses it.
final class PostgresConnection {
    private let handle: OpaquePointer
    /// Which statements the server knows by name.
    private var prepared: Set<String> = []
    /// Whether the server warned since the last use. A pointer, since libpq calls with one.
    private let hasWarned = UnsafeMutablePointer<Bool>.allocate(capacity: 1)

    /// The version of the server: 150018 for 15.18.
    var serverVersion: Int32 { PQserverVersion(handle) }

    /// The server's process, once the connection is configured.
    var process: PostgresProcess?

    /// The number of that process, as it was told to libpq.
    var processNumber: Int32 { PQbackendPID(handle) }

    /// - Parameter first: Which of several hosts is tried first.
    /// - Throws: ``PostgresConnectionLost``.
    init(to address: PostgresAddress, startingAt first: Int = 0) throws {
        hasWarned.initialize(to: false)
        let parameters =
            [
                // What comes before `dbname` are defaults, which the address may replace. A dead server is noticed in ten seconds.
                ("connect_timeout", "3"), ("tcp_user_timeout", "6000"), ("keepalives_idle", "4"),
                ("keepalives_interval", "2"), ("keepalives_count", "3"), ("application_name", "whatsapp-sessions"),
                ("dbname", address.text), ("target_session_attrs", "read-write"), ("client_encoding", "UTF8"),
            ] + address.hosts(startingAt: first)
        var keys = parameters.map { UnsafePointer(strdup($0.0)) } + [nil]
        var values = parameters.map { UnsafePointer(strdup($0.1)) } + [nil]
        defer { for pointer in keys + values { free(UnsafeMutablePointer(mutating: pointer)) } }
        guard let handle = PQconnectdbParams(&keys, &values, 1) else {
            throw PostgresConnectionLost(state: nil, message: "out of memory")
        }
        self.handle = handle
        guard PQstatus(handle) == CONNECTION_OK else { throw lost() }
        PQsetNoticeReceiver(
            handle,
            { hasWarned, notice in
                guard let severity = PQresultErrorField(notice, Int32(WHATSAPP_SESSIONS_SEVERITY)) else { return }
                if strcmp(severity, "WARNING") == 0 { hasWarned!.assumingMemoryBound(to: Bool.self).pointee = true }
            },
            hasWarned
        )
        guard PQsetnonblocking(handle, 1) == 0 else { throw lost() }
    }

    deinit {
        PQfinish(handle)
        hasWarned.deallocate()
    }

    /// Sends a statement, and returns its answer. By then it is committed.
    ///
    /// - Throws: ``PostgresRefusal``, or ``PostgresConnectionLost`` also when the time is up.
    func run(
        _ statement: PostgresStatement,
        _ values: PostgresValues = PostgresValues(),
        until deadline: ContinuousClock.Instant
    ) throws -> PostgresRows {
        if !prepared.contains(statement.name) {
            _ = try answer(until: deadline) {
                PQsendPrepare(handle, statement.name, statement.sql(), Int32(statement.types.count), statement.types)
            }
            prepared.insert(statement.name)
        }
        hasWarned.pointee = false
        let rows = try answer(until: deadline) {
            values.withPointers { pointers, lengths, formats in
                PQsendQueryPrepared(
                    handle,
                    statement.name,
                    Int32(lengths.count),
                    pointers,
                    lengths,
                    formats,
                    1
                )
            }
        }
        // Committed here, but the wait for the standby was given up: that is not what a write which returns has.
        guard !hasWarned.pointee else {
            throw PostgresConnectionLost(state: "01000", message: "the server gave up its wait for the standby")
        }
        return rows
    }

    /// Runs SQL without values, of one statement or several, and returns the rows of the last.
    func run(script: String, until deadline: ContinuousClock.Instant) throws -> PostgresRows {
        try answer(until: deadline) { PQsendQuery(handle, script) }
    }

    /// Runs `body`, whose statements all see the database as it is at one moment.
    func snapshot<Value>(until deadline: ContinuousClock.Instant, _ body: () throws -> Value) throws -> Value {
        _ = try run(script: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", until: deadline)
        let value: Value
        do {
            value = try body()
        } catch {
            _ = try? run(script: "ROLLBACK", until: deadline)
            throw error
        }
        _ = try run(script: "COMMIT", until: deadline)
        return value
    }

    /// Starts something, and waits until the server is ready for more.
    private func answer(until deadline: ContinuousClock.Instant, _ start: () -> Int32) throws -> PostgresRows {
        guard start() == 1 else { throw lost() }
        var rows: PostgresRows?
        var refusal: PostgresRefusal?
        while true {
            try wait(until: deadline)
            guard let result = PQgetResult(handle) else { break }
            let answer = PostgresRows(result)
            switch PQresultStatus(result) {
            case PGRES_TUPLES_OK, PGRES_COMMAND_OK: rows = answer
            default: refusal = self.refusal(result)
            }
        }
        guard PQstatus(handle) == CONNECTION_OK else {
            throw PostgresConnectionLost(state: refusal?.state, message: refusal?.message ?? message)
        }
        if let refusal { throw refusal }
        guard let rows else { throw lost() }
        return rows
    }

    /// Sends what isn't sent yet, and waits for an answer.
    private func wait(until deadline: ContinuousClock.Instant) throws {
        while true {
            let unsent = PQflush(handle)
            guard unsent >= 0 else { throw lost() }
            guard PQisBusy(handle) == 1 else { return }
            let rest = deadline - .now
            guard rest > .zero else {
                throw PostgresConnectionLost(state: nil, message: "the server didn't answer in time")
            }
            var socket = pollfd(
                fd: PQsocket(handle),
                events: Int16(unsent == 1 ? POLLIN | POLLOUT : POLLIN),
                revents: 0
            )
            poll(&socket, 1, Int32(min(rest / .milliseconds(1), 60_000).rounded(.up)))
            if Int32(socket.revents) & (POLLIN | POLLERR | POLLHUP) != 0 {
                guard PQconsumeInput(handle) == 1 else { throw lost() }
            }
        }
    }

    private var message: String {
        String(cString: PQerrorMessage(handle)).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private func lost() -> PostgresConnectionLost { PostgresConnectionLost(state: nil, message: message) }

    private func refusal(_ result: OpaquePointer) -> PostgresRefusal {
        func field(_ code: Int) -> String? { PQresultErrorField(result, Int32(code)).map { String(cString: $0) } }
        return PostgresRefusal(
            state: field(WHATSAPP_SESSIONS_SQLSTATE) ?? "",
            message: field(WHATSAPP_SESSIONS_MESSAGE) ?? message
        )
    }
}

/// A statement that a connection prepares when it is first run.
struct PostgresStatement: Sendable {
    let name: String
    /// Put together only where it is prepared.
    let sql: @Sendable () -> String
    /// The types of its parameters.
    let types: [Oid]

    init(name: String, sql: @autoclosure @escaping @Sendable () -> String, types: [Oid]) {
        (self.name, self.sql, self.types) = (name, sql, types)
    }
}
#endif
