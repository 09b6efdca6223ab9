"""Payments at a provider that fails, on a real broker: charged once, or not at all, whoever is killed meanwhile."""

import json
import shlex
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.log import until
from harness.orders import Sent, supplies
from harness.scene import Scene
from tests.live.commands import saga
from tests.support.blocks import blocks
from tests.support.till import TillLedger

#: Orders of each kind, and how they end.
KINDS = {"fine": "COMPLETED", "declined": "declined", "abroad": "undeliverable"}


def paid_outside(count: int, prefix: str) -> Iterator[Sent]:
    """Of three orders one is paid, one is declined, and one is paid and cannot be delivered."""
    for number in range(count):
        kind = list(KINDS)[number % len(KINDS)]
        yield {
            "order_id": f"{prefix}-{kind}-{number}",
            "customer_id": f"C{number % 7}",
            "amount": "25.00",
            "payment_method": f"till:{'declined' if kind == 'declined' else 'fine'}",
            "country": "NZ" if kind == "abroad" else "GB",
        }


def cancelled_at_once(count: int, prefix: str) -> Iterator[Sent]:
    """Orders that are cancelled right behind themselves."""
    for order in paid_outside(3 * count, prefix):
        if "fine" in order["order_id"]:
            yield order
            yield {"type": "CancellationRequested", "order_id": order["order_id"]}


def with_till(folder: Path, **more: str) -> dict[str, str]:
    file = str(folder / "till.db")
    return {"SAGA_PROVIDERS": "till=tests.support.till:provider", "SAGA_PROVIDER_TILL_FILE": file, **more}


@pytest.mark.promise("effects outside")
def test_a_completed_order_is_charged_once_and_a_cancelled_one_is_not_when_a_worker_is_killed(
    scene: Scene, tmp_path: Path
) -> None:
    worker = scene.worker("w1", **with_till(tmp_path)).start().ready()
    till = TillLedger(tmp_path / "till.db")
    scene.shop.send(supplies())
    scene.feed([*paid_outside(60, "a"), *cancelled_at_once(15, "b")], until_ended=10)
    worker.kill()
    assert scene.under_way() > 10, "the kill did not bite"
    worker.start()
    scene.shop.send(paid_outside(15, "c"))
    scene.endings.wait_for(90, 90)
    scene.prove()
    ended, taken, kept = scene.endings.ended, till.taken(), till.kept()
    assert max(taken.values()) == 1, "an order was charged twice"
    assert kept == {order: 1 for order, how in ended.items() if how == "COMPLETED"}
    for order, how in ended.items():
        kind = order.split("-")[1]
        assert how == KINDS[kind] or (order.startswith("b-") and how == "requested"), (order, how)
    assert any(how == "requested" for how in ended.values())
    abroad = [order for order in ended if "abroad" in order]
    assert all(taken[order] == 1 and not kept[order] for order in abroad), "none was paid back"


@pytest.mark.slow("two lives of a worker")
def test_an_order_waits_for_a_provider_that_no_worker_has_until_there_is_one_or_a_person_resolves_it(
    scene: Scene, tmp_path: Path
) -> None:
    worker = scene.worker("w1").start().ready()
    scene.shop.send(
        [{"order_id": name, "amount": "5.00", "payment_method": "till:fine"} for name in ("o1", "4711")]
    )
    worker.wait_for("an order waits for provider till, and SAGA_PROVIDERS of this worker does not have it")
    address = f"http://127.0.0.1:{worker.port}"
    why = json.loads(urllib.request.urlopen(f"{address}/readyz", timeout=10).read())["why"]
    assert why == "2 effects wait for till, which SAGA_PROVIDERS does not name"
    metrics = urllib.request.urlopen(f"{address}/metrics", timeout=10).read().decode()
    assert "saga_effects_without_provider 2.0" in metrics
    until(lambda: "effects wait for till" in _page(address), 20, lambda: _page(address))
    assert sorted(saga(scene, "effects", "-o", "name").out.split()) == ["4711", "o1"]
    see, history, resolve, after = map(shlex.split, blocks("docs/how-to/settle-doubt.md"))
    listed, past = saga(scene, *see[1:]), saga(scene, *history[1:])
    assert listed.code == past.code == 0 and "asked to do it" in listed.out, listed
    told = saga(scene, *resolve[1:])
    assert told.code == 0 and "DOING becomes REFUSED; the order is cancelled" in told.out, told
    scene.endings.wait_for(1, 30)
    assert "refused" in saga(scene, *after[1:]).out
    assert worker.end() == 0
    scene.worker("w2", **with_till(tmp_path, SAGA_PROVIDER_TILL_FAULTS="0")).start().ready()
    began = time.monotonic()
    scene.endings.wait_for(2, 60)
    assert scene.endings.ended == {"o1": "COMPLETED", "4711": "declined"}, (
        f"after {time.monotonic() - began:.1f} s"
    )


def _page(address: str) -> str:
    text: str = urllib.request.urlopen(f"{address}/topology/", timeout=10).read().decode()
    return text
