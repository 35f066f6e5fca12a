"""The workers of Workers/, run by Node against a real gateway: python3 workers.py"""
import json, os, shutil, sqlite3, subprocess, sys
from gateway import PACKAGE, RECORDING, Gateway, eventually, folder

HERE = os.path.dirname(os.path.abspath(__file__))


class Worker:
    def __init__(self, directory, name, gateway, **environment):
        self.output = open(os.path.join(directory, "output.txt"), "a+")
        self.process = subprocess.Popen(
            ["node", name], cwd=directory, stdout=self.output, stderr=self.output,
            env={**os.environ, "GATEWAY": gateway.url, "RECORDING": RECORDING, **environment})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def workers_copy(directory):
    """The workers with a stand-in for the package that `npm install` would bring."""
    for name in os.listdir(os.path.join(PACKAGE, "Workers")):
        shutil.copy(os.path.join(PACKAGE, "Workers", name), directory)
    package = os.path.join(directory, "node_modules", "baileys")
    os.makedirs(package)
    shutil.copy(os.path.join(HERE, "fake-baileys.mjs"), os.path.join(package, "index.mjs"))
    with open(os.path.join(package, "package.json"), "w") as file:
        json.dump({"name": "baileys", "type": "module", "exports": "./index.mjs"}, file)


def recorded(file):
    """How the status went, by the journal."""
    with sqlite3.connect(file) as database:
        return [row[0] for row in database.execute(
            "SELECT status FROM session_changes WHERE previous_status IS NOT status ORDER BY number")]


def baileys():
    """baileys.mjs makes of the recording what the recording expects."""
    expected = [json.loads(line) for line in open(RECORDING, encoding="utf-8")]
    events = {line["event"] for line in expected if not line["event"].startswith("app.")}
    source = open(os.path.join(PACKAGE, "Workers", "baileys.mjs")).read()
    for event in events:
        assert f'"{event}"' in source, f"baileys.mjs doesn't know {event}"
    with folder() as directory:
        file = os.path.join(directory, "sessions.sqlite")
        workers_copy(directory)
        with Gateway("--file", file, "--lease", "1") as gateway:
            session_id = expected[0]["session"]
            auth = os.path.join(directory, "auth", session_id)
            with Worker(directory, "baileys.mjs", gateway) as worker:
                gateway.create(session_id)
                status = lambda: gateway.session(session_id)["status"]
                eventually(lambda: status() == "connected", "the account is paired and connected")
                eventually(lambda: gateway.session(session_id).get("name") == expected[17]["expect"]["name"], "its name")
                assert os.path.isdir(auth)
                eventually(lambda: status() == "disconnected", "logged out")
                session = gateway.session(session_id)
                assert session["disconnectReason"] == {"code": 401, "text": "logged out"}, session
                eventually(lambda: not os.path.exists(auth), "what linked the account is removed")
                assert recorded(file) == ["initializing", "qr_waiting", "initializing", "connected", "initializing",
                                          "connected", "disconnected"], recorded(file)
                gateway.request("PATCH", gateway.path(session_id), {"status": "initializing"})
                eventually(lambda: status() == "qr_waiting", "paired again")
                session, last = gateway.session(session_id), expected[-1]["expect"]
                assert all(session[name] == last[name] for name in ["qrCode", "phoneNumber", "name"]), session
                print("  the recording, from its first socket to its fifth")
                # The gateway dies, and disconnects all; the worker's socket is as it was.
                gateway.kill()
                gateway.start()
                eventually(lambda: status() == "qr_waiting", "reported again after the gateway was away")
                assert gateway.session(session_id)["qrCode"] == last["qrCode"]
                print("  a gateway that was killed hears the state again")
            eventually(lambda: status() == "disconnected", "the lease ends")
            assert gateway.session(session_id)["disconnectReason"]["text"] == "worker gone"
            print("  a worker that was killed leaves its session disconnected")
            with Worker(directory, "baileys.mjs", gateway) as worker:
                eventually(lambda: status() == "initializing" or status() == "qr_waiting", "the worker comes back")
                print("  and takes it up when it comes back")
                gateway.request("DELETE", gateway.path(session_id))
                eventually(lambda: not os.path.exists(auth), "a deleted session is unlinked")
                print("  a deleted session is unlinked")


def demo():
    """demo.mjs pairs its accounts."""
    with folder() as directory, Gateway() as gateway:
        workers_copy(directory)
        with Worker(directory, "demo.mjs", gateway, SPEED="100"):
            def statuses():
                return [session["status"] for session in gateway.request("GET", "/sessions")[1]["sessions"]]
            eventually(lambda: len(statuses()) == 6, "six accounts")
            seen = set()
            eventually(lambda: seen.update(statuses()) or {"qr_waiting", "connected"} <= seen, "codes and connections")
            gateway.create("mine")
            eventually(lambda: gateway.session("mine")["status"] == "qr_waiting", "a code for a session of a person's")
            print("  six accounts, and one that a person created")


for check in [baileys, demo]:
    if len(sys.argv) > 1 and check.__name__ not in sys.argv[1:]: continue
    print(f"{check.__name__}: {check.__doc__}", flush=True)
    check()
