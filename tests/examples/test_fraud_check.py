"""`docs/how-to/add-a-step.md`, done to a copy of this project: the fraud check is added as it says, and holds."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.blocks import ROOT, blocks

ADD, TRY = blocks("docs/how-to/add-a-step.md")
UNIT, SIMULATE, LIVE = TRY.splitlines()
PARTS = ("agents", "tables", "saga_app", "harness", "tests", "examples", "setup.cfg", "pyproject.toml")
PYTHON = sys.executable
#: The programs that the scripts run in `.venv`, which the copy does not have.
SCRIPTS = {
    "scripts/test": f"{PYTHON} -m pytest -q -p no:cacheprovider",
    "scripts/simulate": f"{PYTHON} -m tests.simulation",
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This project with the fraud check."""
    folder = tmp_path_factory.mktemp("copy") / "saga"
    folder.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, folder)
    shell(folder, ADD)
    return folder


def shell(folder: Path, command: str) -> str:
    """The output of a command that must succeed in the copy."""
    for script, instead in SCRIPTS.items():
        command = command.replace(script, instead)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    return done.stdout


@pytest.mark.slow("a copy of the project, with test runs of its own")
def test_the_rule_refuses_clears_and_withdraws(copy: Path) -> None:
    assert re.search(r"\b5 passed", shell(copy, UNIT))


@pytest.mark.slow("a copy of the project, with test runs of its own")
def test_a_saga_of_four_steps_holds_under_every_fault_that_a_seed_draws(copy: Path) -> None:
    told = shell(copy, SIMULATE)
    assert told.splitlines()[-1].endswith(" 0 violations")
    inboxes = shell(copy, f"{PYTHON} -c 'from saga_app import topics; print(*topics.INBOXES)'").split()
    assert inboxes == [
        "checkout_events",
        "fraud_events",
        "payment_events",
        "inventory_events",
        "shipping_events",
    ]


@pytest.mark.slow("a copy of the project, with test runs of its own")
def test_orders_are_refused_by_it_and_undone_through_it_on_a_real_broker(copy: Path) -> None:
    assert re.search(r"\b1 passed", shell(copy, LIVE))


def test_the_page_says_how_many_lines_it_took() -> None:
    page = (ROOT / "docs/how-to/add-a-step.md").read_text("utf-8")
    example = ROOT / "examples/fraud_check"
    new = [path for path in (example / "new").rglob("*.py") if "tests" not in path.relative_to(example).parts]
    lines = sum(len(path.read_text("utf-8").splitlines()) for path in new)
    patch = (example / "lines.patch").read_text("utf-8").splitlines()
    added = sum(line.startswith("+") and not line.startswith("+++") for line in patch)
    assert f"{lines} lines in three new files and {added} more" in page and len(new) == 3
