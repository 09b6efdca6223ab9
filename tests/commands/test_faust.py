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
    assert main.all_commands().keys() | {"worker", "send", "tables", "agents"} <= listed


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


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("send", "@nobody", "{}"), "there is no agent @nobody; `faust -A saga_app agents` lists them"),
        (("model", "Nothing"), "there is no record 'Nothing'; `faust -A saga_app models` lists them"),
        (
            ("--datadir", "elsewhere", "tables"),
            "--datadir has no effect here: set SAGA_DATA_DIR",
        ),
    ],
    ids=lambda words: words[0] if isinstance(words, tuple) else "",
)
def test_a_command_of_fausts_that_cannot_be_done_says_so_in_one_line(
    tmp_path: Path, words: tuple[str, ...], line: str
):
    done = run(tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].endswith(line) and "Traceback" not in done.stderr


def test_faust_lists_our_records_and_shows_one(tmp_path: Path):
    listed = run(tmp_path, "models")
    assert listed.returncode == 0 and "OrderPlaced" in listed.stdout and "PolicyChanged" in listed.stdout
    shown = run(tmp_path, "model", "FundsDeposited")
    assert set(json.loads(shown.stdout)["required"]) == {"deposit_id", "customer_id", "amount"}


def test_groups_have_their_commands_there_too(tmp_path: Path):
    done = run(tmp_path, "orderdb", "run", "--help")
    assert done.returncode == 0, done.stderr
    assert "orderdb run [OPTIONS]" in done.stdout
