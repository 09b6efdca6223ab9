"""docs/how-to/systemd.md, done under a real systemd: installed from a clone, started, an order completed, stopped."""

import re
import shutil
from pathlib import Path

import pytest

from harness.scene import clear
from saga_app.local.broker import Broker
from saga_app.local.config import free_ports, is_free
from tests.support.blocks import ROOT, blocks
from tests.support.own_systemd import own_systemd

INSTALL, SETTINGS, START, SEE = blocks("docs/how-to/systemd.md")
#: What installing needs is what the image copies, and the units.
CLONE = (
    *re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE),
    "examples",
)
#: A command takes its settings as the page says.
COMMAND = next(line for line in SEE.splitlines() if line.startswith("runuser"))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of this project, since installing it leaves files."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for part in " ".join(CLONE).split():
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, folder)
    return folder


@pytest.mark.nightly("installs the project with all of its packages, and starts a systemd")
def test_the_units_complete_an_order_and_stop_in_order(kafka: Broker, clone: Path, tmp_path: Path):
    clear(kafka.address)
    # Ports of this test: the last digit is the number of the worker, and 0 that of the pages.
    tens = (each // 10 for each in free_ports(20))
    port = next(ten for ten in tens if all(is_free(ten * 10 + last) for last in range(3)))
    for unit in (clone / "examples/systemd").glob("*.service"):
        unit.write_text(unit.read_text().replace("SAGA_WEB_PORT=606", f"SAGA_WEB_PORT={port}"))
    names = {
        "kafka-1:9092,kafka-2:9092,kafka-3:9092": kafka.address.replace("127.0.0.1", "127.1"),
        "SAGA_REPLICATION=3": "SAGA_REPLICATION=1",
        "6061": f"{port}1",
    }

    def own(block: str) -> str:
        for name, instead in names.items():
            block = block.replace(name, instead)
        return block

    with own_systemd(tmp_path) as systemd:
        systemd.shell(own(INSTALL), clone, 400)
        for block in (SETTINGS, START):
            systemd.shell(own(block), clone)
        # A copier that has just begun may be behind.
        assert "PROBLEM" not in systemd.answer(own(SEE), clone, 60)
        for words in (
            "receive PROBE:1 --warehouse probe",
            "place --order-id unit-1 --warehouse probe --line PROBE:1:0.01 --country GB",
            "order unit-1 --follow",
        ):
            command = own(COMMAND).replace("saga doctor", f"saga {words}")
            told = systemd.shell(f"cd /var/lib/saga/1\n{command}", clone)
        assert "completed" in told
        # All pages read the database that another unit writes, in a folder that is all that they may write.
        for last in (0, 1):
            systemd.shell(f"curl --fail --silent http://127.0.0.1:{port}{last}/orders/unit-1/", clone)
        # A page that nobody had opened, when nobody else has the database open: SQLite makes files beside it.
        systemd.shell("systemctl stop saga-orderdb saga-worker@1 saga-pages", clone)
        systemd.shell(f"curl --fail --silent http://127.0.0.1:{port}2/orders/unit-1/", clone)
        systemd.shell("systemctl stop saga-worker@2", clone)
        units = "saga-worker@1 saga-worker@2 saga-orderdb saga-pages"
        ended = systemd.shell(f"systemctl show --value -p NRestarts -p Result {units}", clone).split()
        assert sorted(ended) == ["0"] * 4 + ["success"] * 4
