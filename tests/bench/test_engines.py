"""Endings for waiting callers and the balances afterwards agree with the rules; the page hides nothing."""

import os
from decimal import Decimal
from typing import Any

from pydantic_core import from_json

from bench import books, closed_loop, environments, load
from bench.callers import CallerResults
from bench.loop_page import COLUMNS, page
from bench.peers.balances import COMPLETED, ReadRows, give_back, more, parts, take
from bench.peers.rules import INVENTORY, PAYMENT, SHIPPING, Moves, PeerService, Record, Row, normal


def test_the_saga_of_engines_ends_the_mix_as_it_must_and_books_agree() -> None:
    """In memory, one order after the other: each step reads its balances, and what was done is undone last first."""
    orders, supplies = load.mix(300, "x"), load.supplies()
    tables: dict[str, dict[str, Row]] = {PAYMENT.balances: {}, INVENTORY.balances: {}}
    for (table, key), amount in books.came(supplies).items():
        tables[table][key] = more(None, amount)
    endings = {
        name: saga(normal(from_json(message.value)), tables) for name, message in named(orders).items()
    }
    assert endings == orders.expected
    for (table, key), amount in books.left(supplies, named(orders), endings).items():
        assert Decimal(tables[table][key]["left"]) == amount


def saga(order: Record, tables: dict[str, dict[str, Row]]) -> str:
    """How the order ends."""
    done: list[tuple[PeerService, Moves]] = []
    for step in (PAYMENT, INVENTORY, SHIPPING):
        rows = ReadRows(
            {key: tables[step.balances].get(key) for key in parts(step, order)} if step.balances else {}
        )
        answer = take(step, order, rows)
        if isinstance(answer, str):
            for taken, moves in reversed(done):
                back = ReadRows(tables[taken.balances])
                give_back(taken, moves, back)
                tables[taken.balances] |= back.changed
            return answer
        if step.balances:
            tables[step.balances] |= rows.changed
        done.append((step, answer))
    return COMPLETED


def named(orders: load.OrderLoad) -> dict[str, load.LoadRecord]:
    """The orders by their ids."""
    return {each.key.decode(): each for each in orders.messages}


def test_lines_asked_one_by_one_say_what_the_order_says() -> None:
    """As Restate's articles are asked: an order is refused if one of its lines is, for the same reason."""
    stock = {f"main:SKU-{number:04d}": more(None, 900_000) for number in range(200)}
    for message in load.mix(300, "x").messages:
        order = normal(from_json(message.value))
        asked = parts(INVENTORY, order).items()
        answers = [take(INVENTORY, part, ReadRows({key: stock.get(key)})) for key, part in asked]
        reasons = [each for each in answers if isinstance(each, str)]
        moves = {key: amount for each in answers if isinstance(each, dict) for key, amount in each.items()}
        whole = take(INVENTORY, order, ReadRows({key: stock.get(key) for key, _ in asked}))
        assert (max(reasons) if reasons else moves) == whole


def test_only_orders_that_callers_came_to_must_have_ended() -> None:
    given = load.mix(40, "x")
    told = CallerResults(endings={"x-0": "over_limit", "x-1": COMPLETED})
    assert closed_loop.placed(given, told) == told.endings


def found(**more: Any) -> dict[str, Any]:
    """A run of one engine."""
    figures = {name: 34.5 for names, _, _ in COLUMNS for name in names}
    figures |= {"per_second": 12_345.0, "p50_ms": 1_234.5, "p99_ms": 12_345.6}
    engine = {
        "name": "restate",
        "label": "this project, broker with fsync",
        "durable": "all",
        "figures": {"256": figures},
    }
    return {
        "command": "scripts/bench --engines",
        "machine": {"cores": 2},
        "versions": {"kafka": "4.4.0"},
        "seconds": 10.0,
        "most": 10_000,
        "engines": [{**engine, **more}],
    }


def test_every_line_fits_and_every_engine_says_what_is_safe() -> None:
    lines = list(page(found()))
    assert max(map(len, lines)) <= 118
    assert "this project, broker with fsync  all" in lines


def test_an_engine_that_went_wrong_or_is_missing_is_named() -> None:
    assert list(page(found(wrong="1 of 2 orders ended wrong")))[-1].startswith("WRONG this project")
    assert list(page(found(missing="npm is not here", figures={})))[-1].startswith(
        "NOT MEASURED this project"
    )


def test_a_process_is_counted_with_its_children() -> None:
    assert closed_loop.cpu(os.getpid()) > 0
    assert closed_loop.memory(os.getpid()) > 1


def test_the_bench_works_below_this_checkout() -> None:
    assert (environments.ROOT / "scripts" / "bench").exists()
    assert (environments.PEERS / "rules.py").exists()
