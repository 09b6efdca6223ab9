"""`scripts/simulate`: the whole system in memory under every fault that fits there; one seed decides everything."""

import argparse
import faulthandler
import logging
import sys
import time
from collections.abc import Sequence
from functools import partial

from tests.simulation import exhaustive, shrink
from tests.simulation.choices import Choices, choices
from tests.simulation.fault_mix import FAULTS, PROVIDER_FAULTS
from tests.simulation.processes import spread
from tests.simulation.seeds import SeedsReport, run, run_seed
from tests.simulation.violation import Violation

EPILOG = """examples:
  scripts/simulate                         5,000 seeds
  scripts/simulate --seeds 200000 --jobs 2 more of them, on two cores
  scripts/simulate --seeds 5000 --from 10000
  scripts/simulate --seed 1908             one seed, shrunk if it fails, with all that happens in it
  scripts/simulate --seed 1908 --whole     the same, not shrunk
  scripts/simulate --providers             seeds with payments at providers and parcels at a carrier
  scripts/simulate --exhaustive            every short history of one partition, and the whole saga of one order
  scripts/simulate --exhaustive --depth 2  with two crashes

exit code: 0 everything holds, 1 a violation
"""


def parser() -> argparse.ArgumentParser:
    """The parser of the options."""
    faults = "\n".join(f"  {name:<20} {meaning}" for name, meaning in {**FAULTS, **PROVIDER_FAULTS}.items())
    parsed = argparse.ArgumentParser(
        prog="scripts/simulate",
        description=__doc__,
        epilog=f"faults, of which each seed draws its own:\n{faults}\n\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parsed.add_argument("--seeds", type=int, default=5_000, metavar="N", help="how many (default: 5000)")
    parsed.add_argument(
        "--from", type=int, default=0, metavar="S", dest="first", help="the first (default: 0)"
    )
    parsed.add_argument("--jobs", type=int, default=1, metavar="J", help="processes (default: 1)")
    parsed.add_argument("--seed", type=int, metavar="S", help="run this one and print its trace")
    parsed.add_argument("--whole", action="store_true", help="do not shrink a seed that fails")
    parsed.add_argument(
        "--providers", action="store_true", help="effects outside, and the faults of those who have them"
    )
    parsed.add_argument("--exhaustive", action="store_true", help="try everything, in a small scope")
    parsed.add_argument("--depth", type=int, default=1, metavar="N", help="crashes in it (default: 1)")
    return parsed


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    options = parser().parse_args(arguments)
    if options.exhaustive:
        return exhaustive.main(options.depth, options.jobs, providers=options.providers)
    if options.seed is not None:
        return one(options.seed, whole=options.whole, providers=options.providers)
    seeds = range(options.first, options.first + options.seeds)
    return many(seeds, options.jobs, providers=options.providers)


def one(seed: int, *, whole: bool, providers: bool = False) -> int:
    """Replays a seed, and prints what happens in it."""
    of = choices(seed)
    _, broken = run(of, providers=providers)
    if broken is not None and not whole:
        of = shrink.shrink(of, providers=providers)
    if tell(of, providers=providers) is not None:
        return 1
    print(f"seed {seed}: everything holds")
    return 0


def tell(of: Choices, *, providers: bool = False) -> Violation | None:
    """Prints the trace of a run, and the rule that it breaks, if any."""
    world, broken = run(of, print, providers=providers)
    print(
        f"{world.partitions} partitions, {len(world.machines)} machines, {len(of.customers)} errands, ",
        end="",
    )
    print(
        f"{len(of.steps)} steps before the faults stop; drawn: {', '.join(sorted(world.fault_mix.faults)) or 'none'}"
    )
    if broken is not None:
        print(f"BROKEN  {broken}")
    return broken


def many(seeds: Sequence[int], jobs: int, *, providers: bool = False) -> int:
    """Runs seeds, says how it goes, and shrinks the first that fails."""
    report, began = SeedsReport(), time.monotonic()
    with spread(partial(run_seed, providers=providers), seeds, jobs, at_once=50) as outcomes:
        for outcome in outcomes:
            report.add(outcome)
            if outcome.broken is not None:
                print(f"seed {outcome.seed}: {outcome.broken}", flush=True)
    seconds = time.monotonic() - began
    print("\n".join(report.lines()))
    if report.broken:
        first = report.broken[0].seed
        again = f"--seed {first}{' --providers' if providers else ''}"
        print(f"\nseed {first}, shrunk (again: scripts/simulate {again}):")
        tell(shrink.shrink(choices(first), providers=providers), providers=providers)
    print(
        f"{report.seeds} seeds from {seeds[0] if seeds else 0} in {seconds:.0f} s, "
        f"{report.seeds / max(seconds, 0.001) * 60:.0f} a minute: {len(report.broken)} violations"
    )
    return 1 if report.broken else 0


if __name__ == "__main__":
    # Workers log what they mend, thousands of times; and a process that dies of a signal should say where.
    logging.disable(logging.WARNING)
    faulthandler.enable()
    sys.exit(main())
