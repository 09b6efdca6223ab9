"""An environment of its own for each peer, below `.run/bench`: made once, from lock files with hashes."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from saga_app.local import jars
from saga_app.local.errors import LocalKafkaError
from saga_app.local.java import find_java

ROOT: Final = Path(__file__).parent.parent
HOME: Final = ROOT / ".run" / "bench"
PEERS: Final = Path(__file__).parent / "peers"

Say = Callable[[str], None]


class NotToBeHad(Exception):
    """A peer that cannot be installed on this machine; the message says why."""


def python(peer: str, say: Say) -> str:
    """The interpreter of the environment that `peers/PEER.lock` describes. Raises NotToBeHad."""
    lock, folder = PEERS / f"{peer}.lock", HOME / "environments" / peer
    interpreter, made_from = folder / "bin" / "python", folder / "made-from.lock"
    if not (made_from.exists() and made_from.read_bytes() == lock.read_bytes() and interpreter.exists()):
        say(f"installing {peer} into {folder.relative_to(ROOT)} ...")
        _run([sys.executable, "-m", "venv", "--clear", str(folder)])
        install = [str(interpreter), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        _run([*install, "--only-binary", ":all:", "--require-hashes", "-r", str(lock)])
        # Last, since it says that all before it was done.
        made_from.write_bytes(lock.read_bytes())
    return str(interpreter)


def npm(peer: str, package: str, say: Say) -> Path:
    """The folder of a package from npm, of the environment that `peers/PEER.lock.json` describes. Raises NotToBeHad."""
    lock, folder = PEERS / f"{peer}.lock.json", HOME / "environments" / f"{peer}-npm"
    made_from = folder / "made-from.lock"
    if not (made_from.exists() and made_from.read_bytes() == lock.read_bytes()):
        say(f"installing {package} into {folder.relative_to(ROOT)} ...")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package-lock.json").write_bytes(lock.read_bytes())
        (folder / "package.json").write_text(json.dumps(json.loads(lock.read_text("utf-8"))["packages"][""]))
        # Without scripts: one of them would tell others that it was installed.
        _run(
            [
                "npm",
                "ci",
                "--omit=dev",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--prefix",
                str(folder),
            ]
        )
        made_from.write_bytes(lock.read_bytes())
    return folder / "node_modules" / package


def streams(say: Say) -> list[str]:
    """The Java command that runs `peers/Streams.java`, compiled if it has changed. Raises NotToBeHad."""
    locks = (jars.LOCK, PEERS / "streams.lock.toml")
    wanted = [jar for lock in locks for jar in jars.read_lock(lock.read_text("utf-8"))]

    def fetching(_: str) -> None:
        say("fetching Kafka Streams, RocksDB for Java and a compiler, about 76 MB, once per user ...")

    try:
        java, found = str(find_java()), jars.locked_jars(jars=wanted, say=fetching)
    except LocalKafkaError as error:
        raise NotToBeHad(str(error)) from error
    source = PEERS / "Streams.java"
    classes = HOME / "environments" / f"streams-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}"
    classpath = os.pathsep.join(map(str, found))
    if not (classes / "Streams.class").exists():
        say("compiling Streams.java ...")
        compiler = next(str(jar) for jar in found if jar.name.startswith("ecj-"))
        _run([java, "-jar", compiler, "-proc:none", "-17", "-cp", classpath, "-d", str(classes), str(source)])
    return [java, "-Xmx1g", "-cp", os.pathsep.join([str(classes), classpath]), "Streams"]


def _run(command: Sequence[str]) -> None:
    try:
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except FileNotFoundError as error:
        raise NotToBeHad(f"{command[0]} is not here") from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines()[-3:]
        raise NotToBeHad(f"{' '.join(command[:4])} ... failed: {' '.join(said)}") from error
