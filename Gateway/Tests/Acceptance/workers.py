"""The workers of Workers/, run by Node against a real gateway: python3 workers.py"""
import json, os, shutil, signal, sqlite3, subprocess, sys, time
from gateway import PACKAGE, RECORDING, Gateway, eventually, folder

HERE = os.path.dirname(os.path.abspath(__file__))


class Worker:
    def __init__(self, directory, name, gateway, log="output.txt", **environment):
        self.output = open(os.path.join(directory, log), "a+")
        self.process = subprocess.Popen(
            ["node", name] if name.endswith(".mjs") else [name], cwd=directory, stdout=self.output, stderr=self.output,
            env={**os.environ, "GATEWAY": gateway.url, "RECORDING": RECORDING, **environment})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop_until(self, condition, gateway):
        """Stops it while its stream ends, and lets it go on once something holds. Otherwise the gateway renews its lease."""
        self.process.send_signal(signal.SIGSTOP)
        gateway.stop()
        gateway.start()
        eventually(condition, "its lease is over")
        self.process.send_signal(signal.SIGCONT)

    @property
    def said(self):
        with open(self.output.name) as file:
            return file.read()


def workers_copy(directory):
    """The workers with a stand-in for the package that `npm install` would bring."""
    for name in os.listdir(os.path.join(PACKAGE, "Workers")):
        if name.endswith(".mjs"): shutil.copy(os.path.join(PACKAGE, "Workers", name), directory)
    package = os.path.join(directory, "node_modules", "baileys")
    os.makedirs(package)
    shutil.copy(os.path.join(HERE, "fake-baileys.mjs"), os.path.join(package, "index.mjs"))
    with open(os.path.join(package, "package.json"), "w") as file:
        json.dump({"name": "baileys", "type": "module", "exports": "./index.mjs"}, file)


def changes(file, condition="previous_status IS NOT status"):
    """How the statuses went, by the journal."""
    with sqlite3.connect(file) as database:
        return [row[0] for row in database.execute(
            f"SELECT status FROM session_changes WHERE {condition} ORDER BY number")]


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
        with Gateway("--file", file, "--lease", "5") as gateway:
            session_id = expected[0]["session"]
            auth = os.path.join(directory, "auth", session_id)
            with Worker(directory, "baileys.mjs", gateway) as worker:
                gateway.create(session_id)
                status = lambda: gateway.session(session_id)["status"]
                eventually(lambda: status() == "connected", "the account is paired and connected")
                eventually(lambda: gateway.session(session_id).get("name") == expected[17]["expect"]["name"], "its name")
                assert gateway.session(session_id)["holder"] == "baileys-1", gateway.session(session_id)
                assert os.path.isdir(auth)
                eventually(lambda: status() == "disconnected", "logged out")
                session = gateway.session(session_id)
                assert session["disconnectReason"] == {"code": 401, "text": "logged out"}, session
                eventually(lambda: not os.path.exists(auth), "what linked the account is removed")
                assert changes(file) == ["initializing", "qr_waiting", "initializing", "connected", "initializing",
                                         "connected", "disconnected"], changes(file)
                gateway.request("PATCH", gateway.path(session_id), {"status": "initializing"})
                eventually(lambda: status() == "qr_waiting", "paired again")
                session, last = gateway.session(session_id), expected[-1]["expect"]
                assert all(session[name] == last[name] for name in ["qrCode", "phoneNumber", "name"]), session
                print("  the recording, from its first socket to its fifth")
                before = len(changes(file, "1"))
                gateway.kill()
                gateway.start()
                eventually(lambda: gateway.session(session_id).get("holder") == "baileys-1", "the lease lives")
                time.sleep(1)
                assert len(changes(file, "1")) == before, changes(file, "1")
                print("  a gateway that was killed and starts again within the lease changes nothing")
            eventually(lambda: status() == "disconnected", "the lease ends")
            session = gateway.session(session_id)
            assert session["disconnectReason"]["text"] == "worker gone" and "holder" not in session, session
            print("  a worker that was killed leaves its session disconnected")
            with Worker(directory, "baileys.mjs", gateway) as worker:
                eventually(lambda: status() in ["initializing", "qr_waiting"], "the worker comes back")
                print("  and takes it up when it comes back")
                gateway.request("DELETE", gateway.path(session_id))
                eventually(lambda: not os.path.exists(auth), "a deleted session is unlinked")
                print("  a deleted session is unlinked")


# What a socket of the stand-in does, from the moment it is opened: [seconds, event, data]. The last one goes on for ever.
PAIR = [[0, "connection.update", {"qr": "2@one"}], [0.2, "creds.update", {"me": {"id": "447700900123:1@s.whatsapp.net", "name": "Ana"}}],
        [0, "connection.update", {"isNewLogin": True}], [0, "close", 515, "Stream Errored (restart required)"]]
ONLINE = [[0, "connection.update", {"connection": "connecting"}], [0, "connection.update", {"connection": "open"}],
          [0.1, "connection.update", {"receivedPendingNotifications": True}], [0, "connection.update", {"isOnline": True}]]


def life(*sockets):
    return {"LIFE": json.dumps(sockets), "LONGEST_PAUSE": "300"}


def interruptions(gateway, worker, file, opened):
    """The gateway is restarted, is away, and the worker is stopped, while `support` is online; the worker says `opened` of a socket."""
    session = lambda: gateway.session("support")
    status = lambda: session()["status"]
    before = len(changes(file, "1"))
    gateway.stop()
    gateway.start()
    time.sleep(1.5)
    assert len(changes(file, "1")) == before and status() == "connected", changes(file, "1")
    print("  a restart of the gateway: no change at all")

    gateway.kill()
    time.sleep(10)
    gateway.start()
    eventually(lambda: status() == "connected" and session().get("holder"), "online after the gateway was away")
    print("  the gateway away for twice the lease: online again")

    sockets = worker.said.count(opened)
    worker.stop_until(lambda: status() == "disconnected", gateway)
    eventually(lambda: status() == "connected" and worker.said.count(opened) > sockets, "online again after it was stopped")
    assert worker.said.count("end ") >= 1, "a socket stayed open beyond its lease"
    print("  the worker stopped until its lease was over: it closes its socket, and begins anew")


def why(session):
    """Why a session is offline; None when it is not."""
    return session["status"] == "disconnected" and session.get("disconnectReason", {}).get("text") or None


def orders(gateway, worker, file, kept, opened):
    """An operator stops, starts, logs out and pairs again, while `support` is online; `kept` is whether what links it is there."""
    session = lambda: gateway.session("support")
    status = lambda: session()["status"]
    order = lambda command: gateway.request("POST", gateway.path("support") + "/" + command)
    sockets = lambda: worker.said.count(opened)
    before, ends = sockets(), worker.said.count("end ")
    assert order("stop")[0] == 200
    eventually(lambda: why(session()) == "stopped", "stopped")
    eventually(lambda: worker.said.count("end ") > ends, "its socket is closed")
    gateway.stop()
    gateway.start()
    time.sleep(2)
    assert status() == "disconnected" and sockets() == before and kept(), session()
    print("  stopped: its socket closes, what links it stays, and a restart of the gateway changes nothing")
    assert order("start")[0] == 200
    eventually(lambda: status() == "connected" and sockets() == before + 1, "started")
    print("  started, without a pairing")
    assert order("logout")[0] == 200
    eventually(lambda: why(session()) == "logged out", "logged out")
    eventually(lambda: "logout " in worker.said and not kept(), "unlinked on the phone, and forgotten")
    assert "wish" not in session(), session()
    print("  logged out while online: unlinked on the phone, and forgotten")
    assert order("pair")[0] == 200
    eventually(lambda: status() == "connected" and kept(), "paired again")
    assert order("stop")[0] == 200
    eventually(lambda: why(session()) == "stopped", "stopped")
    assert order("logout")[0] == 200
    eventually(lambda: why(session()) == "logged out" and "wish" not in session(), "logged out from offline")
    eventually(lambda: worker.said.count("logout ") == 2 and not kept(), "unlinked on the phone, and forgotten")
    print("  paired again, stopped, and logged out while stopped: it goes online for that only")


def lives():
    """baileys.mjs, through what happens to accounts."""
    proxy = [[0.1, "close", 401, "WebSocket Error (Unexpected server response: 401)"]]
    with folder() as directory:
        file = os.path.join(directory, "sessions.sqlite")
        workers_copy(directory)
        auth = os.path.join(directory, "auth", "support")
        with Gateway("--file", file, "--lease", "5") as gateway:
            gateway.create("support")
            session = lambda: gateway.session("support")
            status = lambda: session()["status"]
            with Worker(directory, "baileys.mjs", gateway, **life(PAIR, ONLINE + [[0.3, "close", 428, "Connection Closed"]], proxy, proxy, ONLINE)) as worker:
                eventually(lambda: status() == "connected" and "socket 5" in worker.said, "online behind a proxy that answers 401")
                assert os.path.isdir(auth), "a proxy's 401 removed what links the account"
                assert "disconnected" not in changes(file), changes(file)
                print("  first pairing, 515, a lost line, and a proxy that answers 401: never disconnected, and nothing removed")

                interruptions(gateway, worker, file, "socket ")
            eventually(lambda: status() == "disconnected", "the worker is gone")
            assert os.path.isdir(auth)

            with Worker(directory, "baileys.mjs", gateway, **life(ONLINE)) as worker:
                eventually(lambda: status() == "connected", "its worker is back")
                gateway.request("PATCH", gateway.path("support"), {"status": "disconnected"})
                eventually(lambda: "end 1" in worker.said, "its socket is closed")
                time.sleep(1)
                assert status() == "disconnected" and os.path.isdir(auth), session()
                gateway.request("PATCH", gateway.path("support"), {"status": "initializing"})
                eventually(lambda: status() == "connected", "online again")
                print("  stopped by a person, and started again, without a pairing")
            eventually(lambda: status() == "disconnected", "gone again")

            with Worker(directory, "baileys.mjs", gateway, log="orders.txt", **life(ONLINE, ONLINE, PAIR, ONLINE, ONLINE, PAIR, ONLINE)) as worker:
                eventually(lambda: status() == "connected", "its worker is back")
                orders(gateway, worker, file, lambda: os.path.isdir(auth), "socket ")
                os.makedirs(auth)  # what links another account
                with open(os.path.join(auth, "creds-of-before"), "w") as credentials: credentials.write("{}")
                gateway.request("PATCH", gateway.path("support"), {"phoneNumber": "447700900124", "disconnectReason": None})
                gateway.request("POST", "/sessions/support/pair")
                eventually(lambda: status() == "connected", "paired anew")
                assert "qr_waiting" in changes(file)[-4:], changes(file)
                assert "creds-of-before" not in os.listdir(auth), os.listdir(auth)
                print("  paired again: what linked it is forgotten, and a code shows")
            eventually(lambda: status() == "disconnected", "gone again")

            # Another worker, which has not what links the account.
            with folder() as elsewhere:
                workers_copy(elsewhere)
                with Worker(elsewhere, "baileys.mjs", gateway, WORKER="other", **life(ONLINE)) as other:
                    time.sleep(3)
                    assert status() == "disconnected" and session()["disconnectReason"]["text"] == "worker gone", session()
                    assert "socket" not in other.said, other.said
                    print("  a worker without its credentials leaves the account to the one that has them, which says so")
                    with Worker(directory, "baileys.mjs", gateway, **life(ONLINE)):
                        eventually(lambda: status() == "connected", "its own worker is back")
                        assert session()["holder"] == "baileys-1"
                        # And one that shares them waits for its turn.
                        with Worker(directory, "baileys.mjs", gateway, log="twin.txt", WORKER="twin", **life(ONLINE)) as twin:
                            time.sleep(2)
                            assert "socket" not in twin.said and session()["holder"] == "baileys-1", twin.said
                        print("  two workers on one account: one socket")
            eventually(lambda: status() == "disconnected", "gone again")

            for name, code, message, reason, kept in [
                ("a ban", 403, "Connection Failure", {"code": 403, "text": "account locked"}, True),
                ("a logout on the phone", 401, "Stream Errored (conflict)", {"code": 401, "text": "logged out"}, False),
            ]:
                gateway.request("PATCH", gateway.path("support"), {"status": "initializing"})
                with Worker(directory, "baileys.mjs", gateway, **life(ONLINE + [[0.2, "close", code, message]])):
                    eventually(lambda: status() == "disconnected" and session().get("disconnectReason") == reason, name)
                    eventually(lambda: os.path.isdir(auth) == kept, f"what links the account after {name}")
                    print(f"  {name}: {reason['text']}, and what links the account is {'kept' if kept else 'removed'}")


def network():
    """30 accounts without a network don't open a socket all the time."""
    away = [[0, "close", 408, "WebSocket Error (getaddrinfo ENOTFOUND web.whatsapp.com)"]]
    with folder() as directory, Gateway() as gateway:
        workers_copy(directory)
        for number in range(30):
            gateway.create(f"account-{number}")
        with Worker(directory, "baileys.mjs", gateway, **{**life(away), "LONGEST_PAUSE": "60000"}) as worker:
            eventually(lambda: "socket 1 " in worker.said, "the first socket")
            time.sleep(1)
            first = worker.said.count("socket ")
            time.sleep(14)
            opened = worker.said.count("socket ")
        # One of 0.1 opened 30 in the first second, and 8 a second from then on.
        assert first <= 10 and 30 <= opened <= 135, (first, opened)
        assert all(session["status"] == "initializing" for session in gateway.request("GET", "/sessions")[1]["sessions"])
        print(f"  {first} sockets in the first second, {opened} in 15")


def whatsmeow():
    """The Go worker, through what happens to accounts."""
    pair = [[0, "QRChannelItem", {"Event": "code", "Code": "2@one"}], [0.3, "PairSuccess", {"ID": "447700900123:1@s.whatsapp.net", "BusinessName": "Ana"}],
            [0, "QRChannelItem", {"Event": "success"}], [0.2, "Connected", {}], [0.1, "PushNameSetting", {"Action": {"name": "Ana Souza"}}],
            [0, "Message", {"Text": "2@SECRET"}], [0, "Disconnected", {}], [0.2, "Connected", {}], [0.1, "KeepAliveTimeout", {"ErrorCount": 2}],
            [0.2, "KeepAliveRestored", {}]]
    online = [[0, "Connected", {}]]
    with folder() as directory:
        file = os.path.join(directory, "sessions.sqlite")
        for name in os.listdir(os.path.join(PACKAGE, "Workers", "whatsmeow")):
            shutil.copy(os.path.join(PACKAGE, "Workers", "whatsmeow", name), directory)
        with open(os.path.join(directory, "go.mod"), "a") as module:
            for name, path in [("go.mau.fi/whatsmeow", "whatsmeow"), ("github.com/mattn/go-sqlite3", "go-sqlite3")]:
                module.write(f"\nreplace {name} => {HERE}/fake-whatsmeow/{path}\n")
        environment = {**os.environ, "GOPROXY": "off", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
        for command in [["go", "vet", "."], ["go", "build", "-race", "-o", "worker", "."]]:
            subprocess.run(command, cwd=directory, env=environment, check=True)
        binary = os.path.join(directory, "worker")
        token = os.path.join(directory, "token")
        with open(os.open(token, os.O_CREAT | os.O_WRONLY, 0o600), "w") as written:
            written.write("correct-horse-battery")
        with Gateway("--file", file, "--lease", "5", "--token-file", token) as gateway:
            gateway.token = "correct-horse-battery"
            live = lambda *clients, **more: Worker(directory, binary, gateway, **{"GATEWAY_TOKEN": gateway.token, "LIFE": json.dumps(clients), **more})
            gateway.create("support")
            session = lambda: gateway.session("support")
            status = lambda: session()["status"]
            with live(pair, online) as worker:
                eventually(lambda: len(changes(file)) >= 7 and status() == "connected", "paired, lost and online again")
                assert changes(file) == ["initializing", "qr_waiting", "initializing", "connected", "initializing", "connected",
                                         "initializing", "connected"], changes(file)
                eventually(lambda: session().get("name") == "Ana Souza", "its name")
                assert session()["holder"] == "whatsmeow-1" and session()["phoneNumber"] == "447700900123", session()
                print("  first pairing, a lost line, and a link that was dead for a while")

                interruptions(gateway, worker, file, "client ")
                assert "blocked" not in worker.said and "DATA RACE" not in worker.said, worker.said
            eventually(lambda: status() == "disconnected", "the worker is gone")
            with live([[0, "Connected", {}]] + [[0, "Message", {"Text": "x"}]] * 2000 + [[0.3, "Disconnected", {}], [0, "Connected", {}]]) as worker:
                eventually(lambda: status() == "connected", "online")
                gateway.kill()
                time.sleep(1)
                gateway.start()
                eventually(lambda: status() == "connected", "online after the gateway was killed")
                assert "blocked" not in worker.said and "SECRET" not in worker.said, worker.said
                print("  thousands of messages and a gateway that is away never block its handler")
            for data, reason, kept in [
                (["TemporaryBan", {"Code": 101, "Expire": 0}], {"code": 101, "text": "temporarily banned"}, True),
                (["LoggedOut", {"OnConnect": True, "Reason": 401}], {"code": 401, "text": "logged out"}, False),
            ]:
                gateway.request("PATCH", gateway.path("support"), {"status": "initializing"})
                with live(online + [[0.3] + data]):
                    eventually(lambda: status() == "disconnected" and session().get("disconnectReason") == reason, reason["text"])
                    eventually(lambda: ("support" in json.load(open(os.path.join(directory, "accounts.json")))) == kept, "what is linked")
                    print(f"  {reason['text']}, and what links the account is {'kept' if kept else 'removed'}")
            gateway.request("POST", "/sessions/support/start")
            with live(pair, online, pair, online, log="orders.txt") as worker:
                eventually(lambda: status() == "connected", "its worker is back")
                orders(gateway, worker, file, lambda: "support" in json.load(open(os.path.join(directory, "accounts.json"))), "client ")
                # Another account, of which the phone may know nothing.
                worker.kill()
            eventually(lambda: not session().get("holder"), "gone")
            gateway.request("PATCH", gateway.path("support"), {"phoneNumber": "447700900123", "disconnectReason": None})
            with open(os.path.join(directory, "accounts.json"), "w") as linked:
                json.dump({"support": "447700900123:1@s.whatsapp.net"}, linked)
            device = os.path.join(directory, "447700900123:1@s.whatsapp.net")
            open(device, "w").close()
            gateway.request("POST", "/sessions/support/pair")
            with live(pair[:1], log="pair.txt") as worker:
                eventually(lambda: status() == "qr_waiting", "a code for another account")
                assert not os.path.exists(device) and "phoneNumber" not in session(), session()
                assert "DATA RACE" not in worker.said, worker.said
            print("  paired again: what linked it is forgotten, and a code shows")


def demo():
    """demo.mjs pairs its accounts, and two of them share them."""
    with folder() as directory:
        file = os.path.join(directory, "sessions.sqlite")
        workers_copy(directory)
        with Gateway("--file", file, "--lease", "5") as gateway:
            sessions = lambda: gateway.request("GET", "/sessions")[1]["sessions"]
            statuses = lambda: [session["status"] for session in sessions()]
            holders = lambda: {session.get("holder") for session in sessions()}
            with Worker(directory, "demo.mjs", gateway, SPEED="100", WORKER="one") as one:
                eventually(lambda: len(statuses()) == 6, "six accounts")
                seen = set()
                eventually(lambda: seen.update(statuses()) or {"qr_waiting", "connected"} <= seen, "codes and connections")
                gateway.create("mine")
                eventually(lambda: gateway.session("mine")["status"] == "qr_waiting", "a code for a session of a person's")
                print("  six accounts, and one that a person created")
                eventually(lambda: holders() == {"one"}, "all are served by one")
                with Worker(directory, "demo.mjs", gateway, log="two.txt", SPEED="100", WORKER="two"):
                    for number in range(6):
                        gateway.create(f"new-{number}")
                    eventually(lambda: None not in holders(), "every account is served")
                    held = {session["id"]: session["holder"] for session in sessions()}
                    time.sleep(3)
                    assert {session["id"]: session.get("holder") for session in sessions()} == held, "an account changed hands"
                    print(f"  two workers: each account is served by one ({sorted(held.values())}), and stays with it")
                    one.kill()
                    # Those that wait for a person don't need anybody.
                    eventually(lambda: all(session.get("holder") == "two" or not session["needsSocket"] for session in sessions()),
                               "the other takes them over")
                    assert "two" in holders(), sessions()
                    with sqlite3.connect(file) as database:
                        gone = database.execute(
                            "SELECT session_id, count(*) FROM session_changes WHERE status = 'disconnected' "
                            "AND disconnect_text = 'worker gone' GROUP BY session_id").fetchall()
                    assert gone and all(count == 1 for _, count in gone), gone
                    print("  one dies: each of its accounts is disconnected once, and taken over")


if __name__ == "__main__":
    for check in [baileys, lives, network, whatsmeow, demo]:
        if len(sys.argv) > 1 and check.__name__ not in sys.argv[1:]: continue
        print(f"{check.__name__}: {check.__doc__}", flush=True)
        check()
