"""`scripts/bench`: see `options`."""

import argparse
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from bench import candidates, closed_loop, engines, machine, options
from bench.candidates import Candidate, Launch
from bench.chart import chart
from bench.environments import HOME, ROOT, NotToBeHad
from bench.growth import growth
from bench.kill import kill
from bench.page import page
from bench.peers.place import Place
from bench.process import ProcessFailed
from bench.providers import providers
from bench.quiet import PATIENCE, QuietGate
from bench.results import Results
from bench.trial import Course, TrialPlan, trial
from bench.verdict import Wrong
from bench.watch import TooSlow
from saga_app.local.broker import Broker

IMAGES = ROOT / "docs" / "images"


def main(words: Sequence[str] | None = None) -> int:
    """One run, or an earlier one once more; the exit code."""
    parser = options.parser()
    asked = parser.parse_args(words)
    if unknown := set(asked.parts) - {*options.PARTS, *options.EXTRA}:
        parser.error(f"no part is called {min(unknown)}")
    command = " ".join(["scripts/bench", *(words or sys.argv[1:])])
    if asked.engines:
        if unknown := set(asked.candidates) - {each.name for each in engines.ALL}:
            parser.error(f"no engine is called {min(unknown)}")
        seconds = asked.seconds or (2.0 if asked.quick else 10.0)
        return closed_loop.main(asked.candidates, seconds, command, asked.json, say)
    try:
        chosen = candidates.chosen(asked.candidates)
    except ValueError as error:
        parser.error(str(error))
    if asked.show:
        results = Results.load(asked.show)
    else:
        results = measured(asked, chosen, command)
        results.save(asked.json or HOME / ("growth.json" if asked.growth else "bench.json"))
    if results.trials:
        for folder in [HOME, *([IMAGES] if asked.publish else [])]:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "bench.svg").write_text(chart(results), "utf-8")
    if asked.publish:
        results.save(IMAGES / "bench.json")
    print(page(results))
    return 1 if results.wrong else 0


def measured(asked: argparse.Namespace, chosen: Sequence[Candidate], command: str) -> Results:
    """Every part that was asked for."""
    plan, rounds = options.plan(asked), options.rounds(asked)
    results = Results(
        command,
        datetime.now(UTC).isoformat(timespec="seconds"),
        machine.machine(),
        machine.versions(),
        {**asdict(plan), "rounds": rounds},
        [],
    )
    broker = Broker(HOME / "kafka", say=say)
    try:
        if asked.growth:
            results.growth = growth(broker.start().wait(), HOME / "data" / "growth", asked.growth, say)
            return results
        if {"backlog", "baskets", "flash", "latency"} & set(asked.parts):
            compare(
                results,
                installed(chosen, results),
                plan,
                broker.start().wait(),
                rounds,
                0 if asked.quick else PATIENCE,
            )
        for number in range(rounds if "kill" in asked.parts else 0):
            say(f"round {number + 1} of {rounds}: kill -9 of one of two workers")
            results.kills.append(kill(broker.start().wait().address, HOME / "data" / "kill", number + 1))
        if "providers" in asked.parts:
            with_providers(results, broker.start().wait(), asked)
    finally:
        broker.remove()
        shutil.rmtree(HOME / "data", ignore_errors=True)
    return results


def with_providers(results: Results, broker: Broker, asked: argparse.Namespace) -> None:
    """Every round of payments at a provider; the results name what went wrong."""
    gate = QuietGate(say, 0 if asked.quick else PATIENCE)
    for number in range(1, options.rounds(asked) + 1):
        try:
            results.providers += providers(broker, options.provider_plan(asked), number, gate, say)
        except (Wrong, TooSlow, ProcessFailed) as error:
            results.providers.append({"round": number, "wrong": str(error)})


def installed(
    chosen: Sequence[Candidate], results: Results
) -> list[tuple[Candidate, Callable[[Place], Launch]]]:
    """The candidates that can be installed here; the results name the others."""
    ready = []
    for candidate in chosen:
        try:
            ready.append((candidate, candidate.install(say)))
        except NotToBeHad as error:
            results.missing[candidate.label] = str(error)
    results.candidates = [
        {name: getattr(each, name) for name in ("name", "label", "promise", "workers", "slow")}
        for each, _ in ready
    ]
    return ready


def compare(
    results: Results,
    ready: list[tuple[Candidate, Callable[[Place], Launch]]],
    plan: TrialPlan,
    broker: Broker,
    rounds: int,
    patience: float,
) -> None:
    """Rounds in which everyone has a turn; the first turn moves on by one each time."""
    gate = QuietGate(say, patience)
    courses = {slow: Course(plan, slow) for slow in {each.slow for each, _ in ready}}
    if ready:
        # The broker's JVM is cold at first; nobody shall pay for that.
        first, launch = ready[0]
        warm = TrialPlan(orders=2_000, baskets=0, warm_up=8_000, rates=(), half=False)
        trial(first, launch, broker, Course(warm, slow=False), 0, QuietGate(say, patience=0))
    for number in range(rounds):
        turn = number % len(ready) if ready else 0
        for candidate, launch in [*ready[turn:], *ready[:turn]]:
            found = trial(candidate, launch, broker, courses[candidate.slow], number + 1, gate)
            results.trials.append(found)
            rate = found.figures.get("backlog", {}).get("per_second", 0.0)
            say(
                f"round {number + 1} of {rounds}: {candidate.name:<12} {found.wrong or f'{rate:,.0f} orders/s'}"
            )


def say(what: str) -> None:
    """Progress, with the seconds since the start."""
    print(f"{time.monotonic() - BEGAN:7.1f}  {what}", file=sys.stderr, flush=True)


BEGAN = time.monotonic()

if __name__ == "__main__":
    sys.exit(main())
