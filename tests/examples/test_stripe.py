"""docs/how-to/take-payments-with-stripe.md, tried as it says: orders of every kind at a Stripe on this machine."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from saga_app.local.stripe.shop import KINDS
from tests.support.blocks import ROOT, blocks

(TRY,) = blocks("docs/how-to/take-payments-with-stripe.md")
#: How an order of each kind must end.
ENDINGS = {
    "saved": "completed",
    "present": "completed",
    "declined": "payment refused: declined by the provider",
    "secure": "payment refused: declined by the provider",
    "gone": "cancelled on request",
    "abroad": "undeliverable",
}


@pytest.mark.live
@pytest.mark.slow("a broker, a worker and a Stripe of its own, which is down for six seconds")
@pytest.mark.parametrize("more", ["", " --capture"])
def test_orders_of_every_kind_end_as_they_must_and_the_ledger_agrees(tmp_path: Path, more: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SAGA_")}
    command = f"{TRY.strip()}{more} --orders 12 --folder {tmp_path / 'run'}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    ended = dict(re.findall(r"^  (\S+-\d+) +(.*)$", done.stdout, re.MULTILINE))
    assert {kind.name for kind in KINDS} == ENDINGS.keys()
    assert len(ended) == 12
    for order_id, how in ended.items():
        assert how == ENDINGS[order_id.partition("-")[0]], order_id
    assert "Stripe is down for 6 s" in done.stdout
    assert "Stripe's ledger and the journal: 0 differences" in done.stdout
