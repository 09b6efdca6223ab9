"""The same commands as `faust -A saga_app X`, beside Faust's own."""

import json
import os
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from faust.cli.faust import cli

from harness.log import everything
from harness.worker import environment, faust
from saga_app import topics, wire
from saga_app.commands import main
from saga_app.core.records import FundsDeposited, Record
from saga_app.local.broker import Broker
from tests.commands.dead_letter_topic import PARTITIONS, Saga

#: How each command of Faust's documentation is tried below.
TRIED = {
    "agents": "test_a_command_of_fausts_works",
    "clean-versions": "test_a_command_of_fausts_works",
    "completion": "test_completion_prints_the_script_of_the_shell",
    "livecheck": "test_a_command_of_fausts_that_cannot_be_done_says_so_in_one_line",
    "model": "test_a_record_is_shown_as_faust_shows_a_model",
    "models": "test_the_records_are_listed_as_fausts_models",
    "reset": "test_a_command_of_fausts_works",
    "send": "test_send_checks_a_value_whose_record_is_named",
    "tables": "test_a_command_of_fausts_works",
    "worker": "tests/engine/faust",
}


def run(folder: Path, *words: str, broker: str = "127.0.0.1:1", **env: str) -> "CompletedProcess[str]":
    return faust(*words, env={**environment(broker, folder, 6066), "PATH": os.environ["PATH"], **env})


def test_faust_lists_our_commands_and_its_own(tmp_path: Path):
    text = run(tmp_path, "--help").stdout
    listed = {line.split()[0] for line in text.split("Commands:")[1].splitlines() if line.strip()}
    assert main.all_commands().keys() | {"worker", "send", "tables", "agents"} <= listed


def test_every_command_of_fausts_is_tried_here():
    """`cli` has ours too once an application was made in this process."""
    assert cli.commands.keys() - main.all_commands().keys() == TRIED.keys()
    assert all(name in globals() or Path(name).is_dir() for name in TRIED.values())


@pytest.mark.parametrize("words", [["settings", "--json"], ["--json", "settings"]], ids=" ".join)
def test_json_is_asked_for_behind_the_command_or_before_it(tmp_path: Path, words: list[str]):
    done = run(tmp_path, *words)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["value"] == "127.0.0.1:1"


def test_wrong_input_has_the_same_line_and_exit_code(tmp_path: Path):
    done = run(tmp_path, "place", "--order-id", "1")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "saga: invalid: amount is required unless every line has a unit_price or a total"
    ]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("send", "@nobody", "{}"), "there is no agent @nobody; `faust -A saga_app agents` lists them"),
        (
            ("send", "-V", "Nothing", "@checkout", "{}"),
            "no record 'Nothing'; `faust -A saga_app models` lists them",
        ),
        (
            ("send", "-K", "OrderPlaced", "@checkout", "{}"),
            "--key-type has no effect here: a key is plain text, given with --key",
        ),
        (("model", "Nothing"), "there is no record 'Nothing'; `faust -A saga_app models` lists them"),
        (("--datadir", "elsewhere", "tables"), "--datadir has no effect here: set SAGA_DATA_DIR"),
        (("worker", "--web-bind", "0.0.0.0"), "--web-bind has no effect here: set SAGA_WEB_BIND"),
        (("worker", "-h", "example.org"), "--web-host has no effect here: set SAGA_WEB_URL"),
        (
            ("livecheck",),
            "`saga doctor` checks that everything runs, `saga audit` that nothing is lost",
        ),
    ],
    ids=lambda words: "-".join(words[:2]) if isinstance(words, tuple) else "",
)
def test_a_command_of_fausts_that_cannot_be_done_says_so_in_one_line(
    tmp_path: Path, words: tuple[str, ...], line: str
):
    done = run(tmp_path, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].endswith(line) and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("agents", "@checkout"),
        ("tables", "reservations"),
        ("clean-versions", ""),
        ("reset", "Removing database for table orders"),
    ],
)
def test_a_command_of_fausts_works(tmp_path: Path, command: str, told: str):
    done = run(tmp_path, command)
    assert done.returncode == 0 and told in done.stdout and "Traceback" not in done.stderr


def test_the_records_are_listed_as_fausts_models(tmp_path: Path):
    names = {record.__name__ for record in Record.__args__}
    listed = run(tmp_path, "models")
    assert listed.returncode == 0 and listed.stdout.startswith("+Models")
    assert {line.split()[1] for line in listed.stdout.splitlines()[3:-1]} == names
    assert {each["name"] for each in json.loads(run(tmp_path, "--json", "models").stdout)} == names


def test_a_record_is_shown_as_faust_shows_a_model(tmp_path: Path):
    shown = run(tmp_path, "model", "OrderPlaced").stdout
    rows = {line.split("|")[1].strip(): line for line in shown.splitlines() if line.startswith("|")}
    assert shown.startswith("+OrderPlaced") and {"field", "order_id", "amount", "lines"} <= rows.keys()
    assert rows["order_id"].split("|")[3].strip() == "*" and "list of PricedLine" in rows["lines"]
    schema = json.loads(run(tmp_path, "--json", "model", "FundsDeposited").stdout)
    assert set(schema["required"]) == {"deposit_id", "customer_id", "amount"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "ksh"])
def test_completion_prints_the_script_of_the_shell(tmp_path: Path, shell: str):
    done = run(tmp_path, "completion", SHELL=f"/bin/{shell}")
    if shell == "ksh":
        assert done.returncode == 2 and "completion is for bash, zsh and fish" in done.stderr
    else:
        assert done.returncode == 0 and f"_FAUST_COMPLETE={shell}_complete" in done.stdout


@pytest.mark.live
def test_send_checks_a_value_whose_record_is_named(saga: Saga, own_kafka: Broker, tmp_path: Path):
    broker, folder = own_kafka.address, tmp_path
    send = ("send", "-V", "FundsDeposited", "@payment")
    wrong = run(folder, *send, '{"customer_id": "ada"}', broker=broker)
    assert wrong.returncode == 2 and "this is no FundsDeposited: " in wrong.stderr
    right = run(
        folder,
        *send,
        '{"deposit_id": "faust-1", "customer_id": "ada", "amount": 19.99}',
        broker=broker,
        SAGA_PARTITIONS=str(PARTITIONS),
    )
    assert right.returncode == 0, right.stderr
    found = [wire.decode(each.value()) for each in everything(broker, topics.PAYMENT, PARTITIONS)]
    (record,) = [each for each in found if isinstance(each, FundsDeposited) and each.deposit_id == "faust-1"]
    assert str(record.amount) == "19.99"


def test_groups_have_their_commands_there_too(tmp_path: Path):
    done = run(tmp_path, "orderdb", "run", "--help")
    assert done.returncode == 0, done.stderr
    assert "orderdb run [OPTIONS]" in done.stdout
