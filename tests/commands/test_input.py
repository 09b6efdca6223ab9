"""What `saga` refuses before anything is sent: one line on stderr, exit code 2."""

import pytest
from click.testing import CliRunner

from saga_app.commands import main

WRONG = [
    ("place --order-id a!b --amount 5", "order_id"),
    ("place --amount 5", "needs an id"),
    ("place --order-id 1", "amount is required"),
    ("place --order-id 1 --amount 5.001", "GBP has 2 digits"),
    ("place --order-id 1 --amount -5", "must not be negative"),
    ("place --order-id 1 --amount five", "amount"),
    ("place --order-id 1 --amount NaN", "amount"),
    ("place --order-id 1 --line MUG", "SKU:QUANTITY"),
    ("place --order-id 1 --line MUG:2:1.00 --amount 3", "not the sum"),
    ("place --order-id 1 --amount 5 --currency XXX", "currency"),
    ("place --order-id 1 --amount 5 --country ZZ", "country"),
    ('place {"type":"OrderCompleted","order_id":"1"}', "not an order"),
    ("place {", "not JSON"),
    ("cancel a!b", "order_id"),
    ("cancel 1 --note 4111111111111111", "card_number"),
    ("deposit ada 0", "more than zero"),
    ("deposit ada 5 --currency GBB", "currency"),
    ("receive MUG:0", "quantity"),
    ("receive MUG:10:2.00", "unit_price"),
    ("policy payment --limit -1", "limit"),
    ("policy shipping --countries GB,XX", "country"),
]


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be sent, so nothing need answer."""
    monkeypatch.setenv("SAGA_BROKER", "127.0.0.1:1")


@pytest.mark.parametrize(("command", "says"), WRONG, ids=[command for command, _ in WRONG])
def test_wrong_input_is_refused_in_one_line_that_names_it(command: str, says: str):
    result = CliRunner().invoke(main, command.split(" "))
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not result.stdout


def test_a_wrong_setting_is_named_with_what_it_may_be(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SAGA_PARTITIONS", "many")
    result = CliRunner().invoke(main, ["settings"])
    assert result.exit_code == 2
    assert result.stderr == "saga: SAGA_PARTITIONS is 'many'; it is a whole number from 1 to 1000\n"


def test_settings_say_where_each_value_comes_from():
    result = CliRunner().invoke(main, ["settings"])
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert "environment" in lines["SAGA_BROKER"]
    assert "default" in lines["SAGA_APP_ID"]


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_explains_itself(name: str):
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert main.commands[name].help
