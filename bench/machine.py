"""The machine on which a figure was measured, and the versions."""

import json
import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.environments import PEERS
from harness.postgres import binaries
from saga_app.local.jars import lock_file, read_lock
from saga_app.local.java import find_java


def machine() -> dict[str, Any]:
    """The machine in a few words."""
    models = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "memory": f"{memory / 2**30:.0f} GiB",
        "processor": models[0] if models else platform.machine(),
        "kernel": platform.release().split("-")[0],
    }


def versions() -> dict[str, str]:
    """Of everything that is measured, as its lock says."""
    kafka = next(jar.version for jar in read_lock(lock_file().read_text("utf-8")) if jar.name == "kafka_2.13")
    java = subprocess.run([find_java(), "-version"], capture_output=True, text=True, check=True).stderr
    return {
        "kafka": kafka,
        "java": re.findall(r'"(.*?)"', java)[0],
        "python": platform.python_version(),
        "faust-streaming": version("faust-streaming"),
        "confluent-kafka": version("confluent-kafka"),
        "quixstreams": locked("quix", "quixstreams"),
    }


def engines() -> dict[str, str]:
    """The same of what `scripts/bench --engines` measures, and of the PostgreSQL that is here."""
    npm = json.loads((PEERS / "restate.lock.json").read_text("utf-8"))["packages"]
    folder = binaries()
    here = [str(folder / "postgres"), "-V"] if folder else ["echo", "no server none"]
    said = subprocess.run(here, capture_output=True, text=True, check=True).stdout
    return {
        **{name: version for name, version in versions().items() if name in ("kafka", "java", "python")},
        "restate-server": npm["node_modules/@restatedev/restate-server"]["version"],
        "restate-sdk": locked("restate", "restate-sdk"),
        "dbos": locked("dbos", "dbos"),
        "postgresql": said.split()[2],
    }


def locked(peer: str, package: str) -> str:
    """The version of a package in a peer's lock file."""
    found = re.search(rf"^{package}==(\S+)", (PEERS / f"{peer}.lock").read_text("utf-8"), re.MULTILINE)
    assert found, f"{peer}.lock has no {package}"
    return found[1]
