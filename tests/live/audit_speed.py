"""How fast the audit is, and how much memory it needs: `python -m tests.live.audit_speed --orders 20000 --more 2000`.

A worker decides the orders; then all of them are audited from the first record, once more for a checkpoint; more orders
come, and are audited from the checkpoint, and all of them from the first record again. With `--rebuild` the changelogs
are made anew instead of the audits. CPU is that of all processes of a command, memory the sum of what each of them had
at most (VmHWM).
"""

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import psutil
from confluent_kafka import Producer

import tables
from harness.log import BrokerOffsets
from harness.orders import Sent, orders, supplies
from harness.ports import free_port
from harness.process import ROOT
from harness.worker import WorkerProcess, environment
from saga_app import topics, wire
from saga_app.kafka import topic_admin
from saga_app.local.broker import Broker
from saga_app.settings import Settings
from tests.live.commands import SAGA

APP = "audit-speed"


def load(broker: str, records: Iterable[Sent]) -> None:
    """Sends all; nothing of it is kept in memory, as a shop of tests does."""
    producer = Producer({"bootstrap.servers": broker, "partitioner": "murmur2_random", "linger.ms": 50})
    for fields in records:
        value = json.dumps(fields).encode()
        record = wire.decode(value)
        while True:
            try:
                producer.produce(topics.topic_of(record), value, topics.key_of(record).encode())
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    assert producer.flush(120) == 0


def decide(broker: str, worker: WorkerProcess, records: Iterable[Sent], seconds: float) -> float:
    """All of them are decided; the seconds that it took."""
    began = time.monotonic()
    worker.start().ready()
    load(broker, records)
    BrokerOffsets(broker, APP).wait_until_quiet(seconds)
    worker.end()
    return time.monotonic() - began


def peak(process: psutil.Process) -> int:
    """The most memory that the process had until now, in KiB; 0 where it has gone."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def audit(broker: str, folder: Path, *words: str) -> dict[str, Any]:
    """One `saga audit`, measured."""
    return measured(broker, folder, "audit", *words)


def measured(broker: str, folder: Path, *words: str) -> dict[str, Any]:
    """One command with an audit, and what it says of it and of rows."""
    told = environment(broker, folder / "nothing", free_port(), SAGA_APP_ID=APP)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    peaks: dict[int, int] = {}
    with (folder / "audit.log").open("w+") as log:
        process = subprocess.Popen([SAGA, *words], env=told, cwd=ROOT, stdout=log, stderr=log)
        family = psutil.Process(process.pid)
        while process.poll() is None:
            for each in [family, *family.children(recursive=True)]:
                peaks[each.pid] = max(peaks.get(each.pid, 0), peak(each))
            time.sleep(0.2)
        log.seek(0)
        said = log.read()
    assert process.returncode == 0, said
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "words": " ".join(words),
        "said": [line for line in said.splitlines() if line.startswith("audit:") or "written in" in line],
        "seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "peak_mib": round(sum(peaks.values()) / 1024),
        "largest_process_mib": round(max(peaks.values()) / 1024),
    }


def size(folder: Path) -> int:
    """MiB of all files on the disk; a segment's index is made larger than what is in it."""
    return round(sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file()) / 1024**2)


def measure(
    folder: Path, count: int, more: int, seconds: float, *, rebuild: bool
) -> Iterable[dict[str, Any]]:
    with Broker(folder / "kafka") as broker:
        names = tuple(table.name for table in tables.ALL)
        wanted = topics.wanted(APP, names, topics.DEFAULT_PARTITIONS)
        topic_admin.ensure(Settings(broker=broker.address, app_id=APP), wanted)
        worker = WorkerProcess(broker.address, folder, SAGA_APP_ID=APP)
        load(broker.address, supplies())
        took = decide(broker.address, worker, orders(count), seconds)
        yield {"orders": count, "decided_in_seconds": round(took), "topics_mib": size(folder / "kafka")}
        if rebuild:
            yield measured(broker.address, folder, "rebuild", "--from-inboxes", "--dry-run")
            yield measured(broker.address, folder, "rebuild", "--from-inboxes", "--yes")
            return
        checkpointed = ("--checkpoint", str(folder / "audits"))
        yield audit(broker.address, folder)
        yield {**audit(broker.address, folder, *checkpointed), "checkpoint_mib": size(folder / "audits")}
        decide(broker.address, worker, orders(more, seed=2, prefix="more"), seconds)
        yield {"orders": more}
        yield audit(broker.address, folder, *checkpointed)
        yield audit(broker.address, folder)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.live.audit_speed", description=__doc__)
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--more", type=int, default=2_000)
    parser.add_argument(
        "--folder", type=Path, help="where topics and tables are kept meanwhile (default: TMPDIR)"
    )
    parser.add_argument("--seconds", type=float, default=3_600, help="until the orders are decided, at most")
    parser.add_argument(
        "--rebuild", action="store_true", help="measure `saga rebuild --from-inboxes` instead"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        os.environ["TMPDIR"] = name
        for line in measure(
            Path(name), options.orders, options.more, options.seconds, rebuild=options.rebuild
        ):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
