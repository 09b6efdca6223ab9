"""Each provider that `SAGA_PROVIDERS` names, as it stands now: does it answer, and to this key?"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from saga_app.effects.configured import close, configured, inner
from saga_app.effects.ports import KeyRefused, NoAnswer, Provider, ProviderMode, ProviderReport
from saga_app.settings import Settings

#: Seconds that a provider's clock and ours may be apart: events that are older than minutes are refused.
APART: Final = 60.0


class ProviderFinding(NamedTuple):
    """One provider: is it as it must be, in words, and its mode if it has told one."""

    name: str
    is_well: bool
    words: str
    mode: ProviderMode | None = None


def findings(settings: Settings) -> list[ProviderFinding]:
    """All providers, asked at once; `SettingsError` if one cannot be made."""
    return asyncio.run(_all(settings))


async def _all(settings: Settings) -> list[ProviderFinding]:
    found = configured(settings)
    asked = (look(name, provider, settings.provider_timeout) for name, provider in found.items())
    return list(await asyncio.gather(*asked))


async def look(name: str, provider: Provider, seconds: float) -> ProviderFinding:
    """Asks one provider, which is given up then."""
    ask: Callable[[], Awaitable[ProviderReport]] | None = getattr(inner(provider), "report", None)
    try:
        if ask is None:
            return ProviderFinding(name, True, "it is set; it cannot tell how it stands")
        async with asyncio.timeout(seconds):
            report = await ask()
    except KeyRefused as error:
        return ProviderFinding(name, False, f"it answers, and refuses the key: {error}")
    except (NoAnswer, OSError, TimeoutError) as error:
        why = str(error) or f"nothing in {seconds:g} s"
        return ProviderFinding(name, False, f"it does not answer: {why}; orders wait for it")
    except Exception as error:
        return ProviderFinding(name, False, f"it cannot be asked: {type(error).__name__}: {error}")
    finally:
        await close(provider)
    return _told(name, report)


def _told(name: str, report: ProviderReport) -> ProviderFinding:
    mode = {None: "", ProviderMode.TEST: "in test mode", ProviderMode.LIVE: "in LIVE mode"}[report.mode]
    words, is_well = ["it answers", "it accepts the key", *filter(None, (mode,))], True
    if report.hears_events is not None:
        words.append(
            "its events are heard" if report.hears_events else "no secret for its events is set here"
        )
    if report.clock is not None:
        apart = abs((datetime.now(UTC) - report.clock).total_seconds())
        is_well = apart <= APART
        words.append(
            f"its clock is {apart:.0f} s from ours"
            if is_well
            else f"its clock is {apart:.0f} s from ours: set yours"
        )
    return ProviderFinding(name, is_well, ", ".join(words), report.mode)
