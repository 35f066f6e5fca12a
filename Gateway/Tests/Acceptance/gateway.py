"""A gateway as a process of its own, for the tests that need a real one."""
import http.client, json, os, queue, re, signal, subprocess, tempfile, threading, time, urllib.parse

PACKAGE = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
BINARY = os.environ.get("GATEWAY", os.path.join(PACKAGE, ".build/debug/Gateway"))
RECORDING = os.path.join(PACKAGE, "../Tests/WhatsAppSessionsTests/Fixtures/pairing-lifecycle.ndjson")


def eventually(condition, what, seconds=30):
    """Looks again until a condition holds, and returns what it returned."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not in {seconds} s: {what}")


class Gateway:
    """Starts the gateway; `port` 0 takes a free one, which stays the same over a restart."""

    def __init__(self, *options, port=0):
        self.options, self.port, self.process, self.log, self.token = options, port, None, [], None
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [BINARY, "--port", str(self.port), *self.options], stderr=subprocess.PIPE, text=True, errors="replace"
        )
        # Of every start, one after the other.
        lines = self.log
        for line in self.process.stderr:
            lines.append(line)
            # In a line of its own, or of JSON.
            found = re.search(r"The gateway is running: http://[^\s\"]*:(\d+)", line)
            if found:
                self.port = int(found.group(1))
                break
        else:
            raise AssertionError("the gateway did not start: " + "".join(lines))
        # Read to the end, so that the gateway never waits for a full pipe.
        threading.Thread(target=lambda log, pipe: log.extend(pipe), args=(lines, self.process.stderr), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Ends it by SIGTERM, and returns how long that took in seconds."""
        start = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=30) == 0, f"it ended with {self.process.returncode}: {''.join(self.log)}"
        return time.monotonic() - start

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def request(self, method, path, body=None, headers=None, timeout=90):
        """Returns the status, and the body as JSON where it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        headers = dict(headers or {})
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        if "json" in (response.getheader("Content-Type") or ""):
            data = json.loads(data)
        return response.status, data

    def create(self, session_id):
        status, session = self.request("POST", "/sessions", {"id": session_id})
        assert status == 201, (status, session)
        return session

    def path(self, session_id):
        return "/sessions/" + urllib.parse.quote(session_id, safe="")

    def post(self, session_id, event, data, **more):
        return self.request("POST", self.path(session_id) + "/events", {"event": event, "data": data, **more})

    def session(self, session_id):
        status, session = self.request("GET", self.path(session_id))
        return session if status == 200 else None

    def metric(self, name):
        for line in self.request("GET", "/metrics")[1].decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])


class Follower:
    """Reads `/changes` on a thread; `events` is a queue of (event, id, data)."""

    def __init__(self, gateway, query=""):
        self.events = queue.Queue()
        self.connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=120)
        self.connection.request("GET", "/changes" + query)
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.status
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        event = {}
        try:
            for line in self.response:
                line = line.decode().rstrip("\n")
                if line:
                    name, _, value = line.partition(": ")
                    event[name] = value
                elif event:
                    self.events.put((event["event"], event.get("id"), json.loads(event["data"])))
                    event = {}
        except (OSError, http.client.HTTPException, ValueError):
            pass
        self.events.put(None)

    def next(self, timeout=30):
        return self.events.get(timeout=timeout)

    def until(self, wanted, timeout=30):
        """Returns the first event of this kind."""
        while True:
            event = self.next(timeout)
            assert event, f"the stream ended before {wanted}"
            if event[0] == wanted:
                return event


def recorded_codes():
    """The QR codes of the recording, in order."""
    lines = [json.loads(line) for line in open(RECORDING, encoding="utf-8")]
    return [line["data"]["qr"] for line in lines if "qr" in line["data"]]


def folder():
    return tempfile.TemporaryDirectory(prefix="gateway-")
