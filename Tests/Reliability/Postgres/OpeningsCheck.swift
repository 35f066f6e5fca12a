#if Postgres
import Foundation
import WhatsAppSessions

/// A wrong password, name, certificate or server, a standby, a pooler that shares connections: each is refused when opening, with a
/// sentence, in ten seconds, and no password is in it. A pooler that keeps connections works.
func openingsCheck(isLong: Bool) throws {
    let folder = Folder(onDisk: true)
    let path = folder.path + "/servers"
    let port = Int.random(in: 20_000...50_000)
    let node = try PostgresNode.create("a", port: port, in: path)
    defer { node.killNow() }
    try node.secure()
    let server = "host=127.0.0.1 port=\(port) dbname=postgres"

    refused("a wrong password", "\(server) user=ana password=S3CRET1", "password authentication failed")
    refused("no password", "\(server) user=ana", "no password supplied")
    refused("a wrong name", "\(server) user=S3nobody password=S3CRET1", "S3nobody", hides: "S3CRET")
    refused("a wrong database", "host=127.0.0.1 port=\(port) user=postgres dbname=elsewhere", "does not exist")
    refused(
        "a wrong certificate",
        "\(server) user=postgres sslmode=verify-full sslrootcert=\(node.folder)/other.crt",
        "certificate verify failed"
    )
    refused("a server that isn't there", "\(server) user=postgres password=S3CRET port=1", "Connection refused")
    let good = try SessionManager(
        storage: .postgres("\(server) user=postgres sslmode=verify-ca sslrootcert=\(node.folder)/server.crt")
    )
    try good.createSession("support")
    try good.close()

    let standby = try PostgresNode.standby("b", port: port + 1, of: node, in: path)
    defer { standby.killNow() }
    refused("a standby", standby.address, "read-only")

    for (mode, port) in [("session", port + 2), ("transaction", port + 3)] {
        let pooler = try node.pool(mode, port: port)
        defer { kill(pooler, SIGTERM) }
        let address = "host=127.0.0.1 port=\(port) user=postgres dbname=postgres"
        if mode == "transaction" {
            refused("a pooler in transaction mode", address, "use its session mode")
        } else {
            let manager = try SessionManager(storage: .postgres(address))
            for number in 0..<20 { try manager.createSession("\(number)") }
            require(try manager.getAllSessions().count == 21, "through a pooler in session mode")
            try manager.close()
        }
    }
    print("openings: each was refused with a sentence, in ten seconds; a pooler in session mode works")
}

private func refused(_ what: String, _ address: String, _ words: String, hides secret: String = "S3CRET") {
    let start = ContinuousClock.now
    do {
        _ = try SessionManager(storage: .postgres(address))
        require(false, "\(what) was not refused")
    } catch {
        let took = ContinuousClock.now - start
        require("\(error)".contains(words), "\(what): \(error)")
        require(!"\(error)".contains(secret), "\(what): it shows a password")
        require(took < .seconds(10), "\(what): refused after \(took)")
        require((error as? DatabaseError)?.resultCode == .cannotOpen, "\(what): \(error)")
    }
}

extension PostgresNode {
    /// Has the role `ana` need a password, and the server show a certificate of its own.
    fileprivate func secure() throws {
        try query("CREATE ROLE ana LOGIN PASSWORD 'other'")
        for name in ["server", "other"] {
            try tool(
                "/usr/bin/openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-subj",
                "/CN=\(name)",
                "-days",
                "2",
                "-keyout",
                "\(folder)/\(name).key",
                "-out",
                "\(folder)/\(name).crt"
            )
        }
        try query("ALTER SYSTEM SET ssl = on")
        try query("ALTER SYSTEM SET ssl_cert_file = '\(folder)/server.crt'")
        try query("ALTER SYSTEM SET ssl_key_file = '\(folder)/server.key'")
        try prependToAccess("host all ana,S3nobody 127.0.0.1/32 scram-sha-256")
        try restart()
    }

    /// Starts PgBouncer.
    fileprivate func pool(_ mode: String, port: Int) throws -> pid_t {
        let file = "\(folder)/\(mode)"
        let text = """
            [databases]
            * = host=127.0.0.1 port=\(self.port) user=postgres
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = \(port)
            unix_socket_dir =
            auth_type = any
            pool_mode = \(mode)
            logfile = \(file).log
            pidfile = \(file).pid
            """
        try text.write(toFile: file + ".ini", atomically: false, encoding: .utf8)
        chmod(file + ".ini", 0o644)
        try tool("/usr/sbin/pgbouncer", "-d", file + ".ini")
        for _ in 0..<100 {
            if let process = (try? String(contentsOfFile: file + ".pid", encoding: .utf8)).flatMap({
                pid_t($0.trimmingCharacters(in: .whitespacesAndNewlines))
            }) {
                return process
            }
            usleep(50_000)
        }
        require(false, "PgBouncer didn't start")
        return 0
    }
}
#endif
