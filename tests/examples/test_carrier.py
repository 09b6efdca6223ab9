"""docs/how-to/call-your-own-service.md, done: a carrier is started, checked, named to a worker, and books a parcel."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.ports import free_port
from harness.scene import clear
from saga_app.local.broker import Broker
from tests.support.blocks import blocks
from tests.support.shell import Shell, answers, status

pytestmark = [pytest.mark.live, pytest.mark.slow("a worker, and a carrier that is killed")]

CARRIER, CHECK, KILL, WORKER, BOOK, LOOK = blocks("docs/how-to/call-your-own-service.md")
BASH = ("bash", "-euo", "pipefail", "-c")


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.close()


def test_the_page_leads_to_a_parcel_at_the_carrier(kafka: Broker, shell: Shell, tmp_path: Path):
    clear(kafka.address)
    port, web = free_port(), str(free_port())
    names = {
        "8900": str(port),
        "8901": str(free_port()),
        ".run/": f"{tmp_path}/",
        ". .venv/bin/activate\n": "",
    }
    settings = {
        "SAGA_BROKER": kafka.address,
        "SAGA_APP_ID": "parcels",
        "SAGA_DATA_DIR": f"{tmp_path}/data",
        "SAGA_WEB_PORT": web,
    }

    def block(text: str) -> list[str]:
        for name, instead in names.items():
            text = text.replace(name, instead)
        # A signal is for the program, and not for the shell that a terminal would keep.
        return [*BASH, re.sub(r"^(faust|python) ", r"exec \1 ", text, flags=re.MULTILINE)]

    log = shell.start(block(CARRIER), settings)
    answers(f"http://127.0.0.1:{port}/effects?since=2026-01-01T00:00:00Z", log)
    for each in (CHECK, KILL):
        checked = shell.run(block(each), settings)
        assert "ok      prevent seals" in checked and "BROKEN" not in checked
    assert "survives a kill" in checked
    log = shell.start(block(WORKER), settings)
    answers(f"http://127.0.0.1:{web}/readyz", log)
    shell.run(block(BOOK), settings)
    shell.answer([*BASH, "saga history parcel-1 | grep completed"], settings)
    found = shell.run(block(LOOK), settings)
    assert '"order_id": "parcel-1"' in found and re.search(
        r'"order_id": "parcel-1"[^}]*"outcome": "done"', found
    )
    assert status(f"http://127.0.0.1:{web}/readyz") == 200
