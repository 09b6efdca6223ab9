"""kill -9 of one of two workers while orders are placed: how long nothing ends, and the unluckiest order."""

import time
from pathlib import Path
from typing import Any, Final

from harness.orders import expected, orders, supplies
from harness.scene import Scene, clear

#: Orders a second, seconds of it, and the second in which the worker is killed.
RATE: Final = 50
SECONDS: Final = 20
KILLED_AFTER: Final = 4


def kill(broker: str, folder: Path, number: int) -> dict[str, Any]:
    """The longest time without an ending after the kill, and the slowest order; every order must end as it must."""
    clear(broker)
    scene = Scene(broker, folder, f"bench-kill-{number}")
    try:
        scene.worker("w1").start(), scene.worker("w2").start()
        for worker in scene.workers:
            worker.ready()
        scene.shop.send(supplies())
        pause = _load(scene)
        scene.endings.wait_for(RATE * SECONDS, 120)
        seen = scene.endings
        wrong = [n for n in range(RATE * SECONDS) if seen.ended[f"kill-{n}"] != expected(n)]
        assert not wrong, f"{len(wrong)} orders ended wrong after a kill, for example kill-{wrong[0]}"
        slowest = max(seen.ended_at[order] - placed for order, placed in seen.placed_at.items())
        return {"rate": RATE, "longest_pause_s": round(pause, 1), "longest_order_s": round(slowest / 1000, 1)}
    finally:
        scene.close()


def _load(scene: Scene) -> float:
    """Places the orders, kills in the midst of them; seconds of the longest pause after that."""
    began, killed, last, longest = time.monotonic(), False, 0.0, 0.0
    for number, order in enumerate(orders(RATE * SECONDS, prefix="kill")):
        time.sleep(max(0.0, began + number / RATE - time.monotonic()))
        scene.shop.post(order)
        if number == RATE * KILLED_AFTER:
            scene.workers[1].kill()
            killed, last = True, time.monotonic()
        known = len(scene.endings.ended)
        if scene.endings.poll(0) > known and killed:
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
    scene.shop.flush()
    return longest
