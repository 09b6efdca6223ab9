"""The rounds whose CPU is measured do the work."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from bench import load
from bench.rounds import PARTITIONS, RoundsWorld, measured
from saga_app import topics
from saga_app.core.records import Record
from saga_app.core.rows import OrderRow
from saga_app.wire import Decoder


def test_every_order_ends_as_it_must(tmp_path: Path) -> None:
    world, orders = RoundsWorld(tmp_path), load.mix(120, "x")
    world.place([*load.supplies(), *orders.messages])
    asyncio.run(world.run())
    states = world.rounds[topics.CHECKOUT].states
    rows = {each: states[topics.partition_of(each, PARTITIONS)].order(each) for each in orders.expected}
    ended = {each: row.reason or row.status for each, row in rows.items() if isinstance(row, OrderRow)}
    assert ended == orders.expected


def test_a_worker_reads_its_own_records_back_without_parsing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []
    decode = Decoder.decode

    def noting(decoder: Decoder, value: bytes) -> Record:
        read.append(value)
        return decode(decoder, value)

    monkeypatch.setattr(Decoder, "decode", noting)
    world, orders = RoundsWorld(tmp_path), load.mix(20, "x")
    world.place([*load.supplies(), *orders.messages])
    read.clear()
    asyncio.run(world.run())
    kinds = Counter(json.loads(value).get("type") for value in read)
    assert not any(kind in kinds for kind in ("PaymentRequested", "RefundRequested", "OrderCompleted"))
    assert kinds["OrderPlaced"] == len(orders.expected)
    assert not world.written.found and world.written.bytes == 0


def test_a_measurement_leaves_no_record_waiting(tmp_path: Path) -> None:
    world = RoundsWorld(tmp_path)
    assert asyncio.run(measured(world, orders=30, times=2)) > 0
    assert not any(world.waiting.values())
    assert sum(world.rounds[topics.SHIPPING].verdicts.values()) > 0


def test_orders_that_enter_segments_end_as_all_others(tmp_path: Path) -> None:
    world, orders = RoundsWorld(tmp_path), load.mix(40, "c")
    world.start_retention()
    world.place([*load.supplies(), *orders.messages])
    asyncio.run(world.run())
    states = world.rounds[topics.CHECKOUT].states
    rows = [states[topics.partition_of(each, PARTITIONS)].order(each) for each in orders.expected]
    assert all(
        isinstance(row, OrderRow) and row.segment is not None and row.ended_at is not None for row in rows
    )
