#if Postgres
import Foundation
import WhatsAppSessions

/// A PostgreSQL server that a check starts from Debian's packages, in a folder of its own, as another user where the check is root.
final class PostgresNode {
    private static let programs: String = {
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")) ?? []
        let newest = versions.compactMap { Int($0) }.max()
        require(newest != nil, "PostgreSQL is not installed: apt-get install postgresql")
        return "/usr/lib/postgresql/\(newest!)/bin"
    }()

    let name: String
    let port: Int
    let folder: String
    let host: String
    /// The network namespace that the server runs in, if it isn't that of the check: ip-netns(8).
    let namespace: String?
    private var data: String { folder + "/data" }

    /// How `psql` and the library reach this server alone.
    var address: String { "host=\(host) port=\(port) user=postgres dbname=postgres" }

    private init(_ name: String, port: Int, in folder: String, on network: Network) {
        (self.name, self.port, self.folder) = (name, port, "\(folder)/\(name)")
        (host, namespace) = (network.host, network.namespace)
        try! FileManager.default.createDirectory(atPath: self.folder, withIntermediateDirectories: true)
        if geteuid() == 0 {
            let user = getpwnam("postgres")
            require(user != nil, "there is no user postgres")
            for path in [folder, self.folder] { chown(path, user!.pointee.pw_uid, user!.pointee.pw_gid) }
        }
    }

    /// Where a server listens.
    struct Network {
        var host = "127.0.0.1"
        var namespace: String?
    }

    /// A new server, with a database of its own.
    static func create(
        _ name: String,
        port: Int,
        in folder: String,
        on network: Network = Network(),
        settings: [String: String] = [:]
    ) throws -> PostgresNode {
        let node = PostgresNode(name, port: port, in: folder, on: network)
        try node.run("initdb", "-D", node.data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale", "C.UTF-8")
        try node.configure(settings)
        try node.start()
        return node
    }

    /// A standby of another server.
    static func standby(
        _ name: String,
        port: Int,
        of primary: PostgresNode,
        in folder: String,
        on network: Network = Network()
    ) throws -> PostgresNode {
        let node = PostgresNode(name, port: port, in: folder, on: network)
        try node.copy(primary)
        return node
    }

    /// Becomes a standby of another server, whatever it was.
    func copy(_ primary: PostgresNode) throws {
        try? FileManager.default.removeItem(atPath: data)
        try run("pg_basebackup", "-D", data, "-R", "-c", "fast", "-d", "\(primary.address) application_name=\(name)")
        try configure([:])
        try start()
    }

    private func configure(_ settings: [String: String]) throws {
        let all = [
            "port": "\(port)", "listen_addresses": host, "unix_socket_directories": folder, "cluster_name": name,
            "max_connections": "200", "wal_keep_size": "256", "log_line_prefix": "%m [%p] ",
        ].merging(settings) { $1 }
        let lines = all.sorted { $0.key < $1.key }.map { "\($0.key) = '\($0.value)'\n" }.joined()
        let file = FileHandle(forWritingAtPath: data + "/postgresql.conf")!
        try file.seekToEnd()
        try file.write(contentsOf: Data(lines.utf8))
        try file.close()
        if host != "127.0.0.1" {
            for database in ["all", "replication"] {
                try prependToAccess("host \(database) all \(host)/24 trust")
            }
        }
    }

    func start() throws { try run("pg_ctl", "-D", data, "-l", folder + "/log", "-w", "-t", "60", "start") }

    func restart() throws {
        try run("pg_ctl", "-D", data, "-l", folder + "/log", "-w", "-t", "60", "-m", "fast", "restart")
    }

    /// Ends it, at once and without a word to anybody.
    func killNow() {
        guard let text = try? String(contentsOfFile: data + "/postmaster.pid", encoding: .utf8),
            let process = text.split(separator: "\n").first.flatMap({ pid_t($0) })
        else { return }
        // Its children end when they notice.
        kill(process, SIGKILL)
        while kill(process, 0) == 0 { usleep(1000) }
        _ = try? FileManager.default.removeItem(atPath: data + "/postmaster.pid")
    }

    func stop() throws { try run("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop") }

    func promote() throws { try run("pg_ctl", "-D", data, "-w", "promote") }

    /// Follows another server from now on.
    func follow(_ primary: PostgresNode) throws {
        _ = try query("ALTER SYSTEM SET primary_conninfo = '\(primary.address) application_name=\(name)'")
        _ = try query("SELECT pg_reload_conf()")
    }

    /// What `psql` prints.
    @discardableResult
    func query(_ sql: String) throws -> String {
        try run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", address, "-c", sql)
    }

    /// The last lines of the server's log.
    var log: String { (try? String(contentsOfFile: folder + "/log", encoding: .utf8)) ?? "" }

    /// Puts a line before the others that say who may connect how.
    func prependToAccess(_ line: String) throws {
        let file = data + "/pg_hba.conf"
        try (line + "\n" + String(contentsOfFile: file, encoding: .utf8)).write(
            toFile: file,
            atomically: false,
            encoding: .utf8
        )
    }

    @discardableResult
    private func run(_ program: String, _ arguments: String...) throws -> String {
        try tool(["\(Self.programs)/\(program)"] + arguments)
    }

    func tool(_ command: String...) throws { _ = try tool(command) }

    /// Runs a program as the user that the server runs as.
    private func tool(_ command: [String]) throws -> String {
        var command = command
        let program = command[0]
        if geteuid() == 0 {
            command = ["/usr/bin/setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] + command
        }
        if let namespace { command = ["/usr/sbin/ip", "netns", "exec", namespace] + command }
        // Not with `Process`, which waits until the server that was started ends too.
        let output = "\(folder)/output-\(UUID().uuidString)"
        defer { unlink(output) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_CREAT | O_WRONLY | O_APPEND, 0o644)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var words: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var child: pid_t = 0
        require(posix_spawn(&child, command[0], &actions, nil, &words, environ) == 0, "\(command[0]) cannot be started")
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 && errno == EINTR {}
        let text = try String(contentsOfFile: output, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
        guard status == 0 else { throw Failure(command: program, output: text) }
        return text
    }

    struct Failure: Error {
        let command: String
        let output: String
    }
}

/// A primary and two standbys, of which one must have a change before it is acknowledged.
final class PostgresCluster {
    private let folder: Folder
    private(set) var primary: PostgresNode
    private(set) var standbys: [PostgresNode]

    /// How the library reaches whichever takes writes.
    let address: String

    init(synchronous: Bool) throws {
        folder = Folder(onDisk: true)
        let path = folder.path + "/servers"
        let first = Int.random(in: 20_000...50_000)
        let ports = [first, first + 1, first + 2]
        primary = try PostgresNode.create("a", port: ports[0], in: path)
        standbys = try zip(["b", "c"], ports.dropFirst()).map { [primary] in
            try PostgresNode.standby($0.0, port: $0.1, of: primary, in: path)
        }
        address = """
            host=\(ports.map { _ in "127.0.0.1" }.joined(separator: ",")) \
            port=\(ports.map(String.init).joined(separator: ",")) user=postgres dbname=postgres
            """
        if synchronous { try requireStandby() }
    }

    deinit {
        for node in [primary] + standbys { node.killNow() }
        // Their children notice within a second.
        usleep(500_000)
    }

    private func requireStandby() throws {
        for node in [primary] + standbys {
            try node.query("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (a, b, c)'")
            try node.query("SELECT pg_reload_conf()")
        }
        try waitForStandbys(2)
    }

    func waitForStandbys(_ count: Int) throws {
        for _ in 0..<600 {
            if try primary.query("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == "\(count)" {
                return
            }
            usleep(50_000)
        }
        require(false, "no standby after 30 s")
    }

    /// Has the standbys get nothing more, so that what comes now is lost with the primary.
    func holdReplication() throws {
        for standby in standbys {
            try standby.query("ALTER SYSTEM SET primary_conninfo = ''")
            try standby.query("SELECT pg_reload_conf()")
        }
        try waitForStandbys(0)
    }

    /// Waits until the standbys have what the primary has.
    func waitForReplay() throws {
        let position = try primary.query("SELECT pg_current_wal_lsn()")
        for standby in standbys {
            while try standby.query("SELECT pg_last_wal_replay_lsn() >= '\(position)'") != "t" { usleep(10_000) }
        }
    }

    /// Kills the primary, promotes the standby that has most of its log, and has the old primary follow it.
    ///
    /// - Returns: How long nobody took writes.
    @discardableResult
    func failOver() throws -> Duration {
        let start = ContinuousClock.now
        primary.killNow()
        // A position is two numbers in hexadecimal.
        let positions = try standbys.map { node in
            try node.query("SELECT pg_wal_lsn_diff(coalesce(pg_last_wal_receive_lsn(), '0/0'), '0/0')::bigint")
                .trimmingCharacters(in: .whitespaces)
        }
        let best = positions.indices.max { Int(positions[$0])! < Int(positions[$1])! }!
        let old = primary
        primary = standbys.remove(at: best)
        try primary.promote()
        let took = ContinuousClock.now - start
        for standby in standbys { try standby.follow(primary) }
        try old.copy(primary)
        standbys.append(old)
        try waitForStandbys(2)
        return took
    }
}
#endif
