"""The options of `scripts/chaos`, and the command that repeats a run."""

import argparse
from pathlib import Path
from typing import Final

from tests.chaos import faults

DESCRIPTION = (
    "Faults against a real Kafka while orders run; then everything must end and the audit must hold."
)
EPILOG = """examples:
  scripts/chaos                              three minutes with a fresh seed
  scripts/chaos --minutes 30 --seed 4711     half an hour; the same seed draws the same faults
  scripts/chaos --kills 200                  until 200 kill -9 and 20 zombies hit with work in flight
  scripts/chaos --kills 100 --provider       with money at a provider that fails and goes away
  scripts/chaos --kills 40 --api --outbox --webhooks    with orders over HTTP and an outbox, and outcomes to an endpoint
  scripts/chaos --only zombie,network        some faults only
  scripts/chaos --seed 4711 --plan           what that seed draws, without doing it

Ctrl-C ends the faults; the audit follows. Twice: it ends at once.
exit code: 0 everything holds, 1 a violation, 2 the run did not bite and proves nothing
"""
#: Options that add a process between shop and topics, which is killed too; each has an invariant of its own.
DOORS: Final = {
    "api": "orders come through `saga api` too: each that it acknowledged is there, and ended as it said",
    "outbox": "orders come through `saga outbox` too: each committed row is relayed in its sequence, and gone",
    "webhooks": "an endpoint hears how orders end: each outcome comes, under its one id",
}


def parser() -> argparse.ArgumentParser:
    """The parser of the options."""
    names = "\n".join(f"  {fault.name:<16} {fault.help}" for fault in faults.EVERY)
    parsed = argparse.ArgumentParser(
        prog="scripts/chaos",
        description=DESCRIPTION,
        epilog=f"faults:\n{names}\n\n{EPILOG}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    length = parsed.add_mutually_exclusive_group()
    length.add_argument(
        "--minutes", type=float, default=3.0, help="how long faults are injected (default: 3)"
    )
    length.add_argument(
        "--kills",
        type=int,
        help="until so many kill -9 and a tenth as many zombies (at least one) have bitten",
    )
    parsed.add_argument("--seed", help="decides faults, victims, pauses and orders (default: a fresh one)")
    parsed.add_argument("--workers", type=int, choices=(2, 3), default=3, help="default: 3")
    parsed.add_argument("--rate", type=float, default=30, help="orders a second (default: 30)")
    parsed.add_argument(
        "--hostile", type=float, default=1, help="hostile records a second, 0 for none (default: 1)"
    )
    parsed.add_argument(
        "--provider",
        action="store_true",
        help="a third of the orders is paid at a Stripe that fails; at the end its ledger must be the journal's",
    )
    for option, words in DOORS.items():
        parsed.add_argument(f"--{option}", action="store_true", help=words)
    parsed.add_argument(
        "--only", metavar="FAULT,...", help="these faults only, or all of a family: kill,disk.flip"
    )
    parsed.add_argument(
        "--folder", type=Path, help="broker, logs and report stay there (default: removed if all holds)"
    )
    parsed.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there")
    parsed.add_argument(
        "--plan", action="store_true", help="print the first 40 faults of the seed, and do nothing"
    )
    return parsed


def command(asked: argparse.Namespace, seed: str) -> str:
    """Draws the same plan."""
    length = f"--kills {asked.kills}" if asked.kills else f"--minutes {asked.minutes:g}"
    more = "".join(f" --{option}" for option in faults.OF_OPTIONS if getattr(asked, option))
    only = f" --only {asked.only}" if asked.only else ""
    rates = f"--rate {asked.rate:g} --hostile {asked.hostile:g}"
    return f"scripts/chaos {length} --seed {seed} --workers {asked.workers} {rates}{more}{only}"
