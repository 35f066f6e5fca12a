"""What the gateway's guide says, tried: its curl commands, its webhook receiver, its nginx, its backups."""
import glob, http.client, json, os, re, shutil, signal, socket, subprocess, sys, time
from gateway import PACKAGE, Gateway, eventually, folder

OLD = os.path.join(PACKAGE, "../Tests/WhatsAppSessionsTests/Fixtures/releases/0.1.0/sessions.sqlite")
GUIDE = "\n".join(open(path, encoding="utf-8").read() for path in [os.path.join(PACKAGE, "README.md"), *glob.glob(os.path.join(PACKAGE, "Guide.docc/*.md"))])


def block(name):
    found = set(re.findall(rf"<!-- {name} -->\n```\w*\n(.*?)```", GUIDE, re.S))
    assert len(found) == 1, f"the guide has {len(found)} blocks {name}"
    return found.pop()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def source():
    """From the source: README's commands start a gateway that answers where it says."""
    # In README and in the guide: the same, or the look for them fails.
    assert block("install") and block("docker")
    run = subprocess.Popen(["bash", "-euc", block("source")], cwd=os.path.dirname(PACKAGE), stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, start_new_session=True)

    def answers():
        assert run.poll() is None, "README's commands ended"
        return subprocess.run(["curl", "-sf", "http://127.0.0.1:3000/health"], capture_output=True, text=True).stdout == '{"status":"ok"}'

    try:
        eventually(answers, "it answers", 600)
    finally:
        os.killpg(run.pid, signal.SIGTERM)
        run.wait()


def routes():
    """Every curl command succeeds, and there is one for every route."""
    with folder() as directory, Gateway() as gateway:
        commands = block("routes").replace("http://127.0.0.1:3000", gateway.url).replace("curl -s", "curl -sf -w '\\n'")
        # The stream has no end: curl ends it after its time, which is an error to it.
        commands = re.sub(r"(curl[^\n]*--max-time 1)", r"\1 || [ $? = 28 ]", commands)
        result = subprocess.run(["bash", "-euc", commands], cwd=directory, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr
        assert "<svg" in open(os.path.join(directory, "support.svg")).read()
        for text in ['{"status":"ok"}', '"qrCode":"2@code"', "\n2@code\n", '"name":"Ana"', "event: ready", "whatsapp_followers"]:
            assert text in result.stdout, f"{text} in {result.stdout}"
        described = set(re.findall(r"^  (/\S*):$", open(os.path.join(PACKAGE, "openapi.yaml")).read(), re.M)) - {"/"}
        shown = {"/" + path.replace("support", "{id}").split("?")[0] for path in re.findall(r"\$G/([\w./]+)", block("routes"))}
        assert shown == described, shown ^ described


def json_blocks():
    """The session, the problem and the webhook are what the gateway sends."""
    session, problem, webhook = (json.loads(block(name)) for name in ["session", "problem", "webhook"])
    with folder() as directory:
        receiver = os.path.join(directory, "receiver.py")
        secret = os.path.join(directory, "secret")
        port = free_port()
        with open(receiver, "w") as file:
            file.write(block("receiver").replace("8080", str(port)).replace("print(", "print(json.dumps(message), ", 1))
        with open(os.open(secret, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write("correct-horse-battery\n")
        run = subprocess.Popen([sys.executable, receiver], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                               env={**os.environ, "SECRET": "correct-horse-battery"})
        options = ["--webhook", f"http://127.0.0.1:{port}/hook", "--webhook-secret-file", secret, "--webhook-pause", "20"]
        with Gateway(*options) as gateway:
            gateway.create("support")
            gateway.post("support", "creds.update", {"me": {"id": "447700900123:7@s.whatsapp.net", "name": "Ana"}})
            gateway.post("support", "connection.update", {"connection": "open"}, at=session["connectedAt"])
            answer = gateway.post("support", "connection.update", {"qr": "2@late"})
            assert answer == (422, problem), answer
            gateway.post("support", "connection.update", {"connection": "close", "lastDisconnect": {"error": {"output": {"statusCode": 401}}}})
            found = gateway.session("support")
            assert found.keys() == session.keys(), found
            for name in session.keys() - {"createdAt", "statusChangedAt"}:
                assert found[name] == session[name], name
            received = []
            decoder = json.JSONDecoder()
            while not received or received[-1]["payload"].get("status") != "disconnected":
                received.append(decoder.raw_decode(run.stdout.readline())[0])
            assert [message["event"] for message in received] == ["sessions.reset"] + ["session.status"] * 4, received
            last = received[-1]
            assert last.keys() == webhook.keys() and last["payload"] == webhook["payload"] and last["me"] == webhook["me"], last
            # One that somebody else signed.
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("POST", "/hook", b"{}", {"X-Webhook-Hmac": "0" * 128})
            assert connection.getresponse().status == 401
        run.kill()
        run.wait()


def nginx():
    """Events pass nginx at once, and its clients need the token."""
    with folder() as directory:
        token = os.path.join(directory, "token")
        with open(os.open(token, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
            file.write("correct-horse-battery\n")
        with Gateway("--token-file", token) as gateway:
            port = free_port()
            config = os.path.join(directory, "nginx.conf")
            location = block("nginx").replace("127.0.0.1:3000", f"127.0.0.1:{gateway.port}")
            with open(config, "w") as file:
                file.write(f"pid {directory}/pid; error_log stderr; daemon off; user root;\nevents {{}}\n"
                           f"http {{ access_log off; server {{ listen 127.0.0.1:{port}; {location} }} }}")
            server = subprocess.Popen(["nginx", "-c", config], stderr=subprocess.DEVNULL)

            def ask(method, path, body=None, token="correct-horse-battery", host="gateway.example"):
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Host": host}
                connection.request(method, path, body, headers)
                return connection.getresponse()

            def answers():
                try:
                    return ask("GET", "/health").status == 200
                except OSError:
                    return False

            eventually(answers, "nginx answers")
            assert ask("GET", "/sessions", token="wrong").status == 401
            stream = ask("GET", "/changes")
            assert stream.status == 200
            while stream.readline() != b"event: ready\n": pass
            started = time.monotonic()
            assert ask("POST", "/sessions", '{"id": "support"}').status == 201
            while stream.readline() != b"event: session\n": pass
            print(f"  an event arrives through nginx after {(time.monotonic() - started) * 1000:.0f} ms, with the request that caused it")
            server.terminate()
            server.wait()


def backups():
    """A backup of the running gateway is complete and private, and what is restored is served again."""
    with folder() as directory:
        file = os.path.join(directory, "sessions.sqlite")
        run = lambda name: subprocess.run(["bash", "-euc", block(name)], cwd=directory, check=True)
        with Gateway("--file", file) as gateway:
            gateway.create("before")
            gateway.post("before", "connection.update", {"connection": "open"})
            run("backup")
            gateway.create("after")
            assert os.stat(os.path.join(directory, "backup.sqlite")).st_mode & 0o777 == 0o600
            gateway.kill()
            run("restore")
            gateway.start()
            sessions = gateway.request("GET", "/sessions")[1]["sessions"]
            assert [(session["id"], session["status"]) for session in sessions] == [("before", "disconnected")], sessions
    with folder() as directory:
        # A file of 0.1.0, and back to it.
        file = os.path.join(directory, "sessions.sqlite")
        shutil.copy(OLD, file)
        version = lambda: subprocess.run(["sqlite3", file, "PRAGMA user_version"], capture_output=True, text=True, check=True).stdout
        before = version()
        run = lambda name: subprocess.run(["bash", "-euc", block(name)], cwd=directory, check=True)
        run("upgrade")
        with Gateway("--file", file) as gateway:
            ids = [session["id"] for session in gateway.request("GET", "/sessions")[1]["sessions"]]
            gateway.stop()
        assert int(version()) > int(before) and ids, (before, version(), ids)
        run("rollback")
        assert version() == before


if __name__ == "__main__":
    for check in [source, routes, json_blocks, nginx, backups]:
        if len(sys.argv) > 1 and check.__name__ not in sys.argv[1:]: continue
        print(f"{check.__name__}: {check.__doc__}", flush=True)
        check()
