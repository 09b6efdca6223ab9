"""The commands of docs/how-to/add-partitions.md, on two brokers: the balances come over, and orders go on."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.endings import Endings
from harness.log import BrokerOffsets
from harness.orders import orders, supplies
from harness.ports import free_port
from harness.scene import Scene
from harness.shop import Shop
from harness.worker import WorkerProcess, environment
from saga_app import topics
from saga_app.local.broker import Broker
from tests.live.commands import SAGA
from tests.live.test_topics import add_partitions, deposit_of
from tests.support.blocks import blocks

BLOCKS = blocks("docs/how-to/add-partitions.md")
MORE = 12

pytestmark = pytest.mark.nightly("two brokers, and every command of the page")


@pytest.fixture
def new_broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path / "new")
    try:
        yield broker.start().wait()
    finally:
        broker.remove()


def run(block: str, folder: Path, env: dict[str, str]) -> str:
    """The output of a block, as a person types it."""
    path = f"{Path(SAGA).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-ec", block],
        env={**env, "PATH": path},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.skipif(shutil.which("jq") is None, reason="the page uses jq: apt-get install jq")
def test_balances_are_carried_over_to_more_partitions(
    scene: Scene, new_broker: Broker, tmp_path: Path
) -> None:
    at_rest, saved, made, carried, compared = BLOCKS
    scene.shop.send([*list(supplies())[:4], *(deposit_of(f"ada-{number}") for number in range(3))])
    worker = scene.worker("w1").start(SAGA_ADDED_PARTITIONS="leave").ready()
    scene.feed(orders(20), until_ended=20)
    add_partitions(scene, topics.PAYMENT, topics.CHECKOUT)
    scene.log.wait_until_quiet()
    old = {
        "SAGA_APP_ID": scene.app_id,
        "SAGA_DB_URL": f"sqlite:///{tmp_path}/old.db",
        "SAGA_ADDED_PARTITIONS": "leave",
    }
    env = environment(scene.broker, tmp_path / "none", free_port(), **old)
    told = run(at_rest, tmp_path, env)
    assert "holds" in told.splitlines()[-1] and "COMPLETED" not in told.split("I1")[0]
    worker.end()
    run(saved, tmp_path, env)

    new = {"SAGA_PARTITIONS": str(MORE), "SAGA_DB_URL": f"sqlite:///{tmp_path}/new.db"}
    env = environment(new_broker.address, tmp_path / "none", free_port(), **new)
    run(made, tmp_path, env)
    second = WorkerProcess(new_broker.address, tmp_path, "w2", **new).start()
    try:
        second.ready()
        # A few of the 200 articles are enough: each is a command of a second.
        stock = (tmp_path / "stock.json").read_text().splitlines()[:3]
        (tmp_path / "stock.json").write_text("\n".join(stock) + "\n")
        run(carried, tmp_path, env)
        BrokerOffsets(new_broker.address, "saga", MORE).wait_until_quiet(60)
        told = run(compared, tmp_path, env)
        assert told.splitlines()[-1].startswith("audit: everything holds"), told
        assert not any(line.startswith(("<", ">")) for line in told.splitlines())
        endings = Endings(new_broker.address, MORE, from_beginning=True)
        Shop(new_broker.address, MORE).send([{"order_id": "next", "customer_id": "ada-1", "amount": "4.00"}])
        endings.wait_for(1, 60)
        assert endings.ended == {"next": "COMPLETED"}
        endings.close()
    finally:
        second.close()
