"""`scripts/bench`: what this machine does; nothing is asserted but that every order ended as it must.

Backlog: orders wait when one worker starts. CPU is the worker's, user and system. Latency is Kafka's time
(`LogAppendTime`) of `OrderPlaced` to that of the ending. Recovery: one of two workers is killed under load; the
longest pause between two endings.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from saga_app.local.broker import Broker
from tests.live.orders import Sent, expected, orders, supplies
from tests.live.scene import Scene
from tests.live.worker import Worker

TICKS = os.sysconf("SC_CLK_TCK")


def cpu(worker: Worker) -> float:
    """Seconds of user and system time that the worker's process has used."""
    fields = Path(f"/proc/{worker.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def paced(records: Iterable[Sent], rate: float) -> Iterator[Sent]:
    """The records, so many a second."""
    began = time.monotonic()
    for number, record in enumerate(records):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        yield record


def check(scene: Scene, count: int, prefix: str) -> None:
    """Every order ended as it must."""
    wrong = [n for n in range(count) if scene.endings.ended.get(f"{prefix}-{n}") != expected(n)]
    if wrong:
        raise SystemExit(f"{len(wrong)} orders did not end as they must, for example {prefix}-{wrong[0]}")


def backlog(scene: Scene, count: int) -> dict[str, Any]:
    """Orders that wait when the worker starts; measured from the first 100 endings to the last."""
    scene.shop.send(supplies())
    scene.shop.send(orders(count, prefix="backlog"))
    worker = scene.worker("w1").start()
    scene.endings.wait_for(100, 120)
    began, used, first = time.monotonic(), cpu(worker), len(scene.endings.ended)
    scene.endings.wait_for(count, 600)
    took, done = time.monotonic() - began, count - first
    check(scene, count, "backlog")
    return {
        "orders": count,
        "orders_per_second": round(done / took),
        "cpu_ms_per_order": round((cpu(worker) - used) / done * 1000, 3),
    }


def latency(scene: Scene, rate: int, seconds: int) -> dict[str, Any]:
    """Orders placed at a steady rate."""
    worker, before = scene.workers[0], len(scene.endings.ended)
    count, prefix, used = rate * seconds, f"rate{rate}", cpu(worker)
    for record in paced(orders(count, prefix=prefix), rate):
        scene.shop.post(record)
        scene.endings.poll(0)
    scene.shop.flush()
    scene.endings.wait_for(before + count, 60)
    check(scene, count, prefix)
    ended, placed = scene.endings.ended_at, scene.endings.placed_at
    took = sorted(ended[f"{prefix}-{n}"] - placed[f"{prefix}-{n}"] for n in range(count))
    return {
        "rate": rate,
        "p50_ms": took[len(took) // 2],
        "p99_ms": took[int(len(took) * 0.99)],
        "cpu_ms_per_order": round((cpu(worker) - used) / count * 1000, 2),
    }


def recovery(scene: Scene, rate: int) -> dict[str, Any]:
    """kill -9 of one of two workers while orders are placed; the longest time without an ending after it."""
    second = scene.worker("w2").start().ready()
    before, count = len(scene.endings.ended), rate * 20
    killed, last, longest = 0.0, 0.0, 0.0
    for number, record in enumerate(paced(orders(count, prefix="kill"), rate)):
        scene.shop.post(record)
        if number == rate * 4:
            second.kill()
            killed = last = time.monotonic()
        known = len(scene.endings.ended)
        if scene.endings.poll(0) > known and killed:
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
    scene.shop.flush()
    scene.endings.wait_for(before + count, 120)
    check(scene, count, "kill")
    gaps = sorted(
        scene.endings.ended_at[f"kill-{n}"] - scene.endings.placed_at[f"kill-{n}"] for n in range(count)
    )
    return {"rate": rate, "longest_pause_s": round(longest, 1), "longest_order_s": round(gaps[-1] / 1000, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--orders", type=int, default=20_000, help="orders in the backlog (default: 20000)")
    parser.add_argument("--rounds", type=int, default=1, help="how often everything is measured (default: 1)")
    options = parser.parse_args()
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder, Broker(Path(folder) / "kafka") as broker:
            scene = Scene(broker.address, Path(folder), "bench")
            try:
                results = {
                    "round": number + 1,
                    "backlog": backlog(scene, options.orders),
                    "latency": [latency(scene, rate, 15) for rate in (50, 200)],
                    "kill": recovery(scene, 50),
                }
            finally:
                scene.close()
        print(json.dumps(results, indent=2), flush=True)


if __name__ == "__main__":
    main()
