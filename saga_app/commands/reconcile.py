"""`saga reconcile`: compares a provider's ledger with the journals, and cancels what takes nothing and nobody wants."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from saga_app import times
from saga_app.commands.args import TimeParam
from saga_app.commands.render.output import CommandFailed, as_json, must_want_it, one_line_errors, show
from saga_app.effects.configured import close, inner
from saga_app.effects.ledgers import LedgerNotTold, compared, provider_of
from saga_app.effects.ports import Provider
from saga_app.effects.reconcile import Kind, LedgerDifference
from saga_app.kafka.reachable import require_broker
from saga_app.operator_log import log_action
from saga_app.settings import Settings


@click.command()
@click.argument("provider")
@click.option(
    "--since",
    metavar="TIME",
    type=TimeParam(),
    help="Asked for since then: a time, or 30m, 12h, 7d ago. [default: 1d]",
)
@click.option("--tidy", is_flag=True, help="Cancel the orphans at the provider.")
@click.option("--yes", is_flag=True, help="Do not ask before something is cancelled.")
@as_json
@one_line_errors
def reconcile(provider: str, since: int | None, tidy: bool, yes: bool, as_json: bool) -> None:
    """Compare what a provider has with what the journals say; exit code 1 if they differ.

    \b
    saga reconcile stripe
    saga reconcile stripe --since 7d --tidy

    It has one line for each difference: `unwanted`, the provider has it, and no order wants it; `missing`, the journal
    says that it is done, and the provider does not; `amount`, both have it, with another amount; `orphan`, it takes
    nothing yet, and no order names it. What is still asked for is no difference. Both sides are read twice, since they
    change meanwhile. It wants the settings of the workers: SAGA_PROVIDERS and those of the provider.
    """
    settings = Settings.read()
    begin = _begin(settings, since)
    provider_of(settings, provider)
    require_broker(settings)
    try:
        differ = compared(settings, provider, begin)
    except LedgerNotTold as error:
        raise CommandFailed(str(error)) from error
    for each, step in differ.items():
        machine = {"step": step, **each._asdict()}
        people = (
            f"{each.kind:<9}order {each.order_id}, {step}, {each.reference or 'without a reference'}: "
            f"{provider} says {each.provider}; the journal says {each.journal}"
        )
        show(machine, people, as_json=as_json)
    left = _tidied(settings, provider, differ, yes=yes, as_json=as_json) if tidy else list(differ)
    if left:
        raise CommandFailed(f"{len(left)} differences; see docs/how-to/take-payments-with-stripe.md")


def _begin(settings: Settings, since: int | None) -> datetime:
    begin = datetime.fromtimestamp((times.now() - 86_400_000 if since is None else since) / 1000, UTC)
    kept = settings.order_retention
    if kept is not None and begin < datetime.now(UTC) - timedelta(milliseconds=kept):
        raise CommandFailed(
            "--since is longer ago than SAGA_ORDER_RETENTION: the rows of those orders are evicted"
        )
    return begin


def _tidied(
    settings: Settings, name: str, differ: Iterable[LedgerDifference], *, yes: bool, as_json: bool
) -> list[LedgerDifference]:
    """Cancels the orphans; the differences that are left."""
    orphans = [each for each in differ if each.kind is Kind.ORPHAN]
    left = [each for each in differ if each.kind is not Kind.ORPHAN]
    if not orphans:
        return left
    provider = provider_of(settings, name)
    cancel = getattr(inner(provider), "cancel", None)
    if cancel is None:
        raise CommandFailed("this provider has no way to cancel what no order names")
    must_want_it(yes, f"{len(orphans)} orphans would be cancelled at the provider.")
    log_action(settings, "reconcile", tidy=[each.reference for each in orphans])
    done = asyncio.run(_cancelled(provider, cancel, orphans))
    for each in orphans:
        is_done = each.reference in done
        people = f"{'cancelled' if is_done else 'not cancelled'} {each.reference}"
        show({"reference": each.reference, "cancelled": is_done}, people, as_json=as_json)
    return left + [each for each in orphans if each.reference not in done]


async def _cancelled(provider: Provider, cancel: Any, orphans: Iterable[LedgerDifference]) -> set[str]:
    try:
        return {each.reference for each in orphans if await cancel(each.reference)}
    finally:
        await close(provider)
