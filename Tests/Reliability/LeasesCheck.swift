import Foundation
import WhatsAppSessions
import WhatsAppSessionsSQLite

/// Eight processes serve 200 sessions under leases, and are killed, or suspended for longer than their leases. An update of a process
/// that lost a session must be refused; without the fencing token, for comparison, some get through.
func leasesCheck(isLong: Bool) throws {
    try leasesCheck(isLong: isLong) {
        let folder = Folder(onDisk: true)
        let manager = try folder.open()
        let audit = try PlainConnection(folder.file)
        try audit.execute(auditSQL)
        return ServedDatabase(manager: manager, address: folder.file, query: audit.query, folder: folder)
    }
}

/// Where the sessions are that are served.
struct ServedDatabase {
    let manager: SessionManager
    /// How the programs are told where: a path, or the address of a server.
    let address: String
    let query: (String) throws -> String
    /// Goes with the last who uses it.
    var folder: Folder?
}

/// - Parameter open: A new database, whose triggers fill the table `audit`.
func leasesCheck(isLong: Bool, _ open: () throws -> ServedDatabase) throws {
    let seconds = isLong ? 40.0 : 8.0
    let lease = isLong ? 1500 : 500
    try serveSessions(in: open(), for: seconds, lease: lease, isFenced: true)
    try serveSessions(in: open(), for: isLong ? 20 : seconds, lease: lease, isFenced: false)
}

private func serveSessions(in database: ServedDatabase, for seconds: Double, lease: Int, isFenced: Bool) throws {
    let manager = database.manager
    for number in 0..<200 { try manager.createSession("\(number)") }

    func start(_ number: Int) throws -> Process {
        let options = ["\(lease)", isFenced ? "fenced" : "unfenced"]
        return try Writer.start([CommandLine.arguments[0], "server", database.address, "server-\(number)"] + options)
            .process
    }
    var servers = try (0..<8).map(start)
    var (kills, stops) = (0, 0)
    // When each server that is suspended resumes. Not by this thread, which waits for its lock if it holds one.
    var suspended: [Int: ContinuousClock.Instant] = [:]
    let end = ContinuousClock.now + .seconds(seconds)
    while ContinuousClock.now < end {
        usleep(.random(in: 20_000...150_000))
        suspended = suspended.filter { $0.value > .now }
        try manager.recoverLeasedSessions()
        let number = Int.random(in: 0..<servers.count)
        guard suspended[number] == nil, suspended.count < 4 else { continue }
        require(servers[number].isRunning, "a server ended by itself")
        if Int.random(in: 0..<3) == 0 {
            kill(servers[number].processIdentifier, SIGKILL)
            servers[number].waitUntilExit()
            servers[number] = try start(number)
            kills += 1
        } else {
            let (server, pause) = (servers[number].processIdentifier, Int.random(in: lease / 2...lease * 2))
            kill(server, SIGSTOP)
            DispatchQueue.global().asyncAfter(deadline: .now() + .milliseconds(pause)) { kill(server, SIGCONT) }
            // A little longer than that, so that none is killed while it is suspended.
            suspended[number] = .now + .milliseconds(pause + 200)
            stops += 1
        }
    }
    // Everything is served again when nobody is killed any more.
    let deadline = ContinuousClock.now + .seconds(60)
    while try manager.getAllSessions().contains(where: { $0.holder == nil || $0.status != .connected }) {
        require(ContinuousClock.now < deadline, "some sessions stay without a holder")
        try manager.recoverLeasedSessions()
        usleep(20_000)
    }
    for server in servers { kill(server.processIdentifier, SIGKILL) }
    for server in servers { server.waitUntilExit() }

    func number(_ sql: String) throws -> Int { try Int(database.query(sql)) ?? 0 }
    func count(_ condition: String) throws -> Int { try number("SELECT count(*) FROM audit WHERE \(condition)") }
    let updates = try count("kind = 'update'")
    let strangers = try count("kind = 'update' AND (lease <> said OR lease IS NULL)")
    let takeovers = try count("kind = 'claim' AND old_lease IS NOT NULL OR kind = 'recovery'")
    let early = try count("kind <> 'update' AND old_ends_at > at")
    let latest = try number("SELECT max(at - old_ends_at) + \(lease) FROM audit WHERE kind = 'recovery'")
    let name = isFenced ? "leases" : "leases without the token, for comparison"
    print(
        "\(name): 8 processes, 200 sessions, \(kills) kills, \(stops) stops, a lease of \(lease) ms: \(updates) updates, \(strangers) of a process that had lost the session; \(takeovers) times a session was lost, \(early) times while its lease lived, at most \(latest) ms after its holder's last renewal"
    )
    require(takeovers > 100 && updates > 200, "too little happened")
    require(early == 0, "a session was taken from a living lease")
    require(isFenced ? strangers == 0 : strangers > 0, "late updates: \(strangers)")
}

/// What is kept of every update and of every time that a session changes hands, as the database has it at that moment. An update
/// says in the name of the session under which lease it is made. An end of a lease is kept beyond the lease.
private let auditSQL = """
    CREATE TABLE ends (number INTEGER PRIMARY KEY, ends_at INTEGER);
    CREATE TRIGGER ends_open AFTER INSERT ON leases BEGIN INSERT INTO ends VALUES (NEW.number, NEW.ends_at); END;
    CREATE TRIGGER ends_renew AFTER UPDATE ON leases BEGIN UPDATE ends SET ends_at = NEW.ends_at WHERE number = NEW.number; END;
    CREATE TABLE audit (kind TEXT, said INTEGER, lease INTEGER, old_lease INTEGER, old_ends_at INTEGER, at INTEGER);
    CREATE TRIGGER audit_update AFTER UPDATE OF name ON sessions WHEN NEW.name IS NOT OLD.name BEGIN
        INSERT INTO audit (kind, said, lease) VALUES ('update', CAST(NEW.name AS INTEGER), NEW.lease);
    END;
    CREATE TRIGGER audit_claim AFTER UPDATE OF lease ON sessions WHEN NEW.lease IS NOT OLD.lease BEGIN
        INSERT INTO audit (kind, lease, old_lease, old_ends_at, at)
        SELECT iif(NEW.lease IS NULL, 'recovery', 'claim'), NEW.lease, OLD.lease,
            (SELECT ends_at FROM ends WHERE number = OLD.lease),
            CAST((julianday('now') - 2440587.5) * 86400000 + 0.5 AS INTEGER);
    END;
    """

/// The program that is killed and stopped: `server ADDRESS NAME MILLISECONDS fenced|unfenced`. It claims sessions, and updates them
/// until its lease is over by its own clock.
enum Server {
    static func run(_ arguments: [String]) throws -> Never {
        let manager = try SessionManager(storage: storage(arguments[0]))
        let duration = Duration.milliseconds(Int(arguments[2])!)
        while true {
            do {
                try serve(manager, arguments[1], duration, isFenced: arguments[3] == "fenced")
            } catch is LeaseLostError {
                // Its sessions are another's: begin anew.
            }
        }
    }

    private static func storage(_ address: String) -> SessionManager.Storage {
        #if Postgres
        if address.contains("host=") { return .postgres(address) }
        #endif
        return .file(path: address)
    }

    private static func serve(
        _ manager: SessionManager,
        _ name: String,
        _ duration: Duration,
        isFenced: Bool
    ) throws {
        var asked = ContinuousClock.now
        let lease = try manager.openLease(holder: name, lasting: duration)
        var sessions: [String] = []
        while ContinuousClock.now < asked + duration {
            if ContinuousClock.now - asked > duration / 3 {
                let now = ContinuousClock.now
                try manager.renewLease(lease, lasting: duration)
                asked = now
            }
            if sessions.count < 50 {
                sessions += try manager.claimSessions(limit: 5, under: lease).map(\.id)
            }
            for id in sessions.shuffled().prefix(5) where ContinuousClock.now < asked + duration {
                // Where a process is stopped, it believes what it saw before.
                usleep(.random(in: 0...10_000))
                let name = "\(lease.number) \(UInt32.random(in: 0 ... .max))"
                let updates = SessionUpdates(status: .connected, name: .set(name))
                if isFenced {
                    try manager.updateSession(id, updates, under: lease)
                } else {
                    try manager.updateSession(id, updates)
                }
            }
            usleep(2000)
        }
    }
}
