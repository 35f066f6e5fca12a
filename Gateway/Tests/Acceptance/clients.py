"""The client for Node as the package that npm makes of it, its types, and a client for Python: python3 clients.py"""
import json, os, re, subprocess, sys
import yaml
from gateway import PACKAGE, Gateway, eventually, folder

WORKERS = os.path.join(PACKAGE, "Workers")
README = open(os.path.join(WORKERS, "README.md"), encoding="utf-8").read()
TYPES = open(os.path.join(WORKERS, "gateway.d.mts"), encoding="utf-8").read()
API = yaml.safe_load(open(os.path.join(PACKAGE, "openapi.yaml"), encoding="utf-8"))
# What a worker in TypeScript would write; the mistakes must be refused, or the types say nothing.
TYPED = """
import { Gateway, lost, type Follower, type Session, type SessionEvent } from "whatsapp-gateway-client";
const gateway = new Gateway("eu-1");
const event: SessionEvent = { status: "qr_waiting", qrCode: "2@code" };
const follower: Follower = { all: (sessions) => sessions.map((s) => s.needsSocket), changed: (s) => s.linked, deleted: (id) => id.length, over: () => {} };
async function serve(session: Session): Promise<string | undefined> {
  if (!gateway.isFree(session) || !(await gateway.claim(session.id))) return undefined;
  const answer = await gateway.report(session.id, "session", event, Date.now());
  if (answer === lost || answer === null || answer === undefined) return undefined;
  const raw: Response = await gateway.request("GET", "/workers");
  return raw.ok ? answer.disconnectReason?.text : gateway.url + gateway.worker;
}
serve; gateway.follow(follower);
await gateway.report("a", "connection.update", { qr: "2@code" });
// @ts-expect-error a status that isn't one
const wrong: SessionEvent = { status: "online" };
// @ts-expect-error the session may be gone
(await gateway.report("a", "session", {})).id;
// @ts-expect-error a worker has a name
new Gateway();
"""


def run(*command, **options):
    result = subprocess.run(command, capture_output=True, text=True, **options)
    assert result.returncode == 0, f"{' '.join(command)}:\n{result.stdout}{result.stderr}"
    return result.stdout


def package():
    """The package holds what README uses, has no dependencies, and its types are those of its code."""
    with folder() as directory:
        [packed] = json.loads(run("npm", "pack", "--json", "--pack-destination", directory, cwd=WORKERS))
        names = {file["path"] for file in packed["files"]}
        assert names == {"gateway.mjs", "gateway.d.mts", "baileys.mjs", "demo.mjs", "package.json", "README.md", "LICENSE"}, names
        version = API["info"]["version"]
        assert packed["filename"] == f"whatsapp-gateway-client-{version}.tgz" and packed["filename"] in README, packed["filename"]
        run("npm", "install", "--offline", "--no-audit", "--no-fund", "./" + packed["filename"], cwd=directory)

        with open(os.path.join(directory, "worker.mts"), "w") as file: file.write(TYPED)
        with open(os.path.join(directory, "package.json"), "w") as file: file.write('{"type": "module"}')
        run("tsc", "--noEmit", "--strict", "--target", "es2022", "--module", "node16", "--moduleResolution", "node16", "worker.mts", cwd=directory)
        described = set(re.search(r"export interface Session \{(.*?)\n\}", TYPES, re.S).group(1).split("\n"))
        fields = {match.group(1) for line in described if (match := re.match(r"  (\w+)\??:", line))}
        schema = API["components"]["schemas"]["Session"]
        assert fields == schema["properties"].keys(), fields ^ schema["properties"].keys()
        assert set(schema["required"]) == {match.group(1) for line in described if (match := re.match(r"  (\w+):", line))}, schema["required"]
        methods = set(re.findall(r"^  (\w+)\(.*\): ", TYPES.split("export class Gateway")[1], re.M))
        found = run("node", "--input-type=module", "-e", "import { Gateway } from 'whatsapp-gateway-client';"
                    "console.log(Object.getOwnPropertyNames(Gateway.prototype).join(' '))", cwd=directory)
        assert methods == set(found.split()) - {"constructor"}, (methods, found)

        # README's own program.
        with open(os.path.join(directory, "readme.mjs"), "w") as file:
            file.write(re.search(r"<!-- client -->\n```js\n(.*?)```", README, re.S).group(1))
        with Gateway() as gateway:
            gateway.create("support")
            worker = subprocess.Popen(["node", "readme.mjs"], cwd=directory, env={**os.environ, "GATEWAY": gateway.url},
                                      stdout=subprocess.PIPE, text=True)
            eventually(lambda: gateway.session("support").get("phoneNumber") == "447700900123", "README's program reports a number")
            assert gateway.session("support")["holder"] == "eu-1"
            gateway.request("DELETE", "/sessions/support")
            assert worker.stdout.readline() == "close the socket of support\n"
            worker.kill()
            worker.wait()
        print(f"  {packed['filename']}, {packed['size']} bytes")


def python():
    """The three lines of README list the sessions."""
    with folder() as directory, Gateway() as gateway:
        gateway.create("support")
        os.symlink(os.path.join(PACKAGE, "openapi.yaml"), os.path.join(directory, "openapi.yaml"))
        run(sys.executable, "-m", "venv", "venv", cwd=directory)
        commands = re.search(r"```sh\n(pip install openapi.*?)```", README, re.S).group(1)
        commands = commands.replace("http://127.0.0.1:3000", gateway.url)
        environment = {**os.environ, "PATH": f"{directory}/venv/bin:{os.environ['PATH']}"}
        said = run("bash", "-euc", commands, cwd=directory, env=environment)
        assert "id='support'" in said, said
        print("  made, and it lists a session")


if __name__ == "__main__":
    for check in [package, python]:
        if len(sys.argv) > 1 and check.__name__ not in sys.argv[1:]: continue
        print(f"{check.__name__}: {check.__doc__}", flush=True)
        check()
