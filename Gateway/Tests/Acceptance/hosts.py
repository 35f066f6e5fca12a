"""Several gateways on one PostgreSQL database, behind nginx; one is killed: python3 hosts.py

Needs a gateway that was built with --traits Postgres, and Debian's postgresql and nginx; as root, which starts the server as postgres.
"""
import glob, http.client, http.server, json, os, random, re, shutil, signal, socket, subprocess, sys, tempfile, threading, time
from gateway import BINARY, PACKAGE, Follower, Gateway, eventually, folder, recorded_codes
from readme import block, free_port
from workers import Worker, workers_copy

CODES = recorded_codes()
LIFE = json.dumps([[[0.2, "connection.update", {"connection": "connecting"}], [0.2, "connection.update", {"connection": "open"}]]])


class Postgres:
    """A server of its own in a folder, which only processes of this machine reach."""

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="gateway-postgres-")
        shutil.chown(self.folder, "postgres")
        self.programs = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))[-1]
        self.run("initdb", "-D", self.folder + "/data", "-A", "trust", "-E", "UTF8", "--locale", "C.UTF-8")
        self.start()
        self.query("CREATE DATABASE sessions", "postgres")
        return self

    def start(self):
        self.run("pg_ctl", "-D", self.folder + "/data", "-l", self.folder + "/log", "-w",
                 "-o", f"-c listen_addresses= -c unix_socket_directories={self.folder}", "start")

    def stop(self, mode="immediate"):
        self.run("pg_ctl", "-D", self.folder + "/data", "-m", mode, "-w", "stop")

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder)

    def run(self, program, *arguments):
        subprocess.run([os.path.join(self.programs, program), *arguments], user="postgres", group="postgres", extra_groups=[],
                       cwd=self.folder, check=True, stdout=subprocess.DEVNULL)

    def query(self, sql, database="sessions"):
        """The rows, as text."""
        answer = subprocess.run(
            ["psql", "-h", self.folder, "-U", "postgres", "-d", database, "-XAt", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-c", sql],
            check=True, capture_output=True, text=True)
        return [line.split("\t") for line in answer.stdout.splitlines()]

    @property
    def address(self):
        return f"host={self.folder} user=postgres dbname=sessions"


class Nginx(Gateway):
    """What clients talk to: it is asked as a gateway is."""

    def __init__(self, directory, *gateways):
        self.port, self.token, self.log = free_port(), None, []
        text = block("several gateways")
        for number, gateway in enumerate(gateways, 1):
            text = text.replace(f"gateway{number}:3000", f"127.0.0.1:{gateway.port}")
        assert "gateway1" not in text and "gateway2" not in text
        upstream, location = re.fullmatch(r"(upstream .*?\n}\n)(.*)", text, re.S).groups()
        config = os.path.join(directory, "nginx.conf")
        with open(config, "w") as file:
            file.write(f"pid {directory}/pid; error_log stderr; daemon off; user root;\nevents {{}}\n"
                       f"http {{ access_log off; {upstream} server {{ listen 127.0.0.1:{self.port}; {location} }} }}")
        self.process = subprocess.Popen(["nginx", "-c", config], stderr=subprocess.DEVNULL)
        eventually(self.answers, "nginx answers")

    def answers(self):
        try:
            return self.request("GET", "/health")[0] == 200
        except OSError:
            return False


class Receiver:
    """Takes every webhook."""

    def __init__(self):
        self.received = received = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_): pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def numbers(self):
        return [int(message["id"].split("-")[1]) for message in self.received if message["event"] != "sessions.reset"]


def changes(database, condition="previous_status IS DISTINCT FROM status"):
    return [int(number) for [number] in database.query(
        f"SELECT number FROM whatsapp_sessions.session_changes WHERE {condition} ORDER BY number")]


def poster(gateways):
    """The gateway that posts the webhooks."""
    counts = {gateway: gateway.metric('whatsapp_webhooks_total{receiver="' + gateway.receiver + '",number="1",result="delivered"}')
              for gateway in gateways}
    return max(counts, key=counts.get)


def killed():
    """Two gateways behind nginx, one killed: workers, the page, followers and webhooks go on."""
    from browser import Page
    receiver = Receiver()
    with tempfile.TemporaryDirectory(prefix="gateway-") as directory, Postgres() as database:
        options = ["--database", database.address, "--webhook", receiver.url, "--webhook-pause", "1", "--lease", "5"]
        with Gateway(*options) as one, Gateway(*options) as two, Nginx(directory, one, two) as nginx:
            workers_copy(directory)
            for gateway in (one, two): gateway.receiver = receiver.url.removesuffix("/hook")
            eventually(lambda: receiver.received, "the first message")
            with Worker(directory, "baileys.mjs", nginx, LIFE=LIFE) as worker:
                for number in range(10): nginx.create(f"account-{number}")
                statuses = lambda: [session["status"] for session in nginx.request("GET", "/sessions")[1]["sessions"]]
                eventually(lambda: statuses() == ["connected"] * 10, "ten accounts are online")
                page = Page(directory)
                try:
                    page.driver.get(nginx.url)
                    page.shows("#live", "Live")
                    assert len(page.listed()) == 10
                    for round in range(4):
                        # First the one that posts the webhooks, then the one that has the worker's stream, perhaps the same.
                        dead = poster([one, two]) if round % 2 == 0 else \
                            next(gateway for gateway in (one, two) if gateway.request("GET", "/workers")[1]["workers"][0]["streams"])
                        other = two if dead is one else one
                        follower = Follower(dead)
                        follower.until("ready")
                        nginx.post("account-0", "connection.update", {"connection": "connecting"}, worker="baileys-1")
                        nginx.post("account-0", "connection.update", {"connection": "open"}, worker="baileys-1")
                        cursors = [follower.until("session")[1] for _ in range(2)]
                        before = len(changes(database, "true"))
                        dead.kill()
                        started = time.monotonic()
                        # Nothing says that it has gone: every worker still has its lease.
                        nginx.create(f"meanwhile-{round}")
                        eventually(lambda: nginx.session(f"meanwhile-{round}")["status"] == "connected", "the worker goes on")
                        goes_on = time.monotonic() - started
                        page.shows("#live", "Live", 60)
                        eventually(lambda: f"meanwhile-{round}" in page.listed(), "the page goes on", 60)
                        page_goes_on = time.monotonic() - started
                        gone = database.query("SELECT count(*) FROM whatsapp_sessions.session_changes WHERE disconnect_text = 'worker gone'")
                        assert gone == [["0"]], gone
                        # A follower goes on at the other gateway with the same cursor: what comes next, and nothing twice.
                        resumed = Follower(other, f"?after={cursors[0]}")
                        assert resumed.until("session")[1] == cursors[1]
                        resumed.connection.sock.shutdown(socket.SHUT_RDWR)
                        eventually(lambda: set(changes(database)) == set(receiver.numbers), "every webhook came", 60)
                        print(f"  killed: a new account is online after {goes_on:.1f} s, the page has it after {page_goes_on:.1f} s, "
                              f"its webhooks came after {time.monotonic() - started:.1f} s")
                        dead.start()
                    for gateway in (one, two):
                        page.driver.get(gateway.url)
                        page.shows("#live", "Live")
                        assert len(page.listed()) == 14
                    print("  the page works at each")
                finally:
                    page.driver.quit()
                assert worker.process.poll() is None
            assert receiver.received[0]["event"] == "sessions.reset"
            assert sum(message["event"] == "sessions.reset" for message in receiver.received) == 1
            first = list(dict.fromkeys(receiver.numbers))
            assert first == sorted(first) == changes(database), "a webhook is missing, or came before an earlier one"
            print(f"  {len(first)} webhooks over four kills: 0 missing, 0 out of order, {len(receiver.numbers) - len(first)} came again")


def orders():
    """An order at one gateway, and events at the other: it holds, whoever was asked."""
    with Postgres() as database:
        options = ["--database", database.address, "--lease", "5"]
        with Gateway(*options) as one, Gateway(*options) as two:
            for number in range(200):
                name = f"account-{number}"
                one.create(name)
                threads = [threading.Thread(target=one.post, args=(name, "connection.update", {"connection": "open"})),
                           threading.Thread(target=two.request, args=("POST", two.path(name) + "/stop"))]
                random.shuffle(threads)
                for thread in threads: thread.start()
                for thread in threads: thread.join()
            wrong = [session for session in one.request("GET", "/sessions")[1]["sessions"]
                     if session["status"] != "disconnected" or session.get("wish") != "stop"]
            assert not wrong, wrong[:3]
            print("  200 stops at one gateway beside 200 connections at the other: all are stopped")
            one.stop()
            one.start()
            assert [session["status"] for session in one.request("GET", "/sessions")[1]["sessions"]] == ["disconnected"] * 200
            two.kill()
            assert one.request("GET", "/sessions/account-0")[1]["wish"] == "stop"
            print("  what an operator wished outlives each gateway")


def away():
    """The database is away for a while: the gateway says so at once, and goes on by itself."""
    with Postgres() as database:
        with Gateway("--database", database.address) as gateway:
            gateway.create("before")
            follower = Follower(gateway)
            follower.until("ready")
            database.stop()
            started = time.monotonic()
            status, answer = gateway.request("GET", "/ready")
            assert status == 503 and answer["database"] == "failing", answer
            assert time.monotonic() - started < 8
            assert gateway.request("GET", "/health")[0] == 200
            made = []
            thread = threading.Thread(target=lambda: made.append(gateway.create("meanwhile")))
            thread.start()
            time.sleep(2)
            assert not made
            database.start()
            thread.join(30)
            assert made and gateway.session("meanwhile")
            while follower.until("session")[2]["id"] != "meanwhile": pass
            eventually(lambda: gateway.request("GET", "/ready")[0] == 200, "ready again")
            said = "".join(gateway.log)
            assert "the connection to the database was lost" in said and "the connection to the database is back" in said, said
            # What waits for the database doesn't keep the gateway from ending.
            database.stop()
            thread = threading.Thread(target=lambda: gateway_request_fails(gateway))
            thread.start()
            time.sleep(0.5)
            started = time.monotonic()
            gateway.process.terminate()
            gateway.process.wait(timeout=10)
            thread.join()
            print(f"  away: /ready says so, a change waits and is made, the log says when; SIGTERM meanwhile takes {time.monotonic() - started:.1f} s")
            database.start()


def frozen():
    """The server hangs and refuses nothing, as one that is cut off: everyone who waits is answered after the same minute."""
    with Postgres() as database:
        with Gateway("--database", database.address) as gateway:
            gateway.create("before")
            server = int(open(database.folder + "/data/postmaster.pid").readline())
            processes = [server, *map(int, open(f"/proc/{server}/task/{server}/children").read().split())]
            for process in processes: os.kill(process, signal.SIGSTOP)
            started, took = time.monotonic(), []

            def create(name):
                status = gateway.request("POST", "/sessions", {"id": name}, timeout=200)[0]
                took.append((time.monotonic() - started, status))

            threads = [threading.Thread(target=create, args=(f"meanwhile-{number}",)) for number in range(30)]
            for thread in threads: thread.start()
            assert gateway.request("GET", "/ready")[0] == 503
            asked = time.monotonic()
            assert gateway.request("GET", "/metrics")[0] == 503
            assert time.monotonic() - asked < 10, "Prometheus would not wait for that"
            for thread in threads: thread.join()
            for process in processes:
                try:
                    os.kill(process, signal.SIGCONT)
                except ProcessLookupError:
                    pass
            assert {status for _, status in took} == {503}, took
            longest = max(seconds for seconds, _ in took)
            assert longest < 100, took
            eventually(lambda: gateway.request("POST", "/sessions", {"id": "after"})[0] == 201, "it goes on", 60)
            print(f"  30 changes that waited were refused within {longest:.0f} s, and the next one is made")


def gateway_request_fails(gateway):
    try:
        gateway.request("POST", "/sessions", {"id": "never"})
    except (OSError, http.client.HTTPException):
        pass


def refused():
    """What cannot be is refused when the gateway starts, in a sentence without a password."""
    with Postgres() as database:
        for address in ["postgres://user:S3CRET@127.0.0.1:1/sessions", f"host={database.folder} user=nobody password=S3CRET dbname=sessions",
                        f"host={database.folder} user=postgres dbname=none password=S3CRET", "postgres://S3CRET@x@y/z"]:
            started = time.monotonic()
            try:
                with Gateway("--database", address): raise SystemExit(f"{address} is served")
            except AssertionError as error:
                assert "The gateway cannot run: " in str(error) and "S3CRET" not in str(error), error
            assert time.monotonic() - started < 10
        print("  an address that leads nowhere, an unknown role, an unknown database, an address that cannot be read")


def moving():
    """Sessions move from a file into a database and back, by the guide's commands."""
    with Postgres() as database, folder() as directory:
        file = os.path.join(directory, "sessions.sqlite")
        with Gateway("--file", file) as gateway:
            for name in ["support", "sales"]: gateway.create(name)
            gateway.post("support", "session", {"status": "connected", "phoneNumber": "447700900123"})
            gateway.stop()
        programs = os.path.join(directory, "bin")
        os.mkdir(programs)
        os.symlink(BINARY, os.path.join(programs, "whatsapp-gateway"))
        environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "DATABASE": database.address}
        run = lambda name: subprocess.run(["bash", "-euc", block(name)], cwd=directory, env=environment, capture_output=True, text=True)
        said = run("to postgresql")
        assert said.returncode == 0 and said.stderr == "2 sessions of sessions.sqlite are in the database.\n", said
        with Gateway("--database", database.address) as gateway:
            moved = gateway.request("GET", "/sessions")[1]["sessions"]
            # While it runs.
            said = run("from postgresql")
            assert said.returncode == 0, said
        with Gateway("--file", os.path.join(directory, "moved.sqlite")) as gateway:
            back = gateway.request("GET", "/sessions")[1]["sessions"]
        times = lambda sessions: [(session["id"], session["createdAt"], session.get("phoneNumber")) for session in sessions]
        assert times(moved) == times(back) and [session["id"] for session in moved] == ["support", "sales"], (moved, back)
        again = run("to postgresql")
        assert again.returncode == 1 and "The gateway cannot run: " in again.stderr, again
        print("  there and back, and not into a database that has sessions")


def main():
    for check in [killed, orders, away, frozen, refused, moving]:
        if len(sys.argv) > 1 and check.__name__ not in sys.argv[1:]: continue
        print(f"{check.__name__}: {check.__doc__}", flush=True)
        check()


if __name__ == "__main__":
    main()
