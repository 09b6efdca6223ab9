"""`saga orders`, and the messages of commands without a database."""

import json
import subprocess
import sys
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness.copies import copy
from saga_app.commands import main
from saga_app.settings import Settings
from tests.orderdb.filled import HOSTILE, ORDERS


@pytest.fixture
def saga(filled: Settings, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command on a copied database."""
    monkeypatch.setenv("SAGA_BROKER", filled.broker)
    monkeypatch.setenv("SAGA_APP_ID", filled.app_id)
    monkeypatch.setenv("SAGA_DB_URL", filled.db_url)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, list(arguments))

    assert run("orders").exit_code == 1
    copy(filled)
    return run


def listed(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_pages_give_every_order_once_newest_first(saga: Any):
    everything = listed(saga("orders", "--json", "--limit", "1000"))
    assert len(everything) == ORDERS
    ages = [(each["placed_at"], each["order_id"]) for each in everything]
    assert ages == sorted(ages, reverse=True)
    paged: list[dict[str, Any]] = []
    while page := listed(
        saga("orders", "--json", "--limit", "150", *(("--after", paged[-1]["order_id"]) if paged else ()))
    ):
        paged += page
    assert paged == everything


def test_orders_are_found_by_state_time_and_how_a_name_begins(saga: Any):
    refused = listed(saga("orders", "--state", "cancelled", "--json", "--limit", "1000"))
    assert {each["status"] for each in refused} == {"CANCELLED"}
    assert {each["payment"] for each in listed(saga("orders", "--q", "DEAR", "--json"))} == {"REFUSED"}
    (one,) = listed(saga("orders", "--q", "o-399", "--json"))
    assert one["order_id"] == "o-399"
    customer = one["customer_id"]
    assert customer in {each["customer_id"] for each in listed(saga("orders", "--q", customer, "--json"))}
    assert listed(saga("orders", "--since", "1h", "--json", "--limit", "1000"))
    assert listed(saga("orders", "--since", "2100-01-01", "--json")) == []
    counts = {each["state"]: each["number"] for each in listed(saga("orders", "--count", "--json"))}
    assert sum(counts.values()) == ORDERS and counts["CANCELLED"] == len(refused)


def test_a_search_is_never_a_pattern_nor_sql(saga: Any):
    for text in ("%", "_-1", "O-1", "' OR 1=1 --", HOSTILE, "\x7f", "x" * 70, "\ud800"):
        assert listed(saga("orders", "--q", text, "--json")) == []
        assert saga("orders", "--after", text).exit_code == 1


def test_lag_is_nothing_when_all_is_copied(saga: Any):
    lag = {each["topic"]: each["lag"] for each in listed(saga("orders", "--lag", "--json"))}
    assert len(lag) == 11 and not any(lag.values())


def test_doctor_says_how_far_the_database_is_behind(saga: Any):
    told = [json.loads(line) for line in saga("doctor", "--json").stdout.splitlines()]
    found = {each["what"]: (each["ok"], each["detail"]) for each in told}
    assert found["copy"] == (True, "the copy has everything")
    assert found["copier"] == (False, "nobody copies to the order database: start `saga orderdb run`")


def test_people_see_one_line_for_each_order(saga: Any):
    result = saga("orders", "--limit", "3", "--q", "o-1")
    head, *lines = result.stdout.splitlines()
    assert head.split() == ["placed", "(UTC)", "order", "state", "amount", "where"] and len(lines) == 3
    assert (
        f"older ones: --after {saga('orders', '--limit', '3', '--q', 'o-1', '-o', 'name').stdout.split()[2]}"
        in (result.stderr)
    )


def test_without_its_packages_a_command_names_what_to_install():
    program = (
        "import sys; sys.modules['sqlalchemy'] = None; from saga_app.commands import main; main(['orders'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "needs the package sqlalchemy" in done.stderr and "pip install '.[orders]'" in done.stderr


def test_workers_and_commands_do_not_import_sql():
    program = (
        "import sys; from saga_app import app; assert app; "
        "print({'sqlalchemy', 'alembic', 'aiosqlite', 'asyncpg'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
