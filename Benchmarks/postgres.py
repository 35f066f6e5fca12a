"""Measures sessions in PostgreSQL beside pgbench, on servers that it starts: python3 Benchmarks/postgres.py

As root, with Debian's postgresql and libpq-dev, after
swift build -c release --package-path Benchmarks --traits Postgres --scratch-path Benchmarks/.build-postgres

Everything runs on one machine: trust the ratios and the processor times, not the rates.
"""
import glob, json, os, re, shutil, subprocess, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
BINARY = os.path.join(HERE, ".build-postgres/release/Benchmarks")
PROGRAMS = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))[-1]
SECONDS = 6


def run(*command, user="postgres", **more):
    return subprocess.run(command, user=user, check=True, capture_output=True, text=True, cwd="/", **more).stdout


class Server:
    def __init__(self, folder, port):
        self.folder, self.port, self.data = folder, port, f"{folder}/{port}"

    def start(self):
        run(PROGRAMS + "/pg_ctl", "-D", self.data, "-w", "-l", self.data + ".log", "-o",
            f"-c port={self.port} -c listen_addresses= -c unix_socket_directories={self.folder} -c max_connections=200 "
            "-c shared_buffers=256MB -c max_wal_size=4GB", "start")
        self.process = int(open(self.data + "/postmaster.pid").readline())

    def stop(self):
        run(PROGRAMS + "/pg_ctl", "-D", self.data, "-m", "immediate", "stop")

    def query(self, sql, database="sessions"):
        return run("psql", "-XAtq", "-h", self.folder, "-p", str(self.port), "-d", database, "-c", sql).strip()

    @property
    def address(self):
        return f"host={self.folder} port={self.port} user=postgres dbname=sessions"

    @property
    def time(self):
        """The processor time of the server in seconds: of all its processes, and of those that have ended."""
        ticks = 0
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                fields = open(path).read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            process, parent = int(path.split("/")[2]), int(fields[1])
            if process == self.process: ticks += sum(map(int, fields[11:15]))
            elif parent == self.process: ticks += sum(map(int, fields[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")


def library(server, operation, callers, seconds=SECONDS, servers=()):
    """What the program says, and the microseconds that each server spent on an operation."""
    process = subprocess.Popen([BINARY, "postgres", server.address, operation, str(callers), str(seconds)], stdout=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    before = [server.time for server in servers]
    if line == "ready\n": line = process.stdout.readline()
    result = json.loads(line)
    result["servers"] = [(server.time - start) * 1e6 / max(1, result["count"]) for server, start in zip(servers, before)]
    assert process.wait() == 0
    return result


def pgbench(server, script, connections):
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file:
        os.chmod(file.name, 0o644)
        file.write(script)
        file.flush()
        before = server.time
        text = run(PROGRAMS + "/pgbench", "-n", "-M", "prepared", "-c", str(connections), "-j", "2", "-T", str(SECONDS), "-f", file.name,
                   "-h", server.folder, "-p", str(server.port), "sessions")
    count = int(re.search(r"transactions actually processed: (\d+)", text)[1])
    return count / SECONDS, (server.time - before) * 1e6 / count


# The same rows in a table without rules and journal.
UPDATE = """\\set n random(0, 999)
UPDATE plain SET name = 'Ana ' || :n, status_changed_at = :n WHERE id = 'session-' || :n
"""
SELECT = """\\set n random(0, 999)
SELECT * FROM whatsapp_sessions.sessions WHERE id = 'session-' || :n
"""


def main():
    folder = tempfile.mkdtemp(prefix="postgres-")
    shutil.chown(folder, "postgres")
    primary, standby = Server(folder, 5601), Server(folder, 5602)
    started = []
    try:
        run(PROGRAMS + "/initdb", "-D", primary.data, "-A", "trust", "-E", "UTF8", "--locale", "C.UTF-8")
        primary.start()
        started.append(primary)
        run("createdb", "-h", folder, "-p", "5601", "sessions")
        library(primary, "update", 1, 1)
        primary.query("CREATE TABLE plain (LIKE whatsapp_sessions.sessions INCLUDING INDEXES); "
                      "INSERT INTO plain SELECT * FROM whatsapp_sessions.sessions")
        print("| | callers | a second | pgbench | ratio | its primary, µs | client, µs | primary, µs | standby, µs |\n"
              "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
        for name in ["no standby", "synchronous standby"]:
            servers = [primary]
            if name != "no standby":
                run(PROGRAMS + "/pg_basebackup", "-D", standby.data, "-h", folder, "-p", "5601", "-R", "-c", "fast",
                    env={**os.environ, "PGAPPNAME": "standby"})
                with open(standby.data + "/postgresql.auto.conf", "a") as file:
                    file.write(f"\nprimary_conninfo = 'host={folder} port=5601 application_name=standby'\n")
                standby.start()
                started.append(standby)
                primary.query("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (standby)'")
                primary.query("SELECT pg_reload_conf()")
                while primary.query("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum'") != "1": time.sleep(0.1)
                servers.append(standby)
            for operation, callers in [("update", 1), ("update", 8), ("update", 32), ("update", 1000), ("create", 1000),
                                       ("get", 1), ("get", 32), ("get", 1000)]:
                # Three times in turns with pgbench; the median of the ratios.
                rounds = []
                for _ in range(3):
                    result = library(primary, operation, callers, servers=servers)
                    rate, other = result["count"] / result["seconds"], (0, 0)
                    if callers <= 32 and operation in ("update", "get"):
                        other = pgbench(primary, UPDATE if operation == "update" else SELECT, callers)
                    rounds.append((rate / other[0] if other[0] else rate, rate, other, result))
                ratio, rate, other, result = sorted(rounds, key=lambda each: each[0])[1]
                spent = " | ".join(f"{time:.0f}" for time in result["servers"]) + (" | –" if len(servers) == 1 else "")
                compared = f"{other[0]:,.0f} | {ratio:.2f} | {other[1]:.0f}" if other[0] else "– | – | –"
                print(f"| {operation}, {name} | {callers:,} | {rate:,.0f} | {compared} | {result['clientMicroseconds']:.0f} | {spent} |", flush=True)
        print()
        result = library(primary, "latency", 1, 20)
        print(f"A change of another host reaches a follower after {result['medianMilliseconds']:.0f} ms (median of {result['count']}).")
        before, idle = primary.time, time.monotonic()
        time.sleep(10)
        rest = (primary.time - before) / (time.monotonic() - idle)
        hosts = [subprocess.Popen([BINARY, "postgres", primary.address, "follow", "100", "20"], stdout=subprocess.PIPE, text=True)
                 for _ in range(4)]
        time.sleep(5)
        before, began = primary.time, time.monotonic()
        time.sleep(10)
        share = (primary.time - before) / (time.monotonic() - began) - rest
        clients = [json.loads(host.communicate()[0])["clientMicroseconds"] / 1e4 for host in hosts]
        print(f"4 idle hosts with 100 followers each take {share * 100:.1f} % of a core of the server, and "
              f"{max(clients):.1f} % of their own (the start included).")
    finally:
        for server in started: server.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
