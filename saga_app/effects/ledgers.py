"""A provider's ledger and the journals, read and compared."""

import asyncio
from datetime import datetime, timedelta
from typing import Final

from saga_app.core.records import StepName
from saga_app.effects import journals
from saga_app.effects.configured import close, configured
from saga_app.effects.ports import Effect, Provider
from saga_app.effects.reconcile import LedgerDifference, confirmed, differences
from saga_app.settings import Settings, SettingsError

#: A customer may begin a payment so long before the order: an authorisation lives for a week.
LEAD: Final = timedelta(days=8)
Found = dict[LedgerDifference, StepName]


class LedgerNotTold(Exception):
    """The provider did not tell its ledger; the message says why."""


def provider_of(settings: Settings, name: str) -> Provider:
    """Made anew for each event loop: its connections belong to one. `SettingsError` if nothing names it."""
    found = configured(settings).get(name)
    if found is None:
        raise SettingsError(f"SAGA_PROVIDERS does not name {name}; set it as for the workers")
    return found


def compared(settings: Settings, name: str, since: datetime) -> Found:
    """The differences, of effects that were asked for since then, with the step of each.

    Both sides are read twice if they differ, since they change meanwhile. Raises `LedgerNotTold`.
    """
    first = _differences(settings, name, since)
    if not first:
        return {}
    second = _differences(settings, name, since)
    return {each: second[each] for each in confirmed(first, second)}


def _differences(settings: Settings, name: str, since: datetime) -> Found:
    """The ledger is read first: what it has was asked for before, so its row is there."""
    ledger = asyncio.run(_ledger(provider_of(settings, name), since - LEAD))
    found: Found = {}
    for step, journal in journals.read(settings, name).items():
        of_step = [each for each in ledger if (each.step or StepName.PAYMENT) is step]
        found |= dict.fromkeys(differences(of_step, journal.rows, since, journal.is_evicted), step)
    return found


async def _ledger(provider: Provider, since: datetime) -> list[Effect]:
    try:
        return [each async for each in provider.ledger(since)]
    except Exception as error:
        raise LedgerNotTold(f"the ledger cannot be read: {type(error).__name__}: {error}") from error
    finally:
        await close(provider)
