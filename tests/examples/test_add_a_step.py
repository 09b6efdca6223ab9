"""docs/how-to/add-a-step.md, done: a module outside this project's packages becomes a step of the saga."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.ports import free_port
from harness.process import ROOT
from harness.scene import clear
from saga_app.local.broker import Broker
from tests.support.blocks import blocks
from tests.support.shell import Shell, answers

PAGE = "docs/how-to/add-a-step.md"
UNIT, NAME, ROUTE, SIMULATE, SERVICE = blocks("docs/how-to/add-a-step.md")
BASH = ("bash", "-euo", "pipefail", "-c")


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.close()


@pytest.mark.live
@pytest.mark.slow("a worker, and some hundred seeds")
def test_the_page_leads_to_orders_that_pass_the_step(kafka: Broker, shell: Shell, tmp_path: Path) -> None:
    clear(kafka.address)
    web = str(free_port())
    settings = {
        "SAGA_BROKER": kafka.address,
        "SAGA_APP_ID": "checked",
        "SAGA_DATA_DIR": f"{tmp_path}/data",
        "SAGA_WEB_PORT": web,
    }

    def block(text: str, then: str = "") -> list[str]:
        # The page's folder is that of this project.
        text = text.replace(". .venv/bin/activate\n", "").replace("PYTHONPATH=", f"PYTHONPATH={ROOT}:")
        return [*BASH, f"cd {ROOT}\n{text}\n{then}"]

    assert re.search(r"\b3 passed", shell.run(block(UNIT), settings))
    assert "fraud_check_events" in shell.run(block(NAME), settings)
    log = shell.start(block(NAME, "exec faust -A saga_app worker -l info"), settings)
    answers(f"http://127.0.0.1:{web}/readyz", log)
    told = shell.run(block(ROUTE), settings)
    assert "fraud_check,payment,inventory,shipping" in told
    place = """saga place '{"order_id": "big", "amount": "600.00"}' --wait"""
    refused = shell.answer(block(NAME, f"{place} || saga history big | grep -i declined"), settings)
    assert "declined" in refused.lower()
    assert shell.run(block(SIMULATE), settings).splitlines()[-1].endswith(" 0 violations")
    assert "fraud_service_events" in shell.run(block(SERVICE), settings)


def test_the_page_says_how_many_lines_each_module_has() -> None:
    page = (ROOT / PAGE).read_text("utf-8")
    for module in ("fraud_check", "fraud_service"):
        lines = len((ROOT / f"examples/{module}/{module}.py").read_text("utf-8").splitlines())
        assert re.search(rf"`examples/{module}/{module}\.py`[^.]*, in {lines} lines", page)
