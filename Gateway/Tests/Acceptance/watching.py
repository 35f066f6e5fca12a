"""Alerts and dashboard: Prometheus takes them, and each number in them is one that the gateway serves: python3 watching.py"""
import json, os, re, subprocess
from gateway import PACKAGE, Gateway, folder

WATCHING = os.path.normpath(os.path.join(PACKAGE, "../Packaging/watching"))
NAMES = r"\bwhatsapp_[a-z_]+"


def promtool(*words):
    result = subprocess.run(["promtool", *words], cwd=WATCHING, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def main():
    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts-test.yml")
    alerts = open(os.path.join(WATCHING, "alerts.yml"), encoding="utf-8").read()
    tested = open(os.path.join(WATCHING, "alerts-test.yml"), encoding="utf-8").read()
    article = open(os.path.join(PACKAGE, "Guide.docc/Watching.md"), encoding="utf-8").read()
    names = re.findall(r"- alert: (\w+)", alerts)
    assert len(names) == 7 and set(names) == set(re.findall(r"alertname: (\w+)", tested)) == set(re.findall(r"^\| `([A-Z]\w+)` \|", article, re.M)), names

    dashboard = json.load(open(os.path.join(WATCHING, "grafana.json"), encoding="utf-8"))
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    with folder() as directory:
        rules = os.path.join(directory, "dashboard.yml")
        with open(rules, "w") as file:
            json.dump({"groups": [{"name": "dashboard", "rules": [{"record": f"panel:{n}", "expr": text} for n, text in enumerate(expressions)]}]}, file)
        promtool("check", "rules", rules)

    with Gateway("--webhook", "http://127.0.0.1:9/hook") as gateway:
        gateway.create("support")
        served = set(re.findall(r"^# TYPE (\w+)", gateway.request("GET", "/metrics")[1].decode(), re.M))
    used = set(re.findall(NAMES, "\n".join([alerts.replace("whatsapp-gateway", ""), *expressions])))
    assert used <= served, f"nobody serves {used - served}"
    described = served_names(article)
    assert described == served, described ^ served
    print(f"{len(names)} alerts and {len(expressions)} panels, on {len(used)} of {len(served)} metrics")


def served_names(article):
    return set(re.findall(r"^\| `(whatsapp_[a-z_]+)[`{]", article, re.M))


if __name__ == "__main__":
    main()
