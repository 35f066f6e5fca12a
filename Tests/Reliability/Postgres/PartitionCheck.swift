#if Postgres
import Foundation
import Synchronization
import WhatsAppSessions

/// The primary is alive, and cut off from its standbys and from most hosts, in a network namespace of its own; a standby is promoted.
/// A host on the side of the old primary is told that nothing which it asks for is certain, the others go on, and what was acknowledged
/// to anybody is there. Without a synchronous standby, for comparison, the old primary acknowledges what is lost. Needs root.
func partitionCheck(isLong: Bool) throws {
    try partition(isSynchronous: true, seconds: isLong ? 60 : 5)
    try partition(isSynchronous: false, seconds: 5)
}

private func partition(isSynchronous: Bool, seconds: UInt32) throws {
    let folder = Folder(onDisk: true)
    let island = try Island()
    defer { island.remove() }
    let path = folder.path + "/servers"
    let port = Int.random(in: 20_000...50_000)
    let mainland = PostgresNode.Network(host: island.mainlandHost)
    let old = try PostgresNode.create(
        "a",
        port: port,
        in: path,
        on: .init(host: island.host, namespace: island.name),
        // What is sent to the island is lost for as long as it is cut off, and isn't kept.
        settings: ["wal_sender_timeout": "5s", "wal_receiver_timeout": "5s"]
    )
    let standbys = try ["b", "c"].enumerated().map { number, name in
        try PostgresNode.standby(name, port: port + 1 + number, of: old, in: path, on: mainland)
    }
    let nodes = [old] + standbys
    defer { for node in nodes { node.killNow() } }
    if isSynchronous {
        for node in nodes {
            try node.query("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (a, b, c)'")
            try node.query("SELECT pg_reload_conf()")
        }
    }
    let state = isSynchronous ? "quorum" : "async"
    while try old.query("SELECT count(*) FROM pg_stat_replication WHERE sync_state = '\(state)'") != "2" {
        usleep(50_000)
    }
    let address = """
        host=\(island.host),\(island.mainlandHost),\(island.mainlandHost) port=\(port),\(port + 1),\(port + 2) \
        user=postgres dbname=postgres
        """
    let load = try Load(address)
    let manager = load.manager
    try manager.createSession("claimed")
    let islander = try Writer.start(
        ["/usr/sbin/ip", "netns", "exec", island.name, CommandLine.arguments[0], "islander", address]
    )
    for _ in 0..<600 where try manager.getSession("claimed")?.holder != "islander" { usleep(50_000) }
    require(try manager.getSession("claimed")?.holder == "islander", "the host on the island has no lease")

    load.waitForAnswers()
    try island.cutOff()
    let start = ContinuousClock.now
    sleep(2)
    try standbys[0].promote()
    try standbys[1].follow(standbys[0])
    load.waitForAnswers()
    let gap = ContinuousClock.now - start
    require(try old.query("SELECT pg_is_in_recovery()") == "f", "the old primary doesn't take itself for one")
    // Its holder cannot renew its lease, and the account is another's.
    let lease = try manager.openLease(holder: "mainlander", lasting: .seconds(3600))
    for _ in 0..<600 {
        if (try? manager.claimSession("claimed", under: lease)) != nil { break }
        usleep(50_000)
    }
    require(try manager.getSession("claimed")?.holder == "mainlander", "the session wasn't taken over")
    sleep(seconds)

    // The network is back, and the old primary still takes itself for one. It comes first in the address, and whoever has seen the new
    // one connects to that again, and reads nothing old.
    try island.connect()
    sleep(3)
    load.waitForAnswers()
    try standbys[0].query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'whatsapp-sessions'"
    )
    for _ in 0..<50 {
        require(try manager.getSession("claimed")?.holder == "mainlander", "the old primary was read")
        usleep(10_000)
    }
    load.waitForAnswers()
    old.killNow()
    try old.copy(standbys[0])
    load.waitForAnswers()
    islander.process.terminate()
    let told = try Writer.lines(islander.output)
    let counted = told.filter { $0.hasPrefix("acknowledged ") }.compactMap { Int($0.dropFirst(13)) }.max() ?? 0
    // Beside its creation. The name alone would hide what was lost before it.
    let made = try manager.getChanges(of: "island", limit: 1_000_000).count - 1
    let result = try load.finish()
    print(
        """
        partition\(isSynchronous ? "" : " without a synchronous standby, for comparison"): the mainland went on after \(gap.components.seconds) s: \(result); the island's host was acknowledged \(counted) \
        changes, and \(made) are there
        """
    )
    guard isSynchronous else {
        require(counted > made + 1, "the old primary acknowledged nothing that was lost, so this shows nothing")
        return
    }
    require(counted > 10 && result.acknowledged > 500, "too little happened")
    // One that was under way may have been made.
    require((counted...counted + 1).contains(made), "the island's host was told what is not so")
    require(result.lost == 0 && result.twice == 0 && result.failures == 0, "the load lost something")
    require(result.unseen == 0 && result.end == nil, "the follower missed something")
    require(try manager.getSession("claimed")?.holder == "mainlander", "the session changed hands again")
    // At least one renewal was not acknowledged, and none after the takeover was.
    require(told.contains { $0.hasPrefix("lost ") }, "the island's host never heard that its lease was lost")
}

/// The program on the island: it holds a lease, renews it, and counts the name of a session up, and says what was acknowledged.
func runIslander(_ address: String) throws -> Never {
    let manager = try SessionManager(storage: .postgres(address))
    Thread {
        do {
            let lease = try manager.openLease(holder: "islander", lasting: .seconds(3))
            try manager.claimSession("claimed", under: lease)
            while true {
                try manager.renewLease(lease, lasting: .seconds(3))
                usleep(500_000)
            }
        } catch {
            Writer.say("lost \(error)")
        }
    }.start()
    try manager.createSession("island")
    for number in 1... {
        while true {
            do {
                try manager.updateSession("island", SessionUpdates(name: .set("\(number)")))
                break
            } catch {
                Writer.say("refused \(error)")
            }
        }
        Writer.say("acknowledged \(number)")
        usleep(50_000)
    }
    fatalError("the numbers have ended")
}

/// A network namespace that is linked to this one, and can be cut off.
private final class Island {
    let name = "island-\(getpid())"
    private let network = "10.\(Int.random(in: 64...127)).\(Int.random(in: 0...255))"
    private var link: String { "isl\(getpid())" }
    var mainlandHost: String { network + ".1" }
    var host: String { network + ".2" }

    init() throws {
        try ip("netns", "add", name)
        try ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        try ip("addr", "add", mainlandHost + "/24", "dev", link)
        try ip("link", "set", link, "up")
        for command in [
            ["addr", "add", host + "/24", "dev", "eth0"], ["link", "set", "eth0", "up"], ["link", "set", "lo", "up"],
        ] {
            try ip(["-n", name] + command)
        }
    }

    func remove() {
        try? ip("link", "del", link)
        try? ip("netns", "del", name)
    }

    // On its side: here the route must stay, or what is sent there would go somewhere else.
    func cutOff() throws { try ip("-n", name, "link", "set", "eth0", "down") }

    func connect() throws { try ip("-n", name, "link", "set", "eth0", "up") }

    private func ip(_ arguments: String...) throws { try ip(arguments) }

    private func ip(_ arguments: [String]) throws {
        let process = try Process.run(URL(filePath: "/usr/sbin/ip"), arguments: arguments)
        process.waitUntilExit()
        require(
            process.terminationStatus == 0,
            "ip \(arguments.joined(separator: " ")) failed: it needs root, and iproute2"
        )
    }
}
#endif
