"""The image in a real container: image.py FOLDER

FOLDER has what Packaging/image made. Needs root, podman and runc; Docker takes the same file.
"""
import glob, json, os, re, sqlite3, subprocess, sys, time

TOP = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
sys.path.insert(0, os.path.join(TOP, "Gateway/Tests/Acceptance"))
import browser
from browser import Page
from gateway import eventually, folder
from package import Service
from readme import block

check = browser.check
# The network is this machine's, and so are the limits: those that podman would set by itself aren't ours to set everywhere.
HERE = ["--network=host", "--ulimit=nofile=20000:20000", "--ulimit=nproc=4096:4096", "--no-healthcheck"]


class Container(Service):
    """The gateway in a container, with the network of this machine."""

    def __init__(self, engine, *options, arguments=(), id=None):
        self.engine, self.options, self.arguments, self.id = engine, options, arguments, id
        if not id: self.start()

    def start(self):
        self.id = self.engine("run", "--detach", *HERE, "--cap-drop=all", "--security-opt=no-new-privileges", "--volume=gateway:/data",
                              *self.options, self.image, *self.arguments).strip()

    image = None

    @property
    def token(self):
        return self.engine("exec", self.id, "cat", "/data/token").strip()

    def log(self):
        return self.engine("logs", self.id)

    def state(self, what):
        return self.engine("inspect", "--format", what, self.id).strip()

    def remove(self):
        self.engine("rm", "--force", self.id)


def manifest(archive):
    print("the archive")
    described = json.loads(subprocess.run(["skopeo", "inspect", f"docker-archive:{archive}"], check=True, capture_output=True, text=True).stdout)
    config = json.loads(subprocess.run(["skopeo", "inspect", "--raw", "--config", f"docker-archive:{archive}"], check=True, capture_output=True, text=True).stdout)
    settings = config["config"]
    check("it is for Linux, and says its version", config["os"] == "linux" and described["Labels"]["org.opencontainers.image.version"] in archive)
    check("it runs as a user without rights, with one folder for its data", settings["User"] == "10001:10001" and list(settings["Volumes"]) == ["/data"])
    check("an engine can see whether it is well", settings["Healthcheck"]["Test"][-1] == "/usr/lib/whatsapp-gateway/is-healthy")
    check("it has no secret among its settings", not re.search("TOKEN|PASSWORD|SECRET", json.dumps(settings)))
    check("it is ended by SIGTERM", settings["StopSignal"] == "SIGTERM")
    files = subprocess.run(["bash", "-euo", "pipefail", "-c", f"tar -xOf '{archive}' layer.tar.gz | tar -tvz"], check=True, capture_output=True, text=True).stdout
    paths = {line.split()[5] for line in files.splitlines()}
    check("it has no token, and nothing of the machine that made it", "usr/bin/whatsapp-gateway" in paths
          and not paths & {"etc/whatsapp-gateway/token", "etc/hostname", "etc/resolv.conf", "package.deb"})
    check("no program in it runs as its owner", not re.search(r"^-..s|^-.....s", files, re.M))
    sources = subprocess.run(["bash", "-euo", "pipefail", "-c", f"tar -xOf '{archive}' layer.tar.gz | tar -xzO etc/apt/sources.list"], check=True, capture_output=True, text=True).stdout
    check("Debian's security updates were in reach", "bookworm-security" in sources)


def serves(engine, page, folder):
    print("README's command")
    # In place of Docker, whose archive, options and commands podman takes.
    with open(os.path.join(folder, "docker"), "w") as file:
        file.write(f'#!/bin/bash\ncommand=$1; shift\n[ "$command" != run ] || set -- {" ".join(HERE)} "$@"\nexec {" ".join(engine.command)} "$command" "$@"\n')
        os.chmod(file.name, 0o755)

    def paste(name, directory):
        said = subprocess.run(["bash", "-euo", "pipefail", "-c", block(name)], cwd=directory, capture_output=True, text=True,
                              env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})
        assert said.returncode == 0, said.stdout + said.stderr
        return said.stdout

    start = time.monotonic()
    said = paste("docker", sys.argv[1])
    container = Container(engine, "--read-only", id="gateway")
    try:
        eventually(lambda: container.answers(), "it answers")
        check("it says the token", said.strip().endswith(container.token) and len(container.token) == 64)
        subprocess.run(["bash", "-euc", f'''G=http://127.0.0.1:3000; A="Authorization: Bearer {container.token}"
            curl -sf $G/sessions -H "$A" -H "Content-Type: application/json" -d '{{"id": "support"}}' -o /dev/null
            curl -sf $G/sessions/support/events -H "$A" -H "Content-Type: application/json" \\
                -d '{{"event": "connection.update", "data": {{"qr": "2@code"}}}}' -o /dev/null'''], check=True)
        container.shows_code(page)
        check(f"from docker run to a code on the page: {time.monotonic() - start:.0f} s")
        check("the log says where the token is, and not what it is", "/data/token" in container.log() and container.token not in container.log())
        paste("container backup", folder)
        with sqlite3.connect(os.path.join(folder, "backup.sqlite")) as database:
            check("the guide's backup of a container has its sessions", database.execute("SELECT id FROM sessions").fetchall() == [("support",)])
        check("the gateway is the first process", "whatsapp-gateway" in engine("exec", container.id, "cat", "/proc/1/cmdline").split("\0")[0])
        status = engine("exec", container.id, "cat", "/proc/1/status")
        check("it runs as 10001, with no capability", "Uid:\t10001" in status and int(re.search(r"CapEff:\t(\w+)", status).group(1), 16) == 0)
        failed = subprocess.run([*engine.command, "exec", container.id, "touch", "/etc/x"], capture_output=True, text=True)
        check("it can write nowhere but in its folder", failed.returncode != 0 and "Read-only" in failed.stderr)
        check("it is well, says the image's own check", engine.succeeds("exec", container.id, "/usr/lib/whatsapp-gateway/is-healthy"))
        check("and a port where nobody answers is not", not engine.succeeds("exec", "--env=GATEWAY_PORT=3009", container.id, "/usr/lib/whatsapp-gateway/is-healthy"))
        token, start = container.token, time.monotonic()
        engine("stop", "--time=30", container.id)
        seconds = time.monotonic() - start
        check(f"SIGTERM ends it, in {seconds:.1f} s and with status 0", seconds < 10 and container.state("{{.State.ExitCode}}") == "0")
        container.remove()
        container.start()
        eventually(lambda: container.answers(), "it answers again")
        check("the sessions and the token are there after the container is made anew",
              "support" in container.sessions() and container.token == token)
    finally:
        container.remove()


def secrets(engine, directory):
    print("secrets as files")
    path = os.path.join(directory, "secret-token")
    with open(path, "w") as file:
        file.write("correct-horse-battery\n")
    os.chmod(path, 0o444)
    engine("secret", "create", "token", path)
    # runc cannot make the place for a secret in a root that podman made read-only.
    container = Container(engine, "--secret=token,uid=10001,mode=0444", arguments=["--port", "3001"])
    try:
        ask = lambda token: subprocess.run(["curl", "-s", "-o", os.devnull, "-w", "%{http_code}", "-H", f"Authorization: Bearer {token}",
                                            "http://127.0.0.1:3001/sessions"], capture_output=True, text=True).stdout
        eventually(lambda: ask("correct-horse-battery") == "200", "it takes the token of a secret")
        check("it takes the token of a secret, and no other", ask("correct-horse-batterz") == "401")
    finally:
        container.remove()
    said = engine("run", "--rm", *HERE, "--volume=fresh:/data", Container.image, "--version")
    check("asked for its version it makes no token", said.strip() in Container.image and "token" not in said)
    container = Container(engine, arguments=["--port", "what"])
    eventually(lambda: container.state("{{.State.Status}}") == "exited", "it ends")
    check("a setting that cannot be ends it with a sentence", "port" in container.log() and container.state("{{.State.ExitCode}}") != "0")
    container.remove()


class Engine:
    def __init__(self, directory):
        self.command = ["podman", "--root", os.path.join(directory, "store"), "--runroot", os.path.join(directory, "run"),
                        "--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--runtime=runc"]

    def __call__(self, *words):
        result = subprocess.run([*self.command, *words], capture_output=True, text=True)
        assert result.returncode == 0, f"podman {' '.join(words)}:\n{result.stdout}{result.stderr}"
        return result.stdout + (result.stderr if words[0] == "logs" else "")

    def succeeds(self, *words):
        return subprocess.run([*self.command, *words], capture_output=True).returncode == 0


def main():
    [archive] = glob.glob(os.path.join(sys.argv[1], "*-image-*.tar"))
    with folder() as directory:
        manifest(archive)
        engine = Engine(directory)
        Container.image = "whatsapp-gateway:" + re.search(r"gateway-([\d.]+)-image", archive).group(1)
        page = Page(directory)
        try:
            serves(engine, page, directory)
            secrets(engine, directory)
        finally:
            page.driver.quit()
            subprocess.run([*engine.command, "rm", "--all", "--force"], capture_output=True)
    print(f"{browser.checks} checks passed")


if __name__ == "__main__":
    main()
