"""`scripts/chaos`: faults against a real Kafka while orders run; then everything must end and the audit must hold."""

import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import islice
from math import ceil
from pathlib import Path

from harness.postgres import MISSING, binaries
from tests.chaos import faults, options, plan, proof, report
from tests.chaos.page import page as as_page
from tests.chaos.report import ChaosReport
from tests.chaos.run import Run
from tests.chaos.system import System


def enough(minutes: float, kills: int | None, asked_to_end: Callable[[], bool]) -> Callable[[System], bool]:
    """When the last fault has been injected."""
    end = time.monotonic() + minutes * 60

    def bitten(system: System) -> bool:
        if asked_to_end():
            return True
        if kills is None:
            return time.monotonic() > end
        bit = [injection for injection in system.injections if injection.bit(system.watch.count)]
        zombies = sum(injection.fault == "zombie" for injection in bit)
        return sum(injection.kill for injection in bit) >= kills and zombies >= ceil(kills / 10)

    return bitten


def listen_to_signals() -> Callable[[], bool]:
    """A function that is True after SIGINT or SIGTERM. The first signal ends the faults, the second ends everything."""
    came: list[int] = []

    def note(number: int, frame: object) -> None:
        if came:
            sys.exit(128 + number)
        came.append(number)
        print("no more faults; everything ends, and the audit follows; once more to end at once", flush=True)

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, note)
    return lambda: bool(came)


def inflict(system: System, run: Run, told: ChaosReport) -> None:
    """The run and its proof."""
    run.go()
    report.fill(told, run)
    try:
        told.repeats = proof.repeats(system)
        told.invariants = [*proof.audit(system), *(door.invariant() for door in system.doors)]
    except Exception as error:
        told.violations.append(f"the audit could not be made: {error}")
    told.violations += report.breaches(told.invariants) + proof.secrets(system)


def main(words: Sequence[str] | None = None, asked_to_end: Callable[[], bool] = lambda: False) -> int:
    """One run; the exit code."""
    parser = options.parser()
    asked = parser.parse_args(words)
    seed = asked.seed or str(random.SystemRandom().randrange(1_000_000))
    try:
        options_on = [each for each in faults.OF_OPTIONS if getattr(asked, each)]
        usual = [*faults.ALL, *(fault for each in options_on for fault in faults.OF_OPTIONS[each])]
        some = faults.chosen(asked.only.split(",")) if asked.only else usual
    except ValueError as error:
        parser.error(str(error))
    for option, own in faults.OF_OPTIONS.items():
        if option not in options_on and {*own} & {*some}:
            parser.error(f"a fault of {option} wants --{option}")
    if asked.outbox and binaries() is None:
        parser.error(MISSING)
    strikes = plan.draw(seed, some, asked.workers)
    if asked.plan:
        print(*islice(strikes, 40), sep="\n")
        return 0
    folder = (asked.folder or Path(tempfile.mkdtemp(prefix="saga-chaos-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    command = options.command(asked, seed)
    print(f"{command}   (logs: {folder})", flush=True)
    began = time.monotonic()
    system = System(
        folder,
        asked.workers,
        seed,
        asked.rate,
        asked.hostile,
        lambda line: print(f"{time.monotonic() - began:7.1f}  {line}", flush=True),
        with_provider=asked.provider,
        with_doors=[each for each in options.DOORS if getattr(asked, each)],
    )
    told = ChaosReport(command, seed, 0, asked.workers, asked.rate)
    try:
        inflict(system, Run(system, strikes, enough(asked.minutes, asked.kills, asked_to_end)), told)
    finally:
        system.close()
    (folder / "chaos.md").write_text(as_page(told))
    figures = json.dumps(told.as_json(), indent=2)
    for file in (folder / "chaos.json", *([asked.json] if asked.json else [])):
        file.write_text(figures + "\n")
    print(as_page(told))
    print(told.verdict, flush=True)
    if not told.code and not asked.folder:
        shutil.rmtree(folder)
    return told.code


if __name__ == "__main__":
    sys.exit(main(asked_to_end=listen_to_signals()))
