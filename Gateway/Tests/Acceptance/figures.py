"""What the gateway costs, beside a plain route of Hummingbird and Node with a Map: python3 figures.py [CHECK ...]

All servers are up together and take turns, so that the ratios hold on any machine; a request's cost is the processor time of its
server. Builds the gateway and the plain server for release, which takes about ten minutes the first time. Needs wrk and node.
"""
import http.client, json, os, selectors, socket, statistics, subprocess, sys, tempfile, threading, time
from gateway import PACKAGE, Follower, Gateway, eventually, folder

PLAIN = os.environ.get("PLAIN", os.path.join(PACKAGE, ".build-plain"))
RELEASE = os.environ.get("GATEWAY", os.path.join(PACKAGE, ".build/release/Gateway"))
ROUNDS, SECONDS = 5, 2

MANIFEST = """// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "Plain",
    platforms: [.macOS(.v15)],
    dependencies: [.package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.1", traits: [])],
    targets: [.executableTarget(name: "Plain", dependencies: [.product(name: "Hummingbird", package: "hummingbird")])]
)
"""
SOURCE = """import Hummingbird

let router = Router()
router.get("sessions/:id") { _, _ in "a plain route" }
router.patch("sessions/:id") { request, _ in
    _ = try await request.body.collect(upTo: 65_536)
    return "a plain route"
}
try await Application(router: router, configuration: .init(address: .hostname("127.0.0.1", port: 3901))).runService()
"""
# The same answers from a Map; with a file, each change is appended, and those that come together share an fdatasync.
NODE = """
const http = require("node:http"), fs = require("node:fs");
const [port, file] = process.argv.slice(2);
const sessions = new Map();
for (let number = 1; number <= 1000; number++) {
  const id = "shop-" + number, at = new Date().toISOString();
  sessions.set(id, { id, status: "initializing", createdAt: at, statusChangedAt: at, needsSocket: true, linked: false });
}
const log = file && fs.openSync(file, "a");
let waiting = [], isSyncing = false;
function kept(session, done) {
  if (!log) return done();
  fs.writeSync(log, JSON.stringify(session) + "\\n");
  waiting.push(done);
  if (!isSyncing) sync();
}
function sync() {
  const mine = waiting;
  waiting = [];
  isSyncing = true;
  fs.fdatasync(log, () => { isSyncing = false; for (const done of mine) done(); if (waiting.length) sync(); });
}
http.createServer((request, response) => {
  const answer = (value) => { response.setHeader("Content-Type", "application/json"); response.end(JSON.stringify(value)); };
  if (request.url === "/sessions") return answer({ sessions: [...sessions.values()] });
  const session = sessions.get(decodeURIComponent(request.url.split("/")[2]));
  if (request.method === "GET") return answer(session);
  let body = "";
  request.on("data", (part) => { body += part; });
  request.on("end", () => { Object.assign(session, JSON.parse(body)); kept(session, () => answer(session)); });
}).listen(Number(port), "127.0.0.1");
"""
LUA = """
local turn = 0
request = function()
    turn = turn + 1
    return wrk.format("%s", "/sessions/shop-" .. (turn %% 1000 + 1) .. "%s", { ["Content-Type"] = "application/json" }, %s)
end
"""


def cpu(process):
    """Its processor time so far, in seconds."""
    fields = open(f"/proc/{process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(process):
    return next(int(line.split()[1]) for line in open(f"/proc/{process.pid}/status") if line.startswith("VmRSS:")) / 1024


def wrk(url, script=None, connections=32, seconds=SECONDS):
    """How many requests were answered."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", *(["-s", script] if script else []), url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in output, output
    return int(next(line.split()[0] for line in output.splitlines() if "requests in" in line))


def create(port, count, prefix="shop-"):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    for number in range(1, count + 1):
        connection.request("POST", "/sessions", json.dumps({"id": f"{prefix}{number}"}), {"Content-Type": "application/json"})
        assert connection.getresponse().read()


def requests():
    """The processor time of a request."""
    with tempfile.TemporaryDirectory() as directory:
        os.makedirs(os.path.join(PLAIN, "Sources/Plain"), exist_ok=True)
        for name, text in [("Package.swift", MANIFEST), ("Sources/Plain/main.swift", SOURCE)]:
            with open(os.path.join(PLAIN, name), "w") as file: file.write(text)
        subprocess.run(["swift", "build", "-c", "release", "--package-path", PLAIN], check=True, stdout=sys.stderr)
        script = os.path.join(directory, "node.js")
        with open(script, "w") as file: file.write(NODE)
        def lua(name, method, path, body):
            path_ = os.path.join(directory, name)
            with open(path_, "w") as file: file.write(LUA % (method, path, body))
            return path_
        patch = lua("patch.lua", "PATCH", "", """'{"name":"' .. turn .. '"}'""")
        event = lua("event.lua", "POST", "/events", """'{"event":"creds.update","data":{"me":{"name":"' .. turn .. '"}}}'""")
        processes = {
            "plain": subprocess.Popen([os.path.join(PLAIN, ".build/release/Plain")], stderr=subprocess.DEVNULL),
            "memory": subprocess.Popen([RELEASE, "--port", "3902"], stderr=subprocess.DEVNULL),
            "file": subprocess.Popen([RELEASE, "--port", "3903", "--file", os.path.join(directory, "sessions.sqlite")], stderr=subprocess.DEVNULL),
            "node": subprocess.Popen(["node", script, "3904"]),
            "node with a file": subprocess.Popen(["node", script, "3905", os.path.join(directory, "log")]),
        }
        ports = {"plain": 3901, "memory": 3902, "file": 3903, "node": 3904, "node with a file": 3905}
        try:
            time.sleep(2)
            rest = memory(processes["memory"])
            for name in ["memory", "file"]: create(ports[name], 1000)
            print(f"{rest:.0f} MB at rest, {memory(processes['memory']):.0f} with 1,000 sessions in memory\n")
            rows = [
                ("GET one", "/sessions/shop-500", None, ["plain", "memory", "file", "node"]),
                ("PATCH", "/sessions/shop-500", patch, ["plain", "memory", "file", "node", "node with a file"]),
                ("an event", "/sessions/shop-500", event, ["memory", "file"]),
                ("list of 1,000", "/sessions", None, ["memory", "file", "node"]),
            ]
            print("| processor time of the server, µs | " + " | ".join(ports) + " | in memory, to plain |")
            print("| --- |" + " ---: |" * (len(ports) + 1))
            for what, path, lua_script, servers in rows:
                costs = {name: [] for name in servers}
                for _ in range(ROUNDS):
                    for name in servers:
                        before = cpu(processes[name])
                        count = wrk(f"http://127.0.0.1:{ports[name]}{path}", lua_script)
                        costs[name].append((cpu(processes[name]) - before) / count * 1e6)
                median = {name: statistics.median(values) for name, values in costs.items()}
                ratio = f"{median['memory'] / median['plain']:.2f}" if "plain" in median else ""
                print(f"| {what} | " + " | ".join(f"{median[name]:.0f}" if name in median else "" for name in ports) + f" | {ratio} |", flush=True)
            rates = {name: wrk(f"http://127.0.0.1:{ports[name]}/sessions", seconds=4) / 4 for name in ["memory", "node"]}
            print(f"\nlists of 1,000 a second: {rates['memory']:.0f}, Node {rates['node']:.0f}")
        finally:
            for process in processes.values(): process.kill()


ASK = """
import http.client, sys, time
connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]))
print("begun", flush=True)
while True:
    start = time.monotonic()
    connection.request("GET", "/health")
    connection.getresponse().read()
    print((time.monotonic() - start) * 1000, flush=True)
    time.sleep(0.001)
"""


def begin(gateway, count):
    """Begins so many followers at once, and reads until all are up to date. One process, whose clients cost little."""
    clients = selectors.DefaultSelector()
    tails = {}
    for _ in range(count):
        client = socket.create_connection(("127.0.0.1", gateway.port))
        client.sendall(b"GET /changes HTTP/1.1\r\nHost: localhost\r\n\r\n")
        clients.register(client, selectors.EVENT_READ)
        tails[client] = b""
    while tails:
        for key, _ in clients.select():
            client = key.fileobj
            part = client.recv(1 << 18)
            assert part, "a stream ended"
            tails[client] = (tails[client] + part)[-32:] if b"event: ready" not in tails[client] + part else None
            if tails[client] is None:
                clients.unregister(client)
                client.close()
                del tails[client]


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def lists():
    """A worker's events beside 16 clients that list 10,000 sessions."""
    with Gateway() as gateway:
        create(gateway.port, 10_000)
        alone, beside, stop, count = [], [], threading.Event(), [0]
        def post(times, number):
            for turn in range(number):
                start = time.monotonic()
                assert gateway.post(f"shop-{turn % 1000 + 1}", "creds.update", {"me": {"name": str(time.monotonic())}})[0] == 200
                times.append((time.monotonic() - start) * 1000)
        post(alone, 200)
        # wrk, whose clients cost this process nothing.
        load = subprocess.Popen(["wrk", "-t1", "-c16", "-d15s", gateway.url + "/sessions"], stdout=subprocess.PIPE, text=True)
        time.sleep(2)
        post(beside, 300)
        output = load.communicate()[0]
        rate = next(line.split()[1] for line in output.splitlines() if line.startswith("Requests/sec"))
        print(f"  alone median {statistics.median(alone):.1f} ms; beside {float(rate):.0f} lists a second median "
              f"{statistics.median(beside):.1f}, p99 {percentile(beside, 0.99):.0f}, worst {max(beside):.0f} ms")


def beginners():
    """/health while 200 followers begin at once with 10,000 sessions."""
    with Gateway() as gateway:
        create(gateway.port, 10_000)
        # A process of its own: this one has its hands full with the streams.
        asker = subprocess.Popen([sys.executable, "-c", ASK, str(gateway.port)], stdout=subprocess.PIPE, text=True)
        assert asker.stdout.readline() == "begun\n"
        start = time.monotonic()
        begin(gateway, 200)
        took = time.monotonic() - start
        asker.terminate()
        times = [float(line) for line in asker.stdout.read().split()]
        print(f"  all ready after {took:.1f} s; /health worst {max(times):.0f} ms, p99 {percentile(times, 0.99):.0f}, of {len(times)}")


def many():
    """100,000 sessions: 100 followers that begin, a slow one, and a scrape of /metrics."""
    with Gateway() as gateway:
        create(gateway.port, 100_000)
        gateway.request("GET", "/metrics")
        before = memory(gateway.process)
        peak, done = [0], threading.Event()
        def watch():
            while not done.wait(0.02): peak[0] = max(peak[0], memory(gateway.process))
        watcher = threading.Thread(target=watch)
        watcher.start()
        start = time.monotonic()
        begin(gateway, 100)
        took = time.monotonic() - start
        done.set()
        watcher.join()
        print(f"  {before:.0f} MB with 100,000 sessions; 100 followers begin in {took:.1f} s and take {peak[0] - before:.0f} MB more at most")
        start = time.monotonic()
        output = subprocess.run(["bash", "-c", f"curl -sN --limit-rate 300k --max-time 150 {gateway.url}/changes | grep -m1 'event: ready'"], capture_output=True, text=True).stdout
        print(f"  a phone at 300 KB a second is {'ready' if output else 'NOT ready'} after {time.monotonic() - start:.0f} s")
        used = cpu(gateway.process)
        for _ in range(100): gateway.request("GET", "/metrics")
        print(f"  a scrape of /metrics: {(cpu(gateway.process) - used) * 10:.2f} ms of processor time")


def one():
    """One change with 400 followers."""
    with Gateway() as gateway:
        gateway.create("support")
        followers = [Follower(gateway) for _ in range(400)]
        for follower in followers: follower.until("ready")
        used = cpu(gateway.process)
        for turn in range(100):
            gateway.request("PATCH", "/sessions/support", {"name": str(turn)})
        for follower in followers:
            while json.loads(json.dumps(follower.until("session")[2]))["name"] != "99": pass
        print(f"  {(cpu(gateway.process) - used) / 100 * 1000:.1f} ms of processor time for a change that 400 read")


if not os.environ.get("GATEWAY"):
    subprocess.run(["swift", "build", "-c", "release", "--product", "Gateway", "--package-path", PACKAGE], check=True, stdout=sys.stderr)
    import gateway as module
    module.BINARY = RELEASE
for check in [requests, lists, beginners, many, one]:
    if len(sys.argv) > 1 and check.__name__ not in sys.argv[1:]: continue
    print(f"{check.__name__}: {check.__doc__}", flush=True)
    check()
