"""The proof of a run: an audit of all topics and of every worker's tables, and of repeats that no fault explains."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.log import parsed
from harness.process import ROOT
from harness.worker import environment
from saga_app import topics
from saga_app.kafka.chunks import chunks
from tests.chaos.payments import NAME
from tests.chaos.system import APP_ID, System, is_of_door
from tests.chaos.watch import PREFIX, is_forged
from tests.support.corpus import CARD

SAGA = str(Path(sys.executable).with_name("saga"))


def audit(system: System) -> list[dict[str, Any]]:
    """One object for each invariant, from `saga audit --json`; workers are stopped, so their tables are read too."""
    ledger: tuple[str, ...] = ()
    if system.payments is not None:
        # An intent that was made and never confirmed takes nothing: a kill at the wrong moment leaves one.
        _saga(system, "reconcile", NAME, "--tidy", "--yes")
        ledger = ("--provider", NAME)
    folders = [member.worker.data for member in system.supervisor.members if member.worker.data.exists()]
    compared = (word for folder in folders for word in ("--data-dir", str(folder)))
    done = _saga(system, "audit", "--json", *ledger, *compared)
    if done.returncode not in (0, 1) or not done.stdout:
        raise RuntimeError(f"saga audit ended with {done.returncode}: {done.stderr[-2000:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def _saga(system: System, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [SAGA, *words],
        env=environment(system.broker.address, system.folder, 6066, SAGA_APP_ID=APP_ID, **system.settings),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )


def repeats(system: System) -> int:
    """Requests and endings that are in the topics once more, for orders whose own input does not explain it.

    An order that came through a door, or was sent again, cancelled or nudged by its deadline, has requests sent again
    without any fault of a worker.
    """
    sent: Counter[tuple[str, str]] = Counter()
    touched = set(system.load.touched)
    for fields in _records(system):
        kind, order = str(fields.get("type")), fields.get("order")
        order_id = order.get("order_id") if isinstance(order, dict) else fields.get("order_id")
        if not isinstance(order_id, str) or not order_id.startswith(PREFIX) or is_of_door(order_id):
            continue
        if kind == "DeadlinePassed":
            touched.add(order_id)
        elif isinstance(order, dict) or kind in ("OrderCompleted", "OrderCancelled"):
            sent[kind, order_id] += 1
    return sum(count - 1 for (_, order_id), count in sent.items() if count > 1 and order_id not in touched)


def secrets(system: System) -> list[str]:
    """I12: card numbers in what workers logged."""
    return [
        f"{member.name} has logged a card number"
        for member in system.supervisor.members
        if CARD in member.worker.log.read_text(errors="replace")
    ]


def _records(system: System) -> Iterator[dict[str, Any]]:
    places = [(topic, each) for topic in topics.INBOXES for each in range(topics.DEFAULT_PARTITIONS)]
    config = {"bootstrap.servers": system.broker.address, "log_level": 3}
    for (topic, partition), end in system.log.ends(places).items():
        for chunk in chunks(config, topic, partition, 0, end):
            yield from (parsed(message.value()) for message in chunk if not is_forged(message))
