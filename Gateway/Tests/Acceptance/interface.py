"""openapi.yaml against a real gateway, by schemathesis: python interface.py

It makes requests that the description allows, and others that it forbids, and checks each answer. Without /changes, which has no
end.
"""
import os, subprocess, sys
from gateway import PACKAGE, Gateway

HERE = os.path.dirname(os.path.abspath(__file__))

with Gateway() as gateway:
    sys.exit(subprocess.run([
        os.path.join(os.path.dirname(sys.executable), "schemathesis"),
        "--config-file", os.path.join(HERE, "schemathesis.toml"),
        "run", os.path.join(PACKAGE, "openapi.yaml"), "--url", gateway.url, "--exclude-path", "/changes",
        "--checks", "all", "--max-examples", "50", "--seed", "1", "--no-color",
    ]).returncode)
