"""`saga` refuses wrong input before it sends a record: one line on stderr, exit code 2."""

import subprocess
import sys
from collections.abc import Iterator, Mapping

import click
import pytest
from click.testing import CliRunner

from saga_app import wire
from saga_app.commands import main

WRONG = [
    ("place --order-id a!b --amount 5", "order_id"),
    ("place --amount 5", "needs an id"),
    ("place", "needs an id"),
    ("place --order-id 1", "amount is required"),
    ("place --order-id 1 --amount 5.001", "GBP has 2 digits"),
    ("place --order-id 1 --amount -5", "must not be negative"),
    ("place --order-id 1 --amount five", "amount"),
    ("place --order-id 1 --amount NaN", "amount"),
    ("place --order-id 1 --amount 1e2", "amount"),
    ("place --order-id 1 --line MUG", "SKU:QUANTITY"),
    ("place --order-id 1 --line MUG:1:2:3", "SKU:QUANTITY"),
    ("place --order-id 1 --line MUG:٣", "SKU:QUANTITY"),
    (f"place --order-id 1 --line MUG:{'9' * 5000}", "SKU:QUANTITY"),
    ("place --order-id 1 --line MUG:2: --amount 3", "unit_price"),
    ("place --order-id 1 --line MUG:2:1.00 --amount 3", "not the sum"),
    ("place --order-id 1 --amount 5 --currency XXX", "currency"),
    ("place --order-id 1 --amount 5 --country ZZ", "country"),
    ("place --order-id \udcff --amount 5", "surrogate"),
    ('place {"type":"OrderCompleted","order_id":"1"}', "not an order"),
    ('place {"order_id":1,"order_id":2}', 'duplicate key "order_id"'),
    ('place {"order_id":1,"amount":5,"colour":"red"}', "colour"),
    ('place {"order_id":"\udcff"}', "not UTF-8"),
    ("place {", "not JSON"),
    ("place orders.jsonl", "--file"),
    ('place --order-id 1 {"order_id":1}', "one of them"),
    ("place - --amount 5", "one of them"),
    ("place --file no-such-file", "no-such-file"),
    ("place --colour red", "No such option"),
    ("cancel", "ORDER"),
    ("cancel a!b", "order_id"),
    ("cancel 1 --note 4111111111111111", "card_number"),
    ("cancel 1 --note " + "x" * 201, "note"),
    ("deposit ada 0", "more than zero"),
    ("deposit ada 5 --currency GBB", "currency"),
    ("deposit ada -5", "No such option"),
    ("receive MUG:0", "quantity"),
    ("receive MUG:10:2.00", "SKU:QUANTITY"),
    ("receive", "SKU:QTY"),
    ("policy payment --limit -1", "limit"),
    ("policy payment", "--limit"),
    ("policy shipping --countries GB,XX", "country"),
    ("policy shipping --countries GB,", "country"),
    ("send", "there is no command"),
]


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be sent, so nothing need answer."""
    for name in ("SAGA_APP_ID", "SAGA_PARTITIONS", "SAGA_PROFILE", "SAGA_WEB_URL", "SAGA_WEB_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SAGA_BROKER", "127.0.0.1:1")


@pytest.mark.parametrize(("command", "says"), WRONG, ids=[ascii(command)[:60] for command, _ in WRONG])
def test_wrong_input_is_refused_in_one_line_that_names_it(command: str, says: str):
    result = CliRunner().invoke(main, command.split(" "))
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not result.stdout


def test_a_record_is_also_measured_as_it_is_sent(monkeypatch: pytest.MonkeyPatch):
    """The defaults that are filled in make it longer than it was typed."""
    monkeypatch.setattr(wire, "LARGEST_FROM_PEOPLE", 60)
    result = CliRunner().invoke(main, ["place", '{"order_id":1,"amount":5}'])
    assert result.exit_code == 2
    assert "too_large" in result.stderr


def test_a_wrong_setting_is_named_with_what_it_may_be(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SAGA_PARTITIONS", "many")
    result = CliRunner().invoke(main, ["settings"])
    assert result.exit_code == 2
    assert result.stderr == "saga: SAGA_PARTITIONS is 'many'; it is a whole number from 1 to 1000\n"


def test_bad_lines_are_named_and_need_no_broker():
    result = CliRunner().invoke(main, ["place", "-"], input=b'bad\n\n\xff\n{"order_id": 1}\n')
    assert result.exit_code == 2
    assert [line.split(":")[1].strip() for line in result.stderr.splitlines()] == [
        "line 1",
        "line 3",
        "line 4",
    ]
    assert result.stdout.startswith("orders sent: 0, refused: 3")


@pytest.mark.parametrize(
    "command",
    ["place --order-id 1 --amount 5", "cancel 1", "deposit ada 5", "topics", "policy payment --limit 1"],
)
def test_a_broker_that_is_not_there_is_named_at_once(command: str):
    result = CliRunner().invoke(main, command.split())
    assert result.exit_code == 1
    assert "127.0.0.1:1: Connection refused" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def names(commands: Mapping[str, click.Command], before: str = "") -> Iterator[str]:
    """Every command and group, as people type it."""
    for name, command in sorted(commands.items()):
        yield before + name
        if isinstance(command, click.Group):
            yield from names(command.commands, f"{before}{name} ")


@pytest.mark.parametrize("name", list(names(main.all_commands())))
def test_every_command_explains_itself_with_an_example(name: str):
    result = CliRunner().invoke(main, [*name.split(), "--help"])
    assert result.exit_code == 0
    assert f"  saga {name}" in result.stdout


def test_without_a_command_there_is_help():
    result = CliRunner().invoke(main, [])
    assert "Orders:" in result.output
    assert "saga:" not in result.output


def test_the_commands_start_without_faust():
    """Loading Faust takes longer than most commands need altogether."""
    code = "import sys, saga_app.commands; print(sorted({'faust', 'mode', 'rocksdict'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
