"""Orders that are paid at a provider end as those that are not, and the page tells what they cost."""

import asyncio
from typing import Any

from aiohttp.test_utils import TestClient, TestServer
from pydantic_core import from_json

from bench import load
from bench.page import page
from bench.peers.provider import SlowProvider
from bench.providers import in_turns, latencies, outside
from bench.watch import SeenOrders
from saga_app.effects.contract import HttpAnswer
from tests.bench.found import results


def test_the_provider_of_the_bench_speaks_the_contract_and_its_facts_only_grow() -> None:
    async def told(*calls: tuple[str, str]) -> list[str]:
        async with TestClient(TestServer(SlowProvider(0).application())) as client:
            found = []
            for effect, action in calls:
                response = await client.post(f"/payment/{action}", json={"effect": effect})
                found.append(HttpAnswer.model_validate_json(await response.read()).outcome.value)
            return found

    calls = [("a", "do"), ("a", "do"), ("a", "undo"), ("a", "do"), ("b", "prevent"), ("b", "do")]
    assert asyncio.run(told(*calls)) == ["done", "done", "undone", "undone", "refused", "refused"]


def test_outside_orders_are_the_same_orders_with_a_payment_method() -> None:
    inside = load.mix(30, "x")
    paid = outside(inside)
    assert paid.expected == inside.expected
    for before, after in zip(inside.messages, paid.messages, strict=True):
        assert (after.topic, after.key) == (before.topic, before.key)
        assert from_json(after.value) == {**from_json(before.value), "payment_method": "slow:card"}


def test_both_kinds_come_in_turns_and_each_is_counted_alone() -> None:
    both = in_turns(load.mix(3, "in"), outside(load.mix(3, "out")))
    assert [each.key.decode()[:2] for each in both.messages] == ["in", "ou"] * 3
    seen = SeenOrders(
        placed_at=dict.fromkeys(both.expected, 5),
        ended_at={order: 15 if order.startswith("in") else 400 for order in both.expected},
    )
    assert latencies(seen, ["in-0", "in-2"]) == [10, 10]


def row(number: int, delay: int | None) -> dict[str, Any]:
    """The figures of one delay in one round."""
    steady = {"per_second": 50.0, "cpu_ms": 4.5, "p50_ms": 60.0, "p99_ms": 90.0}
    parts = {f"{part}_{name}": each for part in ("backlog", "outside") for name, each in steady.items()}
    inside = {"inside_p50_ms": 8.0 + number, "inside_p99_ms": 20.0}
    return {"round": number, "delay_ms": delay, "rate": 50, **inside, **(parts if delay else {})}


def test_the_page_has_a_line_for_each_delay_and_names_a_round_that_went_wrong() -> None:
    found = results(ours=[5_000.0])
    found.providers = [
        row(1, None),
        row(1, 300),
        row(2, None),
        row(2, 300),
        {"round": 3, "wrong": "it\n ended"},
    ]
    text = page(found)
    lines = [each.split() for each in text.splitlines()]
    assert ["no", "provider", *["-"] * 5, "10", "(9-10)", "20"] in lines
    assert ["answers", "after", "300", "ms", "50", "4.50", "4.50", "60", "90", "10", "(9-10)", "20"] in lines
    assert "WRONG providers, round 3: it ended" in text
    assert max(map(len, text.splitlines())) <= 120
