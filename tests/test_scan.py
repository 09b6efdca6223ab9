"""`scripts/scan` says that all is well only if a database of weaknesses was asked for every part."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.blocks import ROOT

GOOD: dict[str, Any] = {"name": "click", "version": "8.1.8", "vulns": []}
WEAK: dict[str, Any] = {**GOOD, "vulns": [{"id": "CVE-2026-1"}]}
SKIPPED = {"name": "click", "skip_reason": "Dependency not found"}


def scanned(folder: Path, answer: str) -> subprocess.CompletedProcess[str]:
    """Runs the part of the script that reads pip-audit's answer, with a pip-audit that gives this one."""
    script = (ROOT / "scripts/scan").read_text("utf-8")
    (program,) = re.findall(r"<<'PYTHON'\n(.*?)^PYTHON$", script, re.DOTALL | re.MULTILINE)
    audit = folder / "pip-audit"
    audit.write_text(f"#!{sys.executable}\nprint({answer!r})\n")
    audit.chmod(0o755)
    words = [sys.executable, "-", str(audit), str(folder / "weaknesses.json")]
    return subprocess.run(words, input=program, capture_output=True, text=True, check=False)


def test_parts_without_a_weakness_are_said_to_be_well(tmp_path: Path):
    done = scanned(tmp_path, json.dumps({"dependencies": [GOOD]}))
    assert (done.returncode, done.stdout) == (0, "scan: 1 parts, 0 known weaknesses (pypi)\n")


def test_a_weak_part_is_named(tmp_path: Path):
    done = scanned(tmp_path, json.dumps({"dependencies": [GOOD, WEAK]}))
    assert done.returncode == 1 and "click 8.1.8: CVE-2026-1" in done.stdout
    assert json.loads((tmp_path / "weaknesses.json").read_text()) == [GOOD, WEAK]


@pytest.mark.parametrize(
    "answer", ["", "no network", json.dumps({"dependencies": [GOOD, SKIPPED]}), '{"dependencies": []}']
)
def test_if_not_every_part_could_be_looked_up_nothing_is_said_to_be_well(tmp_path: Path, answer: str):
    done = scanned(tmp_path, answer)
    assert done.returncode == 3 and "COULD NOT LOOK" in done.stdout
