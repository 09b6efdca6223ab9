"""Two audits of the same topics, compared."""

from pathlib import Path
from typing import Any

from saga_app.audit.checkpoints.folder import latest
from saga_app.audit.findings import Findings
from tests.audit.world import AuditWorld


def content(findings: Findings) -> tuple[Any, ...]:
    """The content of findings, to compare two audits."""
    figures = {invariant: +figures for invariant, figures in findings.figures.items()}
    return figures, sorted(map(str, findings.breaches)), findings.broken


def same(world: AuditWorld, folder: Path) -> Findings:
    """The findings from the checkpoint, after a comparison with those from the beginning."""
    assert latest(folder) is not None
    whole, found = world.audit(), world.audit(base=latest(folder))
    assert content(found) == content(whole)
    assert all(found.unchecked[each] <= whole.unchecked[each] for each in whole.unchecked)
    return found
