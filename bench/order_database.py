"""`scripts/bench-orders`: records per second into the order database, from a backlog that a real worker has made.

Records are those of all topics that are copied: inboxes, changelogs, dead letters. `events` are those of the inboxes
alone. CPU is this process's; a PostgreSQL server's comes on top.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from harness.copies import copy
from harness.orders import orders, supplies
from harness.postgres import MISSING, binaries, server
from harness.scene import Scene
from saga_app.local.broker import Broker
from saga_app.settings import Settings


def backlog(scene: Scene, count: int) -> int:
    """So many orders, from their placing to their ends; the records in the inboxes."""
    scene.shop.send(supplies())
    scene.shop.send(orders(count))
    worker = scene.worker("w1").start()
    scene.endings.wait_for(count, 600)
    scene.log.wait_until_quiet()
    worker.end()
    return scene.log.inboxes()


def measure(scene: Scene, events: int, name: str, url: str) -> dict[str, Any]:
    """Everything, into an empty database."""
    began, used = time.monotonic(), time.process_time()
    records = copy(Settings(broker=scene.broker, app_id=scene.app_id, db_url=url))
    took, cpu = time.monotonic() - began, time.process_time() - used
    return {
        "database": name,
        "records": records,
        "seconds": round(took, 1),
        "records_per_second": round(records / took),
        "events_per_second": round(events / took),
        "cpu_us_per_record": round(cpu / records * 1e6, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/bench-orders", description=__doc__)
    parser.add_argument("--orders", type=int, default=20_000, help="orders in the backlog (default: 20000)")
    parser.add_argument("--rounds", type=int, default=1, help="how often everything is measured (default: 1)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as text, Broker(Path(text) / "kafka") as broker:
        scene = Scene(broker.address, Path(text), "bench")
        try:
            events = backlog(scene, options.orders)
            for number in range(options.rounds):
                url = f"sqlite:///{text}/orders-{number}.db"
                print(json.dumps(measure(scene, events, "sqlite", url)), flush=True)
                if binaries() is None:
                    print(MISSING)
                    continue
                for postgres in server():
                    print(
                        json.dumps(measure(scene, events, "postgresql", postgres.create("orders"))),
                        flush=True,
                    )
        finally:
            scene.close()


if __name__ == "__main__":
    main()
