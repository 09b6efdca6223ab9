"""The options of `scripts/bench`."""

import argparse
from pathlib import Path

from bench import candidates
from bench.providers import ProviderPlan
from bench.trial import TrialPlan

DESCRIPTION = """The same saga, by everything that a user might take instead, on the same broker with the same orders.

Each candidate runs once in every round, in an order that rotates. A candidate whose orders do not end as they must
makes the run fail. Peers are installed below .run/bench, from lock files."""

EPILOG = """examples:
  scripts/bench                                   about 20 minutes on a quiet machine with 2 cores
  scripts/bench --quick                           about 3 minutes; says whether all is well, proves no figure
  scripts/bench --candidates ours,quix --rounds 5 --parts backlog
  scripts/bench --parts kill                      kill -9 of one of two workers of ours
  scripts/bench --candidates ours,ours-2 --parts backlog,flash    a flash sale: nine of ten orders want one article
  scripts/bench --parts providers                 payments at a provider that answers after 50 and after 300 ms
  scripts/bench --growth 10000,100000             memory, disk, restarts and restores of ours; about 6 minutes
  scripts/bench --engines                         callers who wait: ours, Restate and DBOS; about 5 minutes
  scripts/bench --show .run/bench/bench.json      an earlier run once more, with its chart
  scripts/bench --publish                         also writes docs/images/bench.svg and bench.json beside it

exit code: 0 all orders of all candidates ended as they must, 1 some did not
"""
PARTS = ("backlog", "baskets", "latency", "kill")
#: Not among those that run when nobody chooses.
EXTRA = ("flash", "providers")


def parser() -> argparse.ArgumentParser:
    """The options with their help."""
    who = "\n".join(f"  {each.name:<13} {each.label}: {each.promise}" for each in candidates.ALL)
    parsed = argparse.ArgumentParser(
        prog="scripts/bench",
        description=DESCRIPTION,
        epilog=f"candidates ({', '.join(candidates.EXTRA)} only if named):\n{who}\n\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parsed.add_argument
    add("--quick", action="store_true", help="one round, few orders")
    add("--candidates", type=_names, default=[], metavar="NAME,...", help="these only")
    add(
        "--parts",
        type=_names,
        default=list(PARTS),
        metavar="PART,...",
        help=f"of {', '.join((*PARTS, *EXTRA))}",
    )
    add("--rounds", type=int, help="default: 3")
    add("--orders", type=int, help=f"in the backlog (default: {TrialPlan.orders:,})")
    add("--seconds", type=float, help=f"of each rate (default: {TrialPlan.seconds:g})")
    add("--rates", type=_rates, help=f"orders a second (default: {','.join(map(str, TrialPlan.rates))})")
    add("--warehouses", type=int, default=1, help="that the orders are spread over (default: 1)")
    add("--growth", type=_rates, metavar="ORDERS,...", help="only what tables of so many orders cost us")
    add("--engines", action="store_true", help="only what waiting callers get: ours, Restate and DBOS")
    add("--json", type=Path, metavar="FILE", help="where all figures go (default: .run/bench/bench.json)")
    add("--show", type=Path, metavar="FILE", help="measures nothing: prints and draws this run")
    add("--publish", action="store_true", help="also write docs/images/bench.svg and bench.json")
    return parsed


def rounds(asked: argparse.Namespace) -> int:
    """How often everything is measured."""
    return int(asked.rounds or (1 if asked.quick else 3))


def plan(asked: argparse.Namespace) -> TrialPlan:
    """The plan of each run of a candidate."""
    orders = asked.orders or (3_000 if asked.quick else TrialPlan.orders)
    rates = asked.rates or ((200,) if asked.quick else TrialPlan.rates)
    latency = "latency" in asked.parts
    return TrialPlan(
        orders=orders,
        baskets=orders // 5 if "baskets" in asked.parts else 0,
        flash=orders if "flash" in asked.parts else 0,
        warm_up=orders // 2,
        rates=rates if latency else (),
        half=latency and not asked.quick,
        seconds=asked.seconds or (2.0 if asked.quick else TrialPlan.seconds),
        warehouses=asked.warehouses,
    )


def provider_plan(asked: argparse.Namespace) -> ProviderPlan:
    """The plan of each round with a provider."""
    if asked.quick:
        return ProviderPlan(orders=asked.orders or 200, seconds=asked.seconds or 2.0)
    return ProviderPlan(
        orders=asked.orders or ProviderPlan.orders,
        rate=asked.rates[0] if asked.rates else ProviderPlan.rate,
        seconds=asked.seconds or ProviderPlan.seconds,
    )


def _names(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]


def _rates(text: str) -> tuple[int, ...]:
    return tuple(map(int, _names(text)))
