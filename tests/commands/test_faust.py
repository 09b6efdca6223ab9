"""The same commands as `faust -A saga_app X`, beside Faust's own."""

import json
import os
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from saga_app.commands import main
from tests.live.worker import environment, faust


def run(folder: Path, *words: str) -> "CompletedProcess[str]":
    return faust(*words, env={**environment("127.0.0.1:1", folder, 6066), "PATH": os.environ["PATH"]})


def test_faust_lists_our_commands_and_its_own(tmp_path: Path):
    text = run(tmp_path, "--help").stdout
    listed = {line.split()[0] for line in text.split("Commands:")[1].splitlines() if line.strip()}
    assert main.commands.keys() | {"worker", "send", "tables", "agents"} <= listed


@pytest.mark.parametrize("words", [["settings", "--json"], ["--json", "settings"]], ids=" ".join)
def test_json_is_asked_for_behind_the_command_or_before_it(tmp_path: Path, words: list[str]):
    done = run(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["value"] == "127.0.0.1:1"


def test_wrong_input_has_the_same_line_and_exit_code(tmp_path: Path):
    done = run(tmp_path, "place", "--order-id", "1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "saga: invalid: amount is required unless every line has a unit_price"
    ]


def test_groups_have_their_commands_there_too(tmp_path: Path):
    done = run(tmp_path, "orderdb", "run", "--help")
    assert done.returncode == 0, done.stderr
    assert "orderdb run [OPTIONS]" in done.stdout
