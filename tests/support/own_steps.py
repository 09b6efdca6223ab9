"""Processes that know an own step of `examples/`."""

import os

from harness.process import ROOT

EXAMPLES = ROOT / "examples"


def with_step(name: str) -> dict[str, str]:
    """The environment of a process that knows this step."""
    return {"SAGA_STEPS": name, "PYTHONPATH": os.pathsep.join([str(ROOT), str(EXAMPLES / name)])}
