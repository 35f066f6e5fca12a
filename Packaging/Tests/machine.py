"""A bare Debian that is booted on this machine, with systemd and no toolchain: what a package meets where it is installed."""
import os, shutil, subprocess, tempfile, time

# curl is what README's commands use; the rest is what a machine boots with.
PACKAGES = "apt,systemd,systemd-sysv,curl,ca-certificates,iproute2"


def root(suite, cache):
    """The files of a new installation, kept for the next machine."""
    archive = os.path.join(cache, f"{suite}.tar")
    if not os.path.exists(archive):
        # Debian's, unless another is named, as .ci/package does for Ubuntu.
        mirror = [os.environ["MIRROR"]] if "MIRROR" in os.environ else []
        subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", "--format=tar", f"--include={PACKAGES}", suite, archive + ".new", *mirror], check=True)
        os.rename(archive + ".new", archive)
    return archive


class Machine:
    """Shares the network of this one, and nothing else."""

    def __init__(self, suite, cache):
        self.folder = tempfile.mkdtemp(prefix="machine-")
        self.path = os.path.join(self.folder, "root")
        os.mkdir(self.path)
        subprocess.run(["tar", "-C", self.path, "-xf", root(suite, cache)], check=True)
        resolver = os.path.join(self.path, "etc/resolv.conf")
        # On Ubuntu it is a link.
        if os.path.lexists(resolver): os.unlink(resolver)
        shutil.copy("/etc/resolv.conf", resolver)
        self.boot()

    def boot(self):
        self.process = subprocess.Popen(
            ["systemd-nspawn", "--directory", self.path, "--boot", "--register=no", "--keep-unit", "--console=pipe", "--quiet", "--timezone=off"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 120
        self.init = None
        while time.monotonic() < end:
            children = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True).stdout.split()
            if children:
                self.init = children[0]
                state = self.run("systemctl", "is-system-running", check=False).strip()
                if state in ["running", "degraded"]: return
            assert self.process.poll() is None, "the machine does not boot: systemd-nspawn ended"
            time.sleep(0.2)
        raise AssertionError("the machine does not boot")

    def run(self, *command, check=True, directory="/root", **environment):
        """A command on the machine, as root; returns what it printed."""
        variables = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C.UTF-8", **environment}
        result = subprocess.run(
            ["nsenter", "--target", self.init, "--mount", "--pid", "--uts", "--ipc", "--root", f"--wd={self.path}{directory}", "--",
             "env", "-i", *(f"{name}={value}" for name, value in variables.items()), *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
        assert not check or result.returncode == 0, f"{' '.join(command)}:\n{result.stdout}"
        return result.stdout

    def bash(self, text, **options):
        return self.run("bash", "-euo", "pipefail", "-c", text, **options)

    def copy(self, source, target="/root/"):
        shutil.copy(source, self.path + target)

    def power_off(self):
        """As a machine that loses its power."""
        subprocess.run(["pkill", "-KILL", "-P", str(self.process.pid)])
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None: self.power_off()
        for _ in range(50):
            shutil.rmtree(self.folder, ignore_errors=True)
            if not os.path.exists(self.folder): return
            time.sleep(0.1)
