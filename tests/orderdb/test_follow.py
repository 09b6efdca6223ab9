"""Commands beside a real worker and a real copy: they follow an order, watch all, and run the how-to's commands."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.copies import CopyProcess, until_copied
from harness.ports import free_port
from harness.scene import Scene
from harness.worker import environment
from saga_app.settings import Settings
from tests.commands.terminal import PROGRAM
from tests.support.blocks import blocks

BLOCKS = blocks("docs/how-to/find-an-order.md")

pytestmark = [pytest.mark.live, pytest.mark.slow("a worker, a copy and six commands that watch them")]


class CopiedScene:
    """The topics of a scene, and a process that copies them."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self.scene = scene
        self.settings = Settings(
            broker=scene.broker, app_id=scene.app_id, db_url=f"sqlite:///{folder}/orders.db"
        )
        given = {"SAGA_APP_ID": scene.app_id, "SAGA_DB_URL": self.settings.db_url}
        self.env = {
            **environment(scene.broker, folder / "none", free_port(), **given),
            "PATH": f"{Path(PROGRAM[0]).parent}:{os.environ['PATH']}",
        }
        self.copying = CopyProcess(self.settings, folder / "orderdb.log").start()
        self.copying.wait_for("copying")
        until_copied(self.settings)

    def ask(self, *words: str) -> "subprocess.Popen[str]":
        """`saga` in the background, with pipes."""
        return subprocess.Popen([*PROGRAM, *words], stdout=subprocess.PIPE, text=True, env=self.env)


@pytest.fixture
def town(scene: Scene, tmp_path: Path) -> Iterator[CopiedScene]:
    town = CopiedScene(scene, tmp_path)
    yield town
    town.copying.close()


def test_orders_are_followed_from_before_they_are_placed_until_they_end(town: CopiedScene):
    watching = town.ask("watch", "--json", "--every", "0.2")
    good, bad = town.ask("order", "4711", "--follow"), town.ask("order", "4712", "--follow", "--json")
    try:
        assert watching.stdout is not None
        assert not any(json.loads(watching.stdout.readline())["orders"].values())
        town.scene.shop.send([{"order_id": "4711", "amount": "5"}, {"order_id": "4712", "amount": "5000"}])
        town.scene.worker("w1").start()
        lines = good.communicate(timeout=90)[0].splitlines()
        assert (good.returncode, lines[-1]) == (0, "Completed: paid, reserved, shipment booked.")
        told = [line.split("  ")[1] for line in lines if re.match(r"\d\d:\d\d:\d\d\.", line)]
        assert told[0] == "placed" and told[-1] == "checkout is told that it is completed" and len(told) == 5
        changes = [json.loads(line) for line in bad.communicate(timeout=90)[0].splitlines()]
        assert bad.returncode == 3
        assert changes[-1]["words"] == "Cancelled: over the payment limit. Nothing was paid or reserved."
        ended = {"PLACED": 0, "OPEN": 0, "CANCELLING": 0, "COMPLETED": 1, "CANCELLED": 1}
        # A line each 0.2 s.
        seen = (json.loads(watching.stdout.readline())["orders"] for _ in range(450))
        assert any(orders == ended for orders in seen)
    finally:
        for each in (watching, good, bad):
            each.kill()
            each.communicate()


def test_the_walk_of_the_how_to_does_what_it_says(town: CopiedScene):
    town.scene.shop.send([{"order_id": "4711", "amount": "5"}, {"order_id": "4711", "amount": "6"}])
    worker = town.scene.worker("w1").start()
    town.scene.endings.wait_for(1, 90)
    town.scene.log.wait_until_quiet()
    until_copied(town.settings)
    assert worker.code is None and len(BLOCKS) == 5
    said = [
        subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            env=town.env,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        ).stdout
        for block in BLOCKS
    ]
    first, letters, others, _, followed = said
    assert (
        "Completed: paid, reserved, shipment booked." in first and "dead letter, different_content" in first
    )
    assert "different_content" in letters and "no orders" in others and "COMPLETED" in others
    assert followed.endswith("Completed: paid, reserved, shipment booked.\n")
