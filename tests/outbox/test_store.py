"""The outbox table: which rows wait, what becomes of them, and who may relay them."""

import asyncio
from typing import Any

import pytest

from saga_app.outbox import process
from saga_app.outbox.payloads import OutboxRow
from saga_app.outbox.store import Backlog, LockLost, OutboxStore, OutboxWrong, RefusedRow
from tests.outbox.shop import TABLE, ShopDatabase, insert

MOST = 100


def order(order_id: Any = "o1", **more: Any) -> dict[str, Any]:
    return {"order_id": order_id, "amount": 5, **more}


def cancel(order_id: Any = "o1") -> dict[str, Any]:
    return {"type": "CancellationRequested", "order_id": order_id}


def batch(shop: ShopDatabase, most: int = MOST) -> list[OutboxRow]:
    return shop.with_store(lambda store: store.batch(most))


def settle(shop: ShopDatabase, relayed: list[int], refused: dict[int, str]) -> None:
    async def work(store: OutboxStore) -> None:
        rows = await store.batch(MOST)
        await store.settle([row for row in rows if row.id in relayed], refused)

    shop.with_store(work)


def test_rows_wait_in_the_sequence_of_their_ids(shop: ShopDatabase):
    shop.write(*map(order, "abcde"))
    assert [(row.id, row.order_id) for row in batch(shop, 3)] == [(1, "a"), (2, "b"), (3, "c")]


def test_a_payload_is_read_as_text_and_keeps_every_digit(shop: ShopDatabase):
    shop.write('{"order_id": 1, "amount": 90071992547.410}')
    assert "90071992547.410" in batch(shop)[0].payload


def test_a_relayed_row_is_deleted_and_a_refused_one_stays_with_its_reason(shop: ShopDatabase):
    shop.write(*map(order, "abc"))
    settle(shop, [1, 3], {2: "invalid: amount"})
    assert [tuple(row) for row in shop.execute(f"SELECT id, refused FROM {TABLE}")] == [
        (2, "invalid: amount")
    ]
    assert batch(shop) == []


def test_a_row_that_is_changed_while_it_is_sent_stays_and_is_read_again(shop: ShopDatabase):
    shop.write(order("a"), order("b"))
    (sent, other) = batch(shop)
    payload = '\'{"order_id": "a", "amount": 6}\''
    shop.execute(f"UPDATE {TABLE} SET payload = {payload} WHERE id = 1")
    shop.with_store(lambda store: store.settle([sent, other], {}))
    (left,) = batch(shop)
    assert left.id == 1 and '"amount": 6' in left.payload


def test_a_payload_of_the_type_json_is_refused_before_a_row_can_stop_the_relay(postgres_shop: ShopDatabase):
    postgres_shop.execute(f"ALTER TABLE {TABLE} ALTER payload TYPE json")
    assert "column payload is JSON, not jsonb" in opened(postgres_shop)


def test_later_rows_of_an_order_wait_behind_its_refused_one_and_all_others_do_not(shop: ShopDatabase):
    shop.write(order("a"), order(7), order("b"), cancel("a"), cancel("7"), cancel("b"))
    settle(shop, [1], {2: "invalid: amount"})
    # A number and the same number as text are one order.
    assert [row.id for row in batch(shop)] == [3, 4, 6]


@pytest.mark.parametrize(
    "how", [f"UPDATE {TABLE} SET refused = NULL WHERE id = 1", f"DELETE FROM {TABLE} WHERE id = 1"]
)
def test_a_corrected_or_deleted_row_lets_the_others_of_its_order_go(shop: ShopDatabase, how: str):
    shop.write(order(), cancel())
    settle(shop, [], {1: "invalid: amount"})
    assert batch(shop) == []
    shop.execute(how)
    assert [row.id for row in batch(shop)] == ([1, 2] if how.startswith("UPDATE") else [2])


def test_a_number_that_was_given_out_is_given_to_no_later_row(shop: ShopDatabase):
    shop.write(order("a"), order("b"))
    settle(shop, [1, 2], {})
    shop.write(order("c"))
    assert shop.ids() == [3]


def test_the_backlog_counts_and_has_the_age_of_the_oldest_row(shop: ShopDatabase):
    assert shop.with_store(OutboxStore.backlog) == Backlog(0, 0.0, 0)
    shop.write(order("a"), order("b"), order("c"), cancel("b"))
    settle(shop, [], {2: "invalid: amount"})
    shop.execute(f"UPDATE {TABLE} SET created_at = '2026-01-01 00:00:00' WHERE id = 3")
    backlog = shop.with_store(OutboxStore.backlog)
    assert (backlog.waiting, backlog.refused) == (3, 1)
    assert backlog.oldest > 3600
    assert process_refused(shop) == [RefusedRow(2, "b", "invalid: amount", 1)]


def process_refused(shop: ShopDatabase) -> list[RefusedRow]:
    return shop.with_store(lambda store: store.refused(10))


def test_making_the_table_twice_changes_nothing(shop: ShopDatabase):
    shop.write(order())
    process.create(shop.url, TABLE)
    assert shop.ids() == [1]


def test_a_text_that_is_no_json_stops_nobody_on_sqlite(tmp_path: Any):
    url = f"sqlite:///{tmp_path}/shop.db"
    process.create(url, TABLE)
    with ShopDatabase(url) as shop:
        shop.write("not JSON", order())
        assert [(row.id, row.order_id) for row in batch(shop)] == [(1, None), (2, "o1")]


def test_a_row_that_is_committed_behind_later_ids_is_not_missed(postgres_shop: ShopDatabase):
    """The ids of open transactions are gaps: a relay that asked for ids beyond the last one would never see them."""
    shop = postgres_shop

    async def work() -> tuple[list[int], list[int]]:
        store = OutboxStore(shop.url, TABLE)
        await store.open()
        assert await store.lock()
        async with shop.engine.connect() as slow:
            await insert(slow, order("slow"))
            async with shop.engine.begin() as quick:
                await insert(quick, order("quick"))
            first = await store.batch(MOST)
            await store.settle(first, {})
            await slow.commit()
        second = [row.id for row in await store.batch(MOST)]
        await store.close()
        return [row.id for row in first], second

    assert shop.run(work) == ([2], [1])


def test_one_relay_holds_the_lock_and_another_one_gets_it_when_the_first_is_gone(postgres_shop: ShopDatabase):
    async def work() -> list[bool]:
        first, second = (
            OutboxStore(postgres_shop.url, TABLE),
            OutboxStore(postgres_shop.url, f"public.{TABLE}"),
        )
        await first.open()
        await second.open()
        taken = [await first.lock(), await second.lock(), await first.lock()]
        await first.close()
        for _ in range(100):
            if await second.lock():
                break
            await asyncio.sleep(0.02)
        taken.append(await second.lock())
        await second.close()
        return taken

    assert postgres_shop.run(work) == [True, False, True, True]


def test_a_relay_without_the_lock_takes_no_batch(postgres_shop: ShopDatabase):
    """A pooler gives each transaction another connection: then the lock is on one, and the batch on another."""

    async def work() -> None:
        first, second = OutboxStore(postgres_shop.url, TABLE), OutboxStore(postgres_shop.url, TABLE)
        await first.open()
        await second.open()
        assert await first.lock()
        try:
            with pytest.raises(LockLost, match="not to a pooler"):
                await second.batch(MOST)
        finally:
            await second.close()
            await first.close()

    postgres_shop.run(work)


def opened(shop: ShopDatabase, table: str = TABLE, url: str | None = None) -> str:
    """The error of opening a table."""

    async def work() -> None:
        store = OutboxStore(url or shop.url, table)
        try:
            await store.open()
        finally:
            await store.close()

    with pytest.raises(OutboxWrong) as told:
        shop.run(work)
    return str(told.value)


def test_a_missing_table_is_told_with_what_makes_it(shop: ShopDatabase):
    assert "has no table nothing; saga outbox --create makes it" in opened(shop, "nothing")


def test_every_wrong_column_is_told(postgres_shop: ShopDatabase):
    shop = postgres_shop
    shop.execute("CREATE TABLE other (id uuid PRIMARY KEY, payload text, created_at timestamptz)")
    told = opened(shop, "other")
    assert "column id is UUID, not a whole number; column payload is TEXT, not jsonb" in told
    assert "column refused is missing" in told and "saga outbox --ddl" in told


def test_a_user_without_a_right_is_told_which_one_before_anything_is_sent(postgres_shop: ShopDatabase):
    shop = postgres_shop
    shop.execute("CREATE ROLE reader LOGIN")
    shop.execute(f"GRANT SELECT ON {TABLE} TO reader")
    told = opened(shop, url=shop.url.replace("saga:", "reader:"))
    assert f"GRANT DELETE, UPDATE (refused) ON {TABLE} TO reader" in told
    shop.execute(f"GRANT DELETE, UPDATE (refused) ON {TABLE} TO reader")

    async def work(store: OutboxStore) -> list[OutboxRow]:
        await store.settle((await store.batch(MOST))[:1], {2: "invalid: amount"})
        return await store.batch(MOST)

    shop.write(order(), order("b"), order("c"))
    rows = shop.with_store(work, shop.url.replace("saga:", "reader:"))
    assert [row.id for row in rows] == [3]


def test_a_table_of_another_schema_may_be_named(postgres_shop: ShopDatabase):
    shop = postgres_shop
    shop.execute('CREATE SCHEMA "web shop"')
    process.create(shop.url, "web shop.saga_outbox")
    shop.execute("""INSERT INTO "web shop".saga_outbox (payload) VALUES ('{"order_id": 1, "amount": 5}')""")
    backlog, _ = process.look(shop.url, "web shop.saga_outbox", MOST)
    assert backlog.waiting == 1
