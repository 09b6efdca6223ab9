"""`saga orderdb check` finds every damage of a database of each kind, and nothing in a correct one."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from sqlalchemy import text

from saga_app import topics
from saga_app.commands.orderdb_check import check as command
from saga_app.core.numbers import version_at
from saga_app.core.retention.rows import LowWatermark
from saga_app.core.rows import ClosedOrder, OrderRow, Status
from saga_app.orderdb.check import check
from saga_app.orderdb.database import Database, DatabaseEmpty, DatabaseWrong
from saga_app.orderdb.differences import TableComparison
from saga_app.orderdb.queries import rows as queries_of_rows
from saga_app.settings import Settings
from tests.live.scene import Scene
from tests.orderdb.copies import contents, copy
from tests.orderdb.filled import ORDERS
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


def differences(settings: Settings) -> list[tuple[str, str, str]]:
    """Table, key and kind of every difference."""
    return [
        (each.table, ":".join(each.key), str(each.kind))
        for table in check(settings, most=1_000)
        for each in table.first
    ]


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


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("DELETE FROM orders WHERE order_id = 'o-7'", ("orders", "o-7", "missing")),
        ("UPDATE orders SET version = version - 1 WHERE order_id = 'o-7'", ("orders", "o-7", "older")),
        ("UPDATE orders SET version = version + 1 WHERE order_id = 'o-7'", ("orders", "o-7", "newer")),
        ("UPDATE orders SET amount = '0.01' WHERE order_id = 'o-7'", ("orders", "o-7", "changed")),
        ("UPDATE orders SET order_id = 'ghost' WHERE order_id = 'o-7'", ("orders", "ghost", "unexpected")),
        (
            "DELETE FROM order_steps WHERE order_id = 'o-7' AND service = 'payment'",
            ("order_steps payment", "o-7:payment", "missing"),
        ),
        (
            "UPDATE order_steps SET state = 'VOID' WHERE order_id = 'o-7' AND service = 'inventory'",
            ("order_steps inventory", "o-7:inventory", "changed"),
        ),
        (
            "UPDATE order_lines SET quantity = quantity + 1 WHERE order_id = 'o-7'",
            ("order_lines", "o-7:", "changed"),
        ),
        ("UPDATE stock SET available = available + 1", ("stock", "", "changed")),
        ("UPDATE accounts SET version = version - 1", ("accounts", "", "older")),
        (
            "INSERT INTO accounts VALUES ('ghost', 'GBP', 1, '5.00', '5.00')",
            ("accounts", "ghost:GBP", "unexpected"),
        ),
    ],
)
def test_every_kind_of_damage_is_found(filled: Settings, statement: str, expected: tuple[str, str, str]):
    copy(filled)
    if "amount = '0.01'" in statement and filled.db_url.startswith("postgresql"):
        statement = statement.replace("'0.01'", "0.01")
    if "'5.00'" in statement and filled.db_url.startswith("postgresql"):
        statement = statement.replace("'5.00'", "5.00")
    change(filled, statement)
    table, key, kind = expected
    found = differences(filled)
    assert any(each[0] == table and each[1].startswith(key) and each[2] == kind for each in found), found
    # An order that got another id is missing under its own.
    assert {each[0] for each in found} == {table}
    assert {each[2] for each in found} <= {kind, "missing"}


def test_a_difference_names_its_record_and_its_columns(filled: Settings):
    copy(filled)
    change(filled, "UPDATE orders SET status = 'OPEN', tries = 9 WHERE order_id = 'o-7'")
    (difference,) = compared(filled)["orders"].first
    assert difference.columns == ("status", "tries") and difference.place is not None
    topic, partition, offset = difference.place
    assert topic == f"{filled.app_id}-orders-changelog"
    assert str(difference) == f"orders o-7: changed in status, tries; {topic}[{partition}] at offset {offset}"


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
        "UPDATE copied SET next_offset = next_offset + 1000 WHERE partition = 0 "
        f"AND topic = '{topics.changelog(filled.app_id, 'stock')}'",
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


def cut(settings: Settings, offset: int) -> None:
    """Deletes the first records, as compaction deletes records with a newer one of the same key."""
    place = TopicPartition(topics.changelog(settings.app_id, "orders"), 1, offset)
    for future in AdminClient(settings.kafka).delete_records([place]).values():
        future.result()


def row(order_id: str, placed: int) -> bytes:
    version = version_at(placed)
    return OrderRow(version, Status.COMPLETED, version, 0, 5_000, order(order_id).canonical, 6_000).encode()


def test_an_evicted_order_is_no_difference_and_any_other_one_is(
    scene: Scene, url: str, write: Callable[..., None]
):
    settings = Settings(broker=scene.broker, app_id=scene.app_id, db_url=url)
    write("closed", row("closed", 10))
    write("purged", row("purged", 11))
    write("lost", row("lost", 35))
    write("kept", row("kept", 36))
    copy(settings)
    write("closed", ClosedOrder(version_at(50), Status.COMPLETED, "1:1", "digest").encode())
    write("low_watermark:1", LowWatermark(version_at(51), 2, purged_below=2, segment_width=10).encode())
    copy(settings)
    assert compared(settings)["orders"].compared == 4
    cut(settings, 3)
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
    assert (stock["table"], stock["compared"]) == ("stock", stock["differences"])
    assert stock["first"][0].keys() == {"key", "kind", "topic", "partition", "offset", "columns"}


def test_the_command_says_what_makes_a_database(saga: Callable[..., Result]):
    result = saga()
    assert result.exit_code == 1 and "saga orderdb run" in result.stderr
