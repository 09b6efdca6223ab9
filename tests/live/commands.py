"""`saga` commands on a scene, as people type them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from harness.ports import free_port
from harness.process import ROOT
from harness.scene import Scene
from harness.worker import environment

SAGA = str(Path(sys.executable).with_name("saga"))


class CommandResult(NamedTuple):
    """The exit code and the output of a command."""

    code: int
    out: str
    error: str


def start(scene: Scene, *words: str, **settings: str) -> "subprocess.Popen[str]":
    """Starts one command, as people type it."""
    more = {"SAGA_APP_ID": scene.app_id, **settings}
    env = environment(scene.broker, scene.folder / "nothing", free_port(), **more)
    pipe = subprocess.PIPE
    return subprocess.Popen([SAGA, *words], env=env, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)


def saga(scene: Scene, *words: str, **settings: str) -> CommandResult:
    """One command and its end."""
    process = start(scene, *words, **settings)
    out, error = process.communicate(timeout=120)
    return CommandResult(process.returncode, out, error)


def invariants(done: CommandResult) -> dict[str, Any]:
    """The lines of `saga audit --json`, by invariant."""
    return {line["invariant"]: line for line in map(json.loads, done.out.splitlines())}
