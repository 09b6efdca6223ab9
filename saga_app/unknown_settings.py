"""SAGA_... variables that nothing reads: most often a typing error in the name of a setting."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from saga_app.settings import given_names

#: Variables that are no settings: `scripts/run` writes the first two for `curl`, the others are for those who test.
OF_TOOLS: Final = (
    "SAGA_WEB",
    "SAGA_API",
    "SAGA_QUICK",
    "SAGA_TEST_SKIPS",
    "SAGA_EXPLORE",
    "SAGA_LOCAL_KAFKA_LOCK",
)


def unknown_settings(environment: Iterable[str]) -> list[str]:
    """A sentence for each variable that begins with SAGA_ and has no effect, with the nearest name that has one."""
    known = given_names()
    found = sorted(
        name
        for name in environment
        if name.startswith("SAGA_") and name not in known and name not in OF_TOOLS and not _of_provider(name)
    )
    return [f"{name} is no setting and has no effect{_hint(name, known)}" for name in found]


def _of_provider(name: str) -> bool:
    """True for an option of a provider: only its factory knows which ones it has."""
    return name.startswith("SAGA_PROVIDER_")


def _hint(name: str, known: list[str]) -> str:
    nearest = get_close_matches(name, known, n=1, cutoff=0.75)
    return f"; did you mean {nearest[0]}?" if nearest else "; `saga settings` lists all"
