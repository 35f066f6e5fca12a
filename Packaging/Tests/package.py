"""The package on a bare Debian, from its installation to its end: package.py FOLDER [SUITE]

FOLDER has what Packaging/build made. Needs root, and what the gateway's acceptance tests need.
"""
import glob, json, os, re, shutil, sqlite3, subprocess, sys, time

TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
sys.path.insert(0, os.path.join(TOP, "Gateway/Tests/Acceptance"))
import browser
from browser import Page
from gateway import eventually, folder
from machine import Machine
from readme import block
from selenium.webdriver.common.keys import Keys

ADDRESS = "http://127.0.0.1:3000"
STATE = "/var/lib/whatsapp-gateway"
OLD = os.path.join(TOP, "Tests/WhatsAppSessionsTests/Fixtures/releases/0.1.0/sessions.sqlite")
check = browser.check


class Service:
    """The gateway on a machine, as its operator and its clients see it."""

    def __init__(self, machine):
        self.machine = machine

    @property
    def token(self):
        return self.machine.run("cat", "/etc/whatsapp-gateway/token").strip()

    def ask(self, path, *options):
        return subprocess.run(["curl", "-sS", "--max-time", "20", "-H", f"Authorization: Bearer {self.token}", ADDRESS + path, *options],
                              capture_output=True, text=True).stdout

    def post(self, path, body):
        return json.loads(self.ask(path, "-H", "Content-Type: application/json", "-d", json.dumps(body)))

    def answers(self):
        return '"ok"' in self.ask("/health")

    def sessions(self):
        return {session["id"]: session for session in json.loads(self.ask("/sessions"))["sessions"]}

    @property
    def process(self):
        return int(self.machine.run("systemctl", "show", "-P", "MainPID", "whatsapp-gateway"))

    def state(self):
        return self.machine.run("systemctl", "is-active", "whatsapp-gateway", check=False).strip()

    def shows_code(self, page):
        """A person opens the page, gives it the token, and sees a code that a phone can read."""
        page.driver.get(ADDRESS)
        page.shows("#token", "Enter the gateway’s token")
        page.find("#token-text").send_keys(self.token + Keys.ENTER)
        page.shows("#list", "support")
        page.open_row("support")
        page.reads("2@code", "package")


def tokens(directory):
    """What makes the token, where there is something already."""
    make = lambda path: subprocess.run(["sh", os.path.join(TOP, "Packaging/make-token"), path], check=True)
    mode = lambda path: os.stat(path).st_mode & 0o777
    path, link = os.path.join(directory, "new/token"), os.path.join(directory, "link")
    make(path)
    first = open(path).read()
    make(path)
    check("a token stays as it is", open(path).read() == first and len(first) == 65 and mode(path) == 0o600)
    open(path, "w").close()
    with open(path + ".new", "w"): os.chmod(path + ".new", 0o666)
    make(path)
    check("an empty one is made anew, for its owner only", len(open(path).read()) == 65 and mode(path) == 0o600)
    os.symlink("/nowhere/token", link)
    make(link)
    check("a link to one elsewhere stays", os.path.islink(link))


def install(service, page, package):
    print("installation")
    machine = service.machine
    machine.copy(package)
    start = time.monotonic()
    said = machine.bash(re.sub(r"whatsapp-gateway_\S+\.deb", os.path.basename(package), block("install")), DEBIAN_FRONTEND="noninteractive")
    machine.bash(block("worker"))
    service.shows_code(page)
    seconds = time.monotonic() - start
    check(f"from apt-get to a code on the page: {seconds:.0f} s", seconds < 60)
    check("it says where the page is, and where its token", f"The gateway's page: {ADDRESS}\n" in said and "/etc/whatsapp-gateway/token" in said)
    check("the token is printed by nothing but README's own command", said.count(service.token) == 1 and said.strip().endswith(service.token))
    check("the token is long, and root's", len(service.token) == 64 and machine.run("stat", "-c", "%U %a", "/etc/whatsapp-gateway/token") == "root 600\n")
    listening = {line.split()[3] for line in machine.run("ss", "-Hltnp").splitlines() if "whatsapp" in line}
    check("it listens on loopback only", listening == {"127.0.0.1:3000"} or print(listening))


def confined(service):
    print("the service")
    machine = service.machine
    verdict = machine.run("systemd-analyze", "verify", "--man=no", "/lib/systemd/system/whatsapp-gateway.service", check=False)
    check("systemd finds nothing wrong with the unit", "whatsapp-gateway" not in verdict or print(verdict))
    exposure = re.search(r"exposure level for whatsapp-gateway.service: ([\d.]+)",
                         machine.run("systemd-analyze", "security", "--no-pager", "whatsapp-gateway")).group(1)
    check(f"its exposure is {exposure}", float(exposure) <= 1.5)
    status = machine.run("cat", f"/proc/{service.process}/status")
    user, capabilities = re.search(r"^Uid:\t(\d+)", status, re.M).group(1), re.search(r"^CapEff:\t(\w+)", status, re.M).group(1)
    check("it runs as a user that nobody else is, with no capability", int(user) >= 61184 and int(capabilities, 16) == 0)
    check("its files are its own", machine.run("stat", "-Lc", "%a", STATE).strip() == "700"
          and set(machine.bash(f"stat -c %a {STATE}/sessions.sqlite*").split()) == {"600"})
    log = machine.run("journalctl", "-u", "whatsapp-gateway", "-q")
    check("the log has no complaint", not re.search("rror|ailed", log) or print(log))
    machine.bash("source /usr/share/bash-completion/completions/whatsapp-gateway && complete -p whatsapp-gateway")
    options = set(re.findall(r"--([a-z-]+)", machine.run("whatsapp-gateway", "--help"))) - {"help", "version"}
    manual = machine.bash("zcat /usr/share/man/man1/whatsapp-gateway.1.gz")
    variables = {"GATEWAY_" + option.upper().replace("-", "_") for option in options - {"import", "export"}}
    check("the manual has every option and every variable, and completion is there",
          len(options) > 15 and all(f"Fl -{option}" in manual for option in options) and "subcommand" not in manual
          and set(re.findall(r"^\.It Ev (GATEWAY_\w+)$", manual, re.M)) == variables)
    said = machine.run("whatsapp-gateway", "--port", "0", "--database", "host=/nowhere", check=False)
    check("PostgreSQL is in it", "/nowhere" in said and "without PostgreSQL" not in said or print(said))


def pairing(service):
    print("a worker")
    environment = {**os.environ, "GATEWAY": ADDRESS, "GATEWAY_TOKEN": service.token, "WORKER": "stand-in", "SPEED": "40"}
    with open(os.devnull) as nothing:
        worker = subprocess.Popen(["node", os.path.join(TOP, "Gateway/Workers/demo.mjs")], env=environment, stdout=nothing, stderr=nothing)
    try:
        service.post("/sessions", {"id": "shop-berlin"})
        online = lambda: service.sessions().get("shop-berlin", {}).get("status") == "connected"
        eventually(online, "a stand-in worker pairs an account", 60)
        check("a stand-in worker pairs an account")
        process = service.process
        service.machine.run("systemctl", "restart", "whatsapp-gateway")
        eventually(service.answers, "it answers after a restart")
        check("a restart keeps sessions and the worker's lease", service.sessions()["shop-berlin"]["holder"] == "stand-in" and service.process != process)
        start = time.monotonic()
        service.machine.bash(f"kill -9 {service.process}")
        eventually(service.answers, "it comes back by itself")
        check(f"killed, it is back after {time.monotonic() - start:.1f} s")
        eventually(lambda: "shop-berlin" in service.sessions(), "the sessions are there")
    finally:
        worker.kill()
        worker.wait()


def settings(service, package):
    print("settings")
    machine = service.machine
    machine.bash("echo GATEWAY_PORT=what >>/etc/default/whatsapp-gateway && systemctl restart whatsapp-gateway")
    eventually(lambda: service.state() == "failed", "a setting that cannot be ends the service")
    status = machine.run("systemctl", "show", "-P", "ExecMainStatus", "whatsapp-gateway").strip()
    check("a setting that cannot be ends the service, for everyone to see", status == "64")
    said = machine.run("apt-get", "-y", "-qq", "install", "--reinstall", "./" + os.path.basename(package), DEBIAN_FRONTEND="noninteractive")
    check("an installation says that it doesn't run", "The gateway does not run: see journalctl" in said)
    machine.bash("sed -i '/GATEWAY_PORT=what/d' /etc/default/whatsapp-gateway && systemctl restart whatsapp-gateway")
    eventually(service.answers, "it is back")
    machine.bash("echo GATEWAY_PORT=3001 >>/etc/default/whatsapp-gateway && systemctl restart whatsapp-gateway")
    eventually(lambda: "ok" in machine.run("curl", "-s", "http://127.0.0.1:3001/health", check=False), "it serves where the settings say")
    check("the settings count")
    machine.bash("sed -i '/GATEWAY_PORT=3001/d' /etc/default/whatsapp-gateway && systemctl restart whatsapp-gateway")
    eventually(service.answers, "it is back")
    # As the guide hands over a secret.
    machine.bash("""
        mkdir -p /etc/systemd/system/whatsapp-gateway.service.d
        printf '%s\\n' '[Service]' LoadCredential=webhook:/etc/whatsapp-gateway/webhook >/etc/systemd/system/whatsapp-gateway.service.d/override.conf
        /usr/lib/whatsapp-gateway/make-token /etc/whatsapp-gateway/webhook
        printf '%s\\n' GATEWAY_WEBHOOK=http://127.0.0.1:9/hook GATEWAY_WEBHOOK_SECRET_FILE=/run/credentials/whatsapp-gateway.service/webhook >>/etc/default/whatsapp-gateway
        systemctl daemon-reload && systemctl restart whatsapp-gateway""")
    eventually(lambda: "whatsapp_webhook_lag_seconds" in service.ask("/metrics"), "a secret is handed over as the token is")
    check("a secret is handed over as the token is")
    machine.bash("""sed -i '/^GATEWAY_WEBHOOK/d' /etc/default/whatsapp-gateway
        rm -r /etc/systemd/system/whatsapp-gateway.service.d /etc/whatsapp-gateway/webhook
        systemctl daemon-reload && systemctl restart whatsapp-gateway""")
    eventually(service.answers, "it is back")


def backups(service):
    print("backup, and a file of 0.1.0")
    machine = service.machine
    before = service.sessions().keys()
    machine.bash("apt-get install -y -qq sqlite3 >/dev/null 2>&1", DEBIAN_FRONTEND="noninteractive")
    machine.bash(block("backup"), directory=STATE)
    service.post("/sessions", {"id": "later"})
    machine.run("systemctl", "stop", "whatsapp-gateway")
    machine.bash(block("restore"), directory=STATE)
    machine.run("systemctl", "start", "whatsapp-gateway")
    eventually(service.answers, "it serves the backup")
    check("a backup that root made and put back is served", service.sessions().keys() == before)
    machine.run("systemctl", "stop", "whatsapp-gateway")
    kept = f"{machine.path}/var/lib/private/whatsapp-gateway/sessions.sqlite"
    shutil.move(kept, kept + ".kept")
    shutil.copy(OLD, kept)
    with sqlite3.connect(f"file:{OLD}?immutable=1", uri=True) as database: old = {row[0] for row in database.execute("SELECT id FROM sessions")}
    machine.bash(f"chown --reference={STATE}/. {STATE}/sessions.sqlite && chmod 600 {STATE}/sessions.sqlite && systemctl start whatsapp-gateway")
    eventually(service.answers, "it serves a file of 0.1.0")
    check("a file of 0.1.0 is served, with every session", service.sessions().keys() == old and old)
    machine.run("systemctl", "stop", "whatsapp-gateway")
    machine.bash(f"cd {STATE} && rm -f sessions.sqlite-* && mv sessions.sqlite.kept sessions.sqlite && systemctl start whatsapp-gateway")
    eventually(service.answers, "it is back")


def database(service):
    print("PostgreSQL")
    machine = service.machine
    machine.run("apt-get", "-y", "-qq", "install", "postgresql", DEBIAN_FRONTEND="noninteractive")
    psql = lambda sql: machine.run("runuser", "-u", "postgres", "--", "psql", "-qXAtc", sql, directory="/")
    psql("CREATE ROLE gateway LOGIN PASSWORD 'correct-horse-battery'")
    psql("CREATE DATABASE sessions OWNER gateway TEMPLATE template0 ENCODING 'UTF8'")
    before = service.sessions().keys()
    machine.bash(block("package to postgresql").replace("PGPASSWORD=…", "PGPASSWORD=correct-horse-battery"))
    eventually(service.answers, "it serves from the database", 60)
    service.post("/sessions", {"id": "in-the-database"})
    check(f"the guide's commands move it to PostgreSQL {psql('SHOW server_version').split()[0]}", service.sessions().keys() == before | {"in-the-database"})
    seen = machine.run("cat", f"/proc/{service.process}/cmdline") + machine.run("journalctl", "-u", "whatsapp-gateway") + machine.run("cat", "/etc/default/whatsapp-gateway")
    check("the password is where only root reads it", "correct-horse" not in seen and machine.run("stat", "-c", "%U %a", "/etc/whatsapp-gateway/secrets") == "root 600\n")
    machine.bash(block("from postgresql"), directory=STATE, DATABASE="postgres://gateway@localhost/sessions", PGPASSWORD="correct-horse-battery")
    machine.bash("""systemctl stop whatsapp-gateway
        sed -i '/^GATEWAY_FILE=$/d; /^GATEWAY_DATABASE=/d; /^GATEWAY_REFUSED_FOLDER=/d' /etc/default/whatsapp-gateway && rm /etc/whatsapp-gateway/secrets
        rm -f sessions.sqlite-* && mv moved.sqlite sessions.sqlite && chown --reference=/var/lib/whatsapp-gateway/. sessions.sqlite
        systemctl start whatsapp-gateway""", directory=STATE)
    eventually(service.answers, "it is back")
    check("and back", service.sessions().keys() == before | {"in-the-database"})


def archive(service):
    print("the archive")
    machine = service.machine
    [packed] = glob.glob(os.path.join(sys.argv[1], "*-linux-*.tar.xz"))
    machine.bash("mkdir /root/archive")
    subprocess.run(["tar", "-C", machine.path + "/root/archive", "--strip-components=1", "-xJf", packed], check=True)
    machine.bash(block("archive"), directory="/root/archive")
    eventually(service.answers, "it serves", 60)
    check("the guide's commands make a service of the archive", len(service.token) == 64 and service.sessions() == {})


def newer(package, directory):
    """The next version: the same program with another number."""
    files = os.path.join(directory, "newer")
    subprocess.run(["dpkg-deb", "-R", package, files], check=True)
    control = os.path.join(files, "DEBIAN/control")
    text = open(control).read()
    open(control, "w").write(re.sub(r"^Version: (.*)$", r"Version: \1+next", text, flags=re.M))
    path = os.path.join(directory, "newer.deb")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-b", files, path], check=True, stdout=subprocess.DEVNULL)
    return path


def upgrade(service, package, directory):
    print("upgrade, removal, purge")
    machine = service.machine
    machine.bash("echo '# mine' >>/etc/default/whatsapp-gateway")
    token, sessions, process = service.token, service.sessions().keys(), service.process
    machine.copy(newer(package, directory))
    apt = lambda *words: machine.run("apt-get", "-y", "-qq", *words, DEBIAN_FRONTEND="noninteractive")
    said = apt("install", "./newer.deb")
    eventually(service.answers, "the new version answers")
    check("an upgrade keeps token, sessions and settings, and starts the new program", service.token == token
          and service.sessions().keys() == sessions and service.process != process
          and "# mine" in machine.run("cat", "/etc/default/whatsapp-gateway") and "asks for the token" not in said)
    apt("remove", "whatsapp-gateway")
    check("removed, it is ended, and its data stays", service.state() in ["inactive", "failed"] and not service.answers()
          and os.path.exists(machine.path + "/var/lib/private/whatsapp-gateway/sessions.sqlite")
          and machine.run("cat", "/etc/whatsapp-gateway/token").strip() == token)
    apt("install", "./" + os.path.basename(package))
    eventually(service.answers, "installed again, it answers")
    check("installed again, it goes on with what it had", service.token == token and service.sessions().keys() == sessions)
    # A machine that loses its power goes on when it is back.
    machine.power_off()
    machine.boot()
    eventually(service.answers, "it starts with the machine", 60)
    check("it starts with the machine, after its power was lost too", service.sessions().keys() == sessions)
    apt("purge", "whatsapp-gateway")
    left = machine.bash("find / -xdev -name '*whatsapp*' -not -path '/root/*' -not -path '/proc/*' -not -path '/var/log/journal/*' 2>/dev/null || true")
    check("purged, nothing is left", not left.strip() or print(left))


def main():
    [package] = glob.glob(os.path.join(sys.argv[1], "*.deb"))
    suite = sys.argv[2] if len(sys.argv) > 2 else "bookworm"
    cache = os.path.join(TOP, ".build-machines")
    os.makedirs(cache, exist_ok=True)
    print(f"{os.path.basename(package)} on {suite}")
    with folder() as directory, Machine(suite, cache) as machine:
        tokens(directory)
        service, page = Service(machine), Page(directory)
        try:
            assert not service.machine.run("sh", "-c", "command -v swift || true").strip()
            install(service, page, package)
            confined(service)
            database(service)
            if suite == "bookworm":
                pairing(service)
                settings(service, package)
                backups(service)
                upgrade(service, package, directory)
                archive(service)
        finally:
            page.driver.quit()
    print(f"{browser.checks} checks passed")


if __name__ == "__main__":
    main()
