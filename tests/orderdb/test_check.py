"""`saga orderdb check` finds every damage of a database of each kind, and nothing in a correct one."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer
from sqlalchemy import text

from harness.copies import CopyProcess, contents, copy, until_copied
from harness.orders import orders, supplies
from harness.scene import Scene
from saga_app import topics
from saga_app.commands.orderdb_check import check as command
from saga_app.core.numbers import version_at
from saga_app.core.retention.rows import LowWatermark
from saga_app.core.rows import ClosedOrder, OrderRow, Status
from saga_app.orderdb import schema
from saga_app.orderdb.check import check
from saga_app.orderdb.database import Database, DatabaseEmpty, DatabaseWrong
from saga_app.orderdb.differences import TableComparison
from saga_app.orderdb.queries import rows as queries_of_rows
from saga_app.settings import Settings
from tests.orderdb.filled import ORDERS
from tests.support.blocks import documented_keys
from tests.support.examples import order

pytestmark = pytest.mark.live


def change(settings: Settings, *statements: str) -> None:
    """Changes the database behind the back of the copy."""

    async def run() -> None:
        database = Database(settings.db_url)
        async with database.transaction() as connection:
            for each in statements:
                await connection.execute(text(each))
        await database.close()

    asyncio.run(run())


def compared(settings: Settings) -> dict[str, TableComparison]:
    return {each.name: each for each in check(settings)}


def test_a_correct_copy_has_no_differences(filled: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(queries_of_rows, "PAGE", 70)
    copy(filled)
    found = compared(filled)
    whole = contents(filled)
    assert found.keys() == {
        "orders",
        "order_lines",
        "order_steps payment",
        "order_steps inventory",
        "order_steps shipping",
        "accounts",
        "stock",
    }
    assert found["orders"].compared == ORDERS
    steps = sum(each.compared for name, each in found.items() if name.startswith("order_steps"))
    assert steps == len(whole["order_steps"])
    assert all(found[name].compared == len(whole[name]) > 0 for name in ("order_lines", "accounts", "stock"))
    assert not any(each.differences or each.behind or each.evicted for each in found.values())


OTHERS = ", ".join(column.name for column in schema.orders.c if column.name != "order_id")
#: Each statement damages a database, and makes one difference: table, key, kind.
DAMAGE = {
    "DELETE FROM orders WHERE order_id = 'o-1'": "orders o-1 missing",
    "UPDATE orders SET version = version - 1 WHERE order_id = 'o-2'": "orders o-2 older",
    "UPDATE orders SET version = version + 1 WHERE order_id = 'o-3'": "orders o-3 newer",
    "UPDATE orders SET amount = '0.01' WHERE order_id = 'o-4'": "orders o-4 changed",
    f"INSERT INTO orders SELECT 'ghost', {OTHERS} FROM orders WHERE order_id = 'o-5'": "orders ghost unexpected",
    "DELETE FROM order_steps WHERE order_id = 'o-6' AND service = 'payment'": "order_steps payment o-6:payment missing",
    "UPDATE order_steps SET reason = 'none' WHERE order_id = 'o-7' AND service = 'payment'": (
        "order_steps payment o-7:payment changed"
    ),
    "INSERT INTO order_steps (order_id, service, version, state, done_at) VALUES ('ghost', 'shipping', 1, 'DONE', 1)": (
        "order_steps shipping ghost:shipping unexpected"
    ),
    "INSERT INTO order_lines VALUES ('o-8', 'GHOST', 1)": "order_lines o-8:GHOST unexpected",
    "INSERT INTO stock VALUES ('ghost', 'MUG', 1, 1, 1)": "stock ghost:MUG unexpected",
    "INSERT INTO accounts VALUES ('ghost', 'GBP', 1, '5.00', '5.00')": "accounts ghost:GBP unexpected",
}


def test_every_kind_of_damage_is_found(filled: Settings):
    copy(filled)
    change(filled, *DAMAGE)
    found = [
        f"{each.table} {':'.join(each.key)} {each.kind}" for table in check(filled) for each in table.first
    ]
    assert sorted(found) == sorted(DAMAGE.values())


@pytest.mark.parametrize("table", ["accounts", "stock", "order_lines"])
def test_a_table_that_lost_all_its_rows_is_found(filled: Settings, table: str):
    copy(filled)
    lost = len(contents(filled)[table])
    change(filled, f"DELETE FROM {table}")
    assert compared(filled)[table].differences == lost > 0


def test_a_difference_names_its_record_and_its_columns(filled: Settings):
    copy(filled)
    change(filled, "UPDATE orders SET status = 'OPEN', tries = 9 WHERE order_id = 'o-7'")
    (difference,) = compared(filled)["orders"].first
    assert difference.columns == ("status", "tries") and difference.place is not None
    topic, partition, offset = difference.place
    assert topic == f"{filled.app_id}-orders-changelog"
    assert str(difference) == f"orders o-7: changed in status, tries; {topic}:{partition}:{offset}"


def test_rows_that_the_copy_has_not_reached_are_behind_and_no_difference(filled: Settings):
    copy(filled)
    topic = topics.changelog(filled.app_id, "orders")
    change(
        filled,
        f"UPDATE copied SET next_offset = next_offset / 2 WHERE topic = '{topic}'",
        "DELETE FROM orders",
    )
    found = compared(filled)["orders"]
    # Without the rows below the position it is a difference, with a record above it lag.
    assert found.behind > 0 and found.differences == found.compared
    assert found.behind + found.compared == ORDERS
    change(filled, f"UPDATE copied SET next_offset = 0 WHERE topic = '{topic}'")
    found = compared(filled)["orders"]
    assert (found.behind, found.compared, found.differences) == (ORDERS, 0, 0)


def test_at_most_so_many_differences_are_kept_and_all_are_counted(filled: Settings):
    copy(filled)
    change(filled, "DELETE FROM orders")
    found = next(each for each in check(filled, most=3) if each.name == "orders")
    assert (found.differences, len(found.first)) == (ORDERS, 3)
    assert list(found.as_lines())[-1] == f"     and {ORDERS - 3} more"


def test_a_copy_of_other_topics_is_refused(filled: Settings):
    copy(filled)
    change(filled, "UPDATE copied SET topic_id = 'another' WHERE topic = 'dead_letters'")
    with pytest.raises(DatabaseWrong, match="a copy of other topics"):
        check(filled)


def test_lost_records_are_reported(filled: Settings):
    copy(filled)
    change(
        filled,
        "UPDATE copied SET next_offset = next_offset + 1000 WHERE "
        f"topic = '{topics.changelog(filled.app_id, 'stock')}'",
    )
    with pytest.raises(DatabaseWrong, match="records were lost"):
        check(filled)


def test_without_a_database_there_is_nothing_to_compare(filled: Settings):
    with pytest.raises(DatabaseEmpty):
        check(filled)


@pytest.fixture
def write(scene: Scene, url: str) -> Callable[..., None]:
    """Writes rows to partition 1 of the changelog of orders."""
    producer = Producer({"bootstrap.servers": scene.broker})
    topic = topics.changelog(scene.app_id, "orders")

    def produce(key: str, *values: bytes | None) -> None:
        for value in values:
            producer.produce(topic, value, key, 1)
        assert producer.flush(10) == 0

    return produce


def add_order(settings: Settings, order_id: str, placed: int) -> None:
    """Adds a row that the changelog does not have, since compaction has removed it: `kept` under another id."""
    columns = [column.name for column in schema.orders.c]
    values = [{"order_id": f"'{order_id}'", "placed_offset": str(placed)}.get(name, name) for name in columns]
    change(
        settings,
        f"INSERT INTO orders ({', '.join(columns)}) SELECT {', '.join(values)} FROM orders WHERE order_id = 'kept'",
    )


def row(order_id: str, placed: int) -> bytes:
    version = version_at(placed)
    return OrderRow(version, Status.COMPLETED, version, 0, 5_000, order(order_id).canonical, 6_000).encode()


def test_an_evicted_order_is_no_difference_and_any_other_one_is(
    scene: Scene, url: str, write: Callable[..., None]
):
    settings = Settings(broker=scene.broker, app_id=scene.app_id, db_url=url)
    write("kept", row("kept", 36))
    write("closed", ClosedOrder(version_at(50), Status.COMPLETED, "1:2", "digest").encode())
    write("low_watermark:1", LowWatermark(version_at(51), 3, purged_below=2, segment_width=10).encode())
    copy(settings)
    for order_id, placed in (("closed", 25), ("purged", 11), ("lost", 26)):
        add_order(settings, order_id, placed)
    found = compared(settings)["orders"]
    assert (found.compared, found.evicted) == (2, 2)
    assert [(each.key, str(each.kind)) for each in found.first] == [(("lost",), "unexpected")]


def test_records_that_no_worker_wrote_are_counted(scene: Scene, url: str, write: Callable[..., None]):
    settings = Settings(broker=scene.broker, app_id=scene.app_id, db_url=url)
    write("foreign", b"{}", b"\xff")
    write("kept", row("kept", 36))
    copy(settings)
    found = compared(settings)["orders"]
    assert (found.compared, found.differences, found.unreadable) == (1, 0, 2)


def test_there_is_no_difference_while_a_worker_and_the_copy_go_on(scene: Scene, url: str, tmp_path: Path):
    settings = Settings(broker=scene.broker, app_id=scene.app_id, db_url=url)
    scene.shop.send(supplies())
    scene.worker("w1").start()
    copying = CopyProcess(settings, tmp_path / "log", records=50).start()
    try:
        until_copied(settings)
        scene.shop.send(orders(300))
        end, found = time.monotonic() + 120, 0
        while found < 300:
            seen = check(settings)
            assert not any(each.differences for each in seen), [str(each.first) for each in seen]
            found = next(each.compared for each in seen if each.name == "orders")
            assert time.monotonic() < end, copying.text()
        assert copying.end() == 0, copying.text()
    finally:
        copying.close()


@pytest.fixture
def saga(filled: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("SAGA_BROKER", filled.broker)
    monkeypatch.setenv("SAGA_APP_ID", filled.app_id)
    monkeypatch.setenv("SAGA_DB_URL", filled.db_url)
    return lambda *arguments: CliRunner().invoke(command, list(arguments))


def test_the_command_prints_a_line_for_each_table_and_ends_with_1_if_there_is_a_difference(
    saga: Callable[..., Result], filled: Settings
):
    copy(filled)
    result = saga()
    assert result.exit_code == 0 and len(result.stdout.splitlines()) == 7
    assert all(line.endswith(" 0 differences") for line in result.stdout.splitlines())
    change(filled, "DELETE FROM stock")
    result = saga()
    assert result.exit_code == 1 and "stock main:" in result.stdout and ": missing; " in result.stdout
    objects: list[dict[str, Any]] = [json.loads(line) for line in saga("--json").stdout.splitlines()]
    (stock,) = [each for each in objects if each["differences"]]
    assert stock.keys() == documented_keys("`saga orderdb check`")
    assert (stock["table"], stock["compared"]) == ("stock", stock["differences"])
    assert stock["first"][0].keys() == {"key", "kind", "topic", "partition", "offset", "columns"}


def test_the_command_says_what_makes_a_database(saga: Callable[..., Result]):
    result = saga()
    assert result.exit_code == 1 and "saga orderdb run" in result.stderr
