"""`saga outbox` tells in one line what is wrong, and does one thing with the table where it is asked to."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness.ports import free_port
from harness.postgres import Postgres
from saga_app.commands import main
from saga_app.outbox import process
from saga_app.outbox.table import DEFAULT_TABLE
from tests.outbox.shop import TABLE, ShopDatabase
from tests.support.blocks import documented_keys


@pytest.fixture(autouse=True)
def _no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here needs one."""
    monkeypatch.setenv("SAGA_BROKER", f"127.0.0.1:{free_port()}")
    monkeypatch.delenv("SAGA_OUTBOX_URL", raising=False)


def outbox(*words: str, **env: str) -> Result:
    return CliRunner().invoke(main, ["outbox", *words], env=env)


def told(result: Result, code: int) -> str:
    """The one line of a command that did not work."""
    assert result.exit_code == code, result.output
    (line,) = result.stderr.splitlines()
    return line


def test_the_printed_statements_make_the_table_that_the_relay_takes(shop_url: str):
    ddl = outbox("--ddl", "--db-url", shop_url).stdout
    with ShopDatabase(shop_url) as shop:
        for statement in filter(str.strip, ddl.split(";\n")):
            shop.execute(statement)
        shop.write({"order_id": 1, "amount": 5})
        backlog, refused = process.look(shop_url, TABLE, 10)
    assert backlog.waiting == 1 and not refused


def test_create_makes_the_table_and_says_so(shop_url: str):
    result = outbox("--create", "--db-url", shop_url)
    assert result.exit_code == 0 and result.stdout == "outbox: table saga_outbox is there\n"
    assert process.look(shop_url, TABLE, 10)[0].waiting == 0


def test_status_tells_what_waits_and_each_refused_row(shop: ShopDatabase):
    shop.write({"order_id": "a", "amount": 5}, {"order_id": "b", "amount": 5}, {"order_id": "a", "amount": 5})
    shop.execute(f"UPDATE {TABLE} SET refused = 'invalid: amount' WHERE id = 1")
    result = outbox("--status", SAGA_OUTBOX_URL=shop.url)
    first, second = result.stdout.splitlines()
    assert first.startswith("2 rows wait, the oldest for ") and first.endswith(" s; 1 are refused")
    assert second == "row 1, order a: invalid: amount; 1 later rows of the order wait"
    lines: list[dict[str, Any]] = [
        json.loads(line) for line in outbox("--status", "--json", "--db-url", shop.url).stdout.splitlines()
    ]
    assert {key for line in lines for key in line} == documented_keys("`saga outbox --status`")
    assert lines[0]["waiting"] == 2 and lines[0]["refused"] == 1
    assert lines[1] == {"id": 1, "order_id": "a", "reason": "invalid: amount", "behind": 1}


def test_without_an_address_nothing_happens():
    assert "--db-url or SAGA_OUTBOX_URL" in told(outbox(), 2)


def test_an_address_of_nothing_is_told_without_its_password():
    line = told(outbox("--db-url", "mysql://shop:secret@db/shop"), 1)
    assert "is no address of a database" in line and "secret" not in line
    line = told(outbox("--status", SAGA_OUTBOX_URL="mysql://shop:secret@db/shop"), 2)
    assert "SAGA_OUTBOX_URL" in line and "secret" not in line


def test_a_server_that_is_not_there_is_told_without_the_password():
    line = told(outbox("--db-url", f"postgresql://shop:secret@127.0.0.1:{free_port()}/shop"), 1)
    assert "does not answer" in line and "are address, user and password right?" in line
    assert "secret" not in line and "shop:***@127.0.0.1" in line


def test_a_database_that_is_not_there_is_told(postgres: Postgres):
    assert 'database "nowhere" does not exist' in told(outbox("--db-url", postgres.url("nowhere")), 1)


def test_a_missing_table_is_told_with_what_makes_it(postgres_url: str):
    line = told(outbox("--db-url", postgres_url), 1)
    assert "has no table saga_outbox; saga outbox --create makes it" in line and "not-a-secret" not in line


def test_an_sqlite_file_that_is_not_there_is_not_made_by_a_relay(tmp_path: Path):
    assert "there is no such file" in told(outbox("--db-url", f"sqlite:///{tmp_path}/no.db"), 1)
    assert not (tmp_path / "no.db").exists()


def test_two_things_at_once_are_refused():
    assert "exclude each other" in told(outbox("--once", "--create", "--db-url", "sqlite:///x.db"), 2)


def test_a_missing_package_is_told_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "saga_app.orderdb.database", None)
    for name in [name for name in sys.modules if name.startswith("saga_app.outbox")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    monkeypatch.delitem(sys.modules, "saga_app.orderdb.database")
    line = told(outbox("--db-url", "sqlite:///x.db"), 1)
    assert "the outbox relay needs the package sqlalchemy" in line and "pip install '.[orders]'" in line


def test_the_command_names_the_table_that_the_relay_has():
    option = next(each for each in main.all_commands()["outbox"].params if each.name == "table")
    assert option.default == DEFAULT_TABLE
