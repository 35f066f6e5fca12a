"""What the gateway survives, tried on real processes: python3 faults.py [CHECK ...]

Needs root for a network that is cut. Figures are printed and decide nothing, except those that are promised.
"""
import http.client, http.server, json, os, random, resource, signal, socket, sqlite3, subprocess, sys, threading, time
from gateway import Follower, Gateway, eventually, folder, recorded_codes

CODES = recorded_codes()


def memory(gateway):
    with open(f"/proc/{gateway.process.pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:")) / 1024


def silent_client(gateway):
    """Asks for the changes and reads none."""
    connection = socket.socket()
    # The smallest window, so that the gateway is soon left with what nobody reads.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", gateway.port))
    connection.sendall(b"GET /changes HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return connection


def followers():
    """500 followers, 50 of whom read nothing, and the end by SIGTERM."""
    with folder() as directory, Gateway("--file", os.path.join(directory, "sessions.sqlite")) as gateway:
        for number in range(10):
            gateway.create(str(number))
        at_rest = memory(gateway)
        silent = [silent_client(gateway) for _ in range(50)]
        readers = [Follower(gateway) for _ in range(450)]
        for reader in readers:
            reader.until("ready")
        eventually(lambda: gateway.metric("whatsapp_followers") == 500, "500 followers")
        # Each writer changes sessions of its own, so that the last value of each is known.
        def write(writer):
            for turn in range(100):
                assert gateway.request("PATCH", f"/sessions/{writer * 5 + turn % 5}", {"name": str(turn)})[0] == 200
        started = time.monotonic()
        writers = [threading.Thread(target=write, args=(writer,)) for writer in range(2)]
        for writer in writers: writer.start()
        for writer in writers: writer.join()
        gateway.create("last")
        for reader in readers:
            numbers, names = [], {}
            while True:
                _, cursor, session = reader.until("session", 60)
                numbers.append(int(cursor.split("-")[1]))
                if session["id"] == "last": break
                names[session["id"]] = session["name"]
            assert numbers == list(range(numbers[0], numbers[0] + 201)), "a change is missing or out of order"
            assert all(names[str(number)] == str(95 + number % 5) for number in range(10)), names
        took = time.monotonic() - started
        print(f"  450 of 500 followers read all of 201 changes, in order, in {took:.1f} s; "
              f"{memory(gateway) - at_rest:.0f} MB for 500 followers and 50 that read nothing")
        started = time.monotonic()
        gateway.create("one")
        for reader in readers:
            reader.until("session")
        print(f"  one change reaches them in {(time.monotonic() - started) * 1000:.0f} ms, with the time that these readers take")
        took = gateway.stop()
        assert took <= 5, f"SIGTERM took {took:.2f} s"
        print(f"  SIGTERM with 500 open streams: {took:.2f} s")
        for reader in readers:
            while reader.next(10): pass
        # The end of a chunked body: the stream was ended, not cut off.
        assert silent[0].makefile("rb").read().endswith(b"\r\n0\r\n\r\n"), "a stream was cut off"
    with Gateway() as gateway:
        gateway.create("support")
        silent = [silent_client(gateway) for _ in range(50)]
        # More than the buffers of a connection hold.
        for number in range(150):
            assert gateway.request("PATCH", "/sessions/support", {"name": f"{number}" + "x" * 60_000})[0] == 200
        readers = [Follower(gateway) for _ in range(450)]
        for reader in readers:
            reader.until("ready")
        took = gateway.stop()
        assert took <= 5, f"SIGTERM took {took:.2f} s"
        print(f"  and where those 50 have left megabytes unread: {took:.2f} s")


def kill():
    """What was answered is on disk, whenever the gateway is killed."""
    with folder() as directory, Gateway("--file", os.path.join(directory, "sessions.sqlite")) as gateway:
        answered = 0
        for round in range(10):
            done = []
            def write():
                try:
                    for number in range(10_000):
                        status, session = gateway.request("POST", "/sessions", {"id": f"{round}-{number}"})
                        if status == 201: done.append(session["id"])
                except (OSError, http.client.HTTPException):
                    pass
            writer = threading.Thread(target=write)
            writer.start()
            time.sleep(random.uniform(0.05, 0.3))
            gateway.kill()
            writer.join()
            gateway.start()
            ids = {session["id"] for session in gateway.request("GET", "/sessions")[1]["sessions"]}
            assert set(done) <= ids, f"{set(done) - ids} were answered and are gone"
            answered += len(done)
        sessions = gateway.request("GET", "/sessions")[1]["sessions"]
        # The last round began after the last recovery.
        assert all(session["status"] == "disconnected" for session in sessions), "a session of a dead process is live"
        print(f"  {answered} answered changes and 10 kills: none lost")


class Receiver:
    """Takes webhooks, refuses one in three, and can be killed and started."""

    def __init__(self):
        self.received, self.attempts, self.server = [], 0, None
        self.lock = threading.Lock()
        self.port = 0
        self.start()

    def start(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.lock:
                    outer.attempts += 1
                    refuses = random.random() < 1 / 3
                    if not refuses: outer.received.append(body)
                self.send_response(random.choice([404, 429, 500, 503]) if refuses else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_): pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            # The gateway was killed in the middle of a message.
            def handle_error(self, *_): pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def kill(self):
        self.server.shutdown()
        self.server.server_close()


def webhooks(count=10_000, kills=20):
    """10,000 webhooks: a receiver that fails and is killed, a gateway that is killed 20 times."""
    receiver = Receiver()
    with folder() as directory:
        file = os.path.join(directory, "sessions.sqlite")
        options = ["--file", file, "--webhook", f"http://127.0.0.1:{receiver.port}/hook", "--webhook-pause", "1"]
        with Gateway(*options) as gateway:
            eventually(lambda: receiver.received, "the first message, sessions.reset")
            assert receiver.received[0]["event"] == "sessions.reset"
            isWriting = True

            def write(writer):
                done = 0
                while done < count // 4:
                    try:
                        session_id = f"{writer}-{done % 50}"
                        if done < 50:
                            status = gateway.request("POST", "/sessions", {"id": session_id})[0]
                            assert status in (201, 409), status
                        else:
                            status = ["connected", "disconnected"][done // 50 % 2]
                            assert gateway.request("PATCH", f"/sessions/{session_id}", {"status": status})[0] == 200
                        done += 1
                    except (OSError, http.client.HTTPException):
                        time.sleep(0.02)

            started = time.monotonic()
            writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
            for writer in writers: writer.start()
            for number in range(kills):
                target = (number + 1) * count * 0.9 / kills
                eventually(lambda: len(receiver.received) >= target, f"{target:.0f} webhooks", 120)
                gateway.kill()
                if number % 4 == 1:
                    receiver.kill()
                    gateway.start()
                    time.sleep(0.2)
                    receiver.start()
                else:
                    gateway.start()
            for writer in writers: writer.join()
            with sqlite3.connect(file) as database:
                made = {number: (session, after) for number, session, after in database.execute(
                    "SELECT number, session_id, status FROM session_changes WHERE previous_status IS NOT status")}
            eventually(lambda: receiver.received[-1]["id"].endswith(f"-{max(made)}"), "the last webhook", 120)
            took = time.monotonic() - started
    messages = receiver.received[1:]
    assert all(message["event"] == "session.status" for message in messages), "changes were missed, and said so"
    numbers = [int(message["id"].split("-")[1]) for message in messages]
    first = list(dict.fromkeys(numbers))
    assert first == sorted(made), "a webhook is missing, or came before an earlier one"
    for number, message in zip(numbers, messages):
        assert made[number] == (message["session"], message["payload"]["status"]), (made[number], message)
    assert len(first) >= count
    print(f"  {len(first)} webhooks in {receiver.attempts} attempts, {kills} kills of the gateway, {kills // 4} of the receiver: "
          f"0 missing, 0 out of order, {len(numbers) - len(first)} came again; {took:.0f} s")


def storm(sessions=1_000, events=52):
    """1,000 sessions, 50 events each, from four workers in any order: everyone says the same at the end."""
    things = [
        ("connection.update", {"connection": "connecting"}), ("connection.update", {"connection": "open"}),
        ("connection.update", {"qr": "2@code"}), ("creds.update", {"me": {"id": "447700900123:1@s.whatsapp.net", "name": "Ana"}}),
        ("connection.update", {"connection": "close", "lastDisconnect": {"error": {"message": "lost", "output": {"statusCode": 428}}}}),
        ("connection.update", {"connection": "close", "lastDisconnect": {"error": {"output": {"statusCode": 440}}}}),
        ("KeepAliveTimeout", {}), ("session", {"name": "Zoë", "restriction": "new chats"}), ("messages.upsert", {}),
    ]
    with folder() as directory:
        file = os.path.join(directory, "sessions.sqlite")
        with Gateway("--file", file, "--lease", "60") as gateway:
            for number in range(sessions): gateway.create(str(number))
            follower, known, answers = Follower(gateway), {}, []

            def read():
                while event := follower.next(300):
                    if event[0] == "session": known[event[2]["id"]] = event[2]

            reader = threading.Thread(target=read, daemon=True)
            reader.start()

            def work(name):
                stream = Follower(gateway, f"?worker={name}")
                lease = stream.until("lease")[2]["lease"]
                connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=90)
                mine = [number for number in range(sessions) for _ in range(events // 4)]
                random.shuffle(mine)
                for number in mine:
                    event, data = random.choice(things)
                    body = json.dumps({"event": event, "data": data, "worker": name, "lease": lease, "at": int(time.time() * 1000)})
                    connection.request("POST", f"/sessions/{number}/events", body, {"Content-Type": "application/json"})
                    response = connection.getresponse()
                    response.read()
                    answers.append(response.status)

            workers = [threading.Thread(target=work, args=(f"eu-{number}",)) for number in range(4)]
            start = time.monotonic()
            for worker in workers: worker.start()
            for worker in workers: worker.join()
            seconds = time.monotonic() - start
            listed = {session["id"]: session for session in gateway.request("GET", "/sessions")[1]["sessions"]}
            eventually(lambda: known == listed, "the follower says what the list says")
            with sqlite3.connect(file) as database:
                rows = database.execute(
                    "SELECT sessions.id, sessions.status, sessions.name, sessions.disconnect_text, sessions.restriction, leases.holder "
                    "FROM sessions LEFT JOIN leases ON leases.number = sessions.lease").fetchall()
            stored = {row[0]: row[1:] for row in rows}
            shown = {id: (each["status"], each.get("name"), each.get("disconnectReason", {}).get("text"), each.get("restriction"), each.get("holder"))
                     for id, each in listed.items()}
            assert stored == shown, [(id, stored.get(id), shown[id]) for id in shown if stored.get(id) != shown[id]][:3]
            assert set(answers) <= {200, 204, 422} and len(answers) == sessions * (events // 4) * 4, set(answers)
            held = {each["holder"] for each in listed.values() if "holder" in each}
            assert len(held) == 4, held
            print(f"  {len(answers)} events in {seconds:.0f} s, {answers.count(422)} of them late or of another worker: "
                  f"the follower, the list and the database say the same of {len(listed)} sessions")


def quietly(gateway, path):
    try:
        gateway.request("PATCH", path, {"name": "Ana"})
    except (OSError, http.client.HTTPException):
        pass


def lock():
    """Another process holds the write lock: what only reads answers all the same."""
    with folder() as directory:
        file = os.path.join(directory, "sessions.sqlite")
        with Gateway("--file", file) as gateway:
            gateway.create("support")
            holder = subprocess.Popen([sys.executable, "-c", "import sqlite3, sys\n"
                f"d = sqlite3.connect({file!r}, isolation_level=None)\n"
                "d.execute('BEGIN IMMEDIATE')\nprint('held', flush=True)\nsys.stdin.readline()\nd.execute('ROLLBACK')"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            assert holder.stdout.readline() == "held\n"
            answers = []
            writers = [threading.Thread(target=lambda: answers.append(gateway.request("PATCH", "/sessions/support", {"name": "Ana"})[0]))
                       for _ in range(16)]
            for writer in writers: writer.start()
            time.sleep(0.3)
            times = []
            for path in ["/health", "/sessions/support", "/sessions", "/metrics"] * 100:
                started = time.monotonic()
                assert gateway.request("GET", path)[0] == 200
                times.append(time.monotonic() - started)
            assert not answers, "a change was answered while another process held the lock"
            holder.communicate("\n")
            for writer in writers: writer.join()
            assert answers == [200] * 16, answers
            times.sort()
            # The lock is held for longer than a second: a read that waits for it takes that long.
            assert times[-1] < 0.5, f"a read took {times[-1]:.2f} s"
            print(f"  400 reads while another process held the write lock and 16 changes waited: "
                  f"median {times[200] * 1000:.1f} ms, longest {times[-1] * 1000:.1f} ms")
        # The end doesn't wait for the lock either, whether it is a request that does or something of the gateway's own.
        for option, what in [("--port", "a change"), ("--demo", "the demo")]:
            with Gateway("--file", file, *([option] if option == "--demo" else [])) as gateway:
                if option == "--demo":
                    eventually(lambda: gateway.session("shop-berlin"), "the demo has begun")
                with sqlite3.connect(file, isolation_level=None) as database:
                    database.execute("BEGIN IMMEDIATE")
                    writer = threading.Thread(target=lambda: quietly(gateway, "/sessions/support"))
                    writer.start()
                    time.sleep(0.5)
                    started = time.monotonic()
                    gateway.process.send_signal(signal.SIGTERM)
                    gateway.process.wait(timeout=30)
                    took = time.monotonic() - started
                    database.execute("ROLLBACK")
                writer.join()
                assert took <= 5, f"SIGTERM took {took:.2f} s"
                print(f"  SIGTERM while {what} waits for the lock: {took:.2f} s")
    with Gateway("--demo", "--demo-speed", "50") as gateway:
        eventually(lambda: len(gateway.request("GET", "/sessions")[1]["sessions"]) == 6, "six accounts")
        print(f"  SIGTERM with the demo: {gateway.stop():.2f} s")


def requests():
    """Requests that are half, endless or malformed."""
    with Gateway() as gateway:
        def talk(text):
            connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=10)
            connection.sendall(text)
            return connection

        def answer(connection):
            return connection.makefile("rb").readline().decode().split()[1]

        for more in [b"\r\nTransfer-Encoding: gzip\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"]:
            connection = talk(b"POST /sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json" + more)
            assert answer(connection) == "400", more
        for path in ["/sessions/%ff", "/sessions/%", "/sessions/%zz"]:
            assert answer(talk(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())) == "400", path
        assert answer(talk(b"GET /sessions HTTP/1.1\r\n\r\n")) in ("400", "403")
        head = b"POST /sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        # One that says it is too large, and one that doesn't say how large it is.
        for more, chunk in [(b"Content-Length: 999999999\r\n\r\n", b"x" * 65536),
                            (b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n")]:
            connection = talk(head + more)
            sent, ended = 0, None
            end = time.monotonic() + 20
            try:
                while time.monotonic() < end:
                    connection.sendall(chunk)
                    sent += len(chunk)
            except OSError as error:
                ended = error
            assert ended and not isinstance(ended, TimeoutError), f"the gateway still reads after {sent} bytes"
            print(f"  an endless body is cut off after {sent / 1e6:.0f} MB")
        connection = talk(head + b"Content-Length: 999999999\r\n\r\n")
        assert answer(connection) == "413"
        for more in [b"Content-Length: 3\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"]:
            connection = talk(b"GET /changes HTTP/1.1\r\nHost: localhost\r\n" + more)
            assert answer(connection) == "400"
        assert gateway.request("GET", "/health")[0] == 200
        assert gateway.metric("whatsapp_sessions{status=\"initializing\"}") == 0


def idle():
    """Half a request head, and a client that says nothing, are ended."""
    with Gateway() as gateway:
        stream = Follower(gateway)
        stream.until("ready")
        connections = []
        for text in [b"", b"GET /sessions HT", b"POST /sessions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"]:
            connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=120)
            connection.sendall(text)
            connections.append(connection)
        started = time.monotonic()
        for connection in connections:
            while connection.recv(4096): pass
        took = time.monotonic() - started
        gateway.create("support")
        stream.until("session")
        print(f"  half a request is ended after {took:.0f} s, and a stream is not")


def vanish():
    """A client whose network is cut: neither its end nor anything else arrives."""
    name, here, there = "gatewayvanish", "10.213.77.1", "10.213.77.2"
    run = lambda *words: subprocess.run(words, check=True, capture_output=True)
    # What a run that was killed has left.
    subprocess.run(["ip", "link", "del", "gwv0"], capture_output=True)
    subprocess.run(["ip", "netns", "del", name], capture_output=True)
    run("ip", "netns", "add", name)
    try:
        run("ip", "link", "add", "gwv0", "type", "veth", "peer", "name", "gwv1", "netns", name)
        run("ip", "addr", "add", here + "/30", "dev", "gwv0")
        run("ip", "link", "set", "gwv0", "up")
        run("ip", "-n", name, "addr", "add", there + "/30", "dev", "gwv1")
        run("ip", "-n", name, "link", "set", "gwv1", "up")
        with folder() as directory:
            token = os.path.join(directory, "token")
            with open(os.open(token, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file: file.write("correct-horse-battery")
            with Gateway("--hostname", here, "--token-file", token) as gateway:
                authorization = {"Authorization": "Bearer correct-horse-battery"}

                def followers():
                    connection = http.client.HTTPConnection(here, gateway.port, timeout=10)
                    connection.request("GET", "/metrics", headers=authorization)
                    return "whatsapp_followers 1\n" in connection.getresponse().read().decode()

                client = subprocess.Popen(["ip", "netns", "exec", name, sys.executable, "-c",
                    f"import socket, time\nc = socket.create_connection(('{here}', {gateway.port}))\n"
                    "c.sendall(b'GET /changes HTTP/1.1\\r\\nHost: x\\r\\nAuthorization: Bearer correct-horse-battery\\r\\n\\r\\n')\n"
                    "while c.recv(4096): pass"])
                eventually(followers, "a follower")
                run("ip", "-n", name, "link", "set", "gwv1", "down")
                started = time.monotonic()
                eventually(lambda: not followers(), "the follower that vanished is noticed", 90)
                print(f"  a client that vanished is noticed after {time.monotonic() - started:.0f} s")
                client.kill()
                client.wait()
    finally:
        subprocess.run(["ip", "netns", "del", name], capture_output=True)


def log():
    """No code, token, number or name is logged, however much is."""
    os.environ["LOG_LEVEL"] = "trace"
    with folder() as directory:
        token, file = os.path.join(directory, "token"), os.path.join(directory, "sessions.sqlite")
        with open(os.open(token, os.O_CREAT | os.O_WRONLY, 0o600), "w") as out: out.write("correct-horse-battery")
        webhook = "http://user:correct-battery@127.0.0.1:9/hook?key=correct-staple"
        with Gateway("--file", file, "--token-file", token, "--webhook", webhook, "--webhook-secret-file", token) as gateway:
            authorization = {"Authorization": "Bearer correct-horse-battery"}
            send = lambda method, path, body=None, headers=authorization: gateway.request(method, path, body, headers)
            send("POST", "/sessions", {"id": "support"})
            send("POST", "/sessions/support/events", {"event": "connection.update", "data": {"qr": CODES[0]}})
            send("POST", "/sessions/support/events", {"event": "connection.update", "data": {"qr": [CODES[0]]}})
            send("POST", "/sessions/support/events", {"event": "creds.update", "data": {"me": {"id": "447700900123@s", "name": "Ana Souza"}}})
            send("PATCH", "/sessions/support", {"status": CODES[0]})
            send("PATCH", "/sessions/support", {"status": "connected", "qrCode": CODES[0]})
            send("GET", "/sessions/support/qr")
            send("GET", "/sessions", headers={"Authorization": "Bearer correct-horse-batterys"})
            send("GET", "/sessions?token=correct-horse-battery")
            time.sleep(1)
            # A file that is no database any more: an error of SQLite's, which is logged.
            os.remove(file)
            send("PATCH", "/sessions/support", {"name": "Ana Souza"})
            gateway.process.send_signal(signal.SIGTERM)
            gateway.process.wait(timeout=30)
            text = "".join(gateway.log)
    del os.environ["LOG_LEVEL"]
    assert "trace" in text and "error" in text, "little was logged"
    for secret in [*CODES, "correct-", "447700900123", "Ana Souza"]:
        assert secret not in text, f"{secret} is in the log"
    print(f"  {len(text.splitlines())} lines of log, and no secret in them")


def operated():
    """What an operator does to it: a log of JSON, secrets that change, a file that is moved, too few descriptors."""
    with folder() as directory:
        token, file = os.path.join(directory, "token"), os.path.join(directory, "sessions.sqlite")
        def write(text):
            with open(os.open(token, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as written:
                written.write(text)
        write("correct-horse-battery")
        with Gateway("--file", file, "--token-file", token, "--log-format", "json", "--log-level", "info") as gateway:
            gateway.token = "correct-horse-battery"
            gateway.create("S3CRET")
            write("battery-horse-correct")
            gateway.process.send_signal(signal.SIGHUP)
            eventually(lambda: gateway.request("GET", "/sessions")[0] == 401, "the old token is refused")
            gateway.token = "battery-horse-correct"
            assert gateway.request("GET", "/sessions")[0] == 200
            write("short")
            gateway.process.send_signal(signal.SIGHUP)
            eventually(lambda: any("stay as they were" in line for line in gateway.log), "a token that is too short is refused")
            assert gateway.request("GET", "/sessions")[0] == 200
            os.rename(file, file + ".moved")
            assert gateway.process.wait(timeout=30) != 0, "it ended as if all were well"
            eventually(lambda: any("The gateway ends: " in line and "was moved" in line for line in gateway.log), "it says why")
            lines = gateway.log
            assert lines and all({"time", "level", "message"} <= json.loads(line).keys() for line in lines), lines
            assert not any("S3CRET" in line or "horse" in line for line in lines), lines
            print(f"  {len(lines)} lines of JSON, secrets read again at SIGHUP, and an end with a sentence when the file is moved")
    # A receiver that refuses all that is about one session.
    told = []
    class Refuses(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            isRefused = message.get("session") == "refused"
            if not isRefused: told.append(message.get("session"))
            self.send_response(404 if isRefused else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()
        def log_message(self, *_): pass
    receiver = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuses)
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    with folder() as directory:
        file = os.path.join(directory, "sessions.sqlite")
        url = f"http://127.0.0.1:{receiver.server_port}/"
        with Gateway("--file", file, "--webhook", url, "--webhook-pause", "20", "--webhook-patience", "1") as gateway:
            gateway.create("refused")
            eventually(lambda: gateway.request("GET", "/ready")[1].get("webhooks") == "failing", "/ready says that the receiver fails")
            gateway.create("next")
            eventually(lambda: "next" in told, "the next message goes on")
            eventually(lambda: gateway.request("GET", "/ready")[1] == {"status": "ready", "database": "ok", "webhooks": "ok"}, "and it answers again")
            [aside] = [name for name in os.listdir(directory) if "webhook-refused" in name]
            assert json.loads(open(os.path.join(directory, aside)).read())["message"]["session"] == "refused"
            assert os.stat(os.path.join(directory, aside)).st_mode & 0o777 == 0o600
            assert any("set aside" in line for line in gateway.log), gateway.log
            print("  a message that is refused is set aside, and /ready says how the receiver does")
    receiver.shutdown()
    with Gateway() as gateway:
        limits = resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE)
        assert limits[0] == limits[1], limits
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (256, 256))
        connections = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(300)]
        eventually(lambda: any("file descriptors run out" in line for line in gateway.log), "it says that descriptors run out")
        for connection in connections: connection.close()
        eventually(lambda: gateway.request("GET", "/health", timeout=5)[0] == 200, "it answers again")
        assert sum("file descriptors run out" in line for line in gateway.log) == 1, gateway.log
        print("  when descriptors run out it says so once, and it goes on when there are some again")


CHECKS = [operated, followers, kill, webhooks, storm, lock, requests, log]
# These wait for more than half a minute each, and do nothing meanwhile.
SLOW = [idle, vanish]


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    wanted = [check for check in CHECKS + SLOW if len(sys.argv) == 1 or check.__name__ in sys.argv[1:]]
    failed = []

    def run(check):
        try:
            print(f"{check.__name__}: {check.__doc__}", flush=True)
            check()
        except BaseException as error:
            failed.append(f"{check.__name__}: {type(error).__name__} {error}")
            print(f"  FAILED {check.__name__}: {type(error).__name__} {error}", flush=True)

    slow = [threading.Thread(target=run, args=(check,)) for check in wanted if check in SLOW]
    for thread in slow: thread.start()
    for check in wanted:
        if check in CHECKS: run(check)
    for thread in slow: thread.join()
    sys.exit("\n".join(failed) or 0)


if __name__ == "__main__":
    main()
