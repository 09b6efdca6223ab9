"""All faults by name: `docs/explanation/proof.md` says what each of them shows."""

from collections.abc import Sequence
from typing import Final

from tests.chaos.fault import ChaosFault
from tests.chaos.faults import broker, disk, kill, network, provider, stop, zombie

ALL: Final[Sequence[ChaosFault]] = (*kill.ALL, *zombie.ALL, *stop.ALL, *broker.ALL, *disk.ALL, *network.ALL)
#: Those of a run with a provider.
OF_PROVIDER: Final[Sequence[ChaosFault]] = provider.ALL


def chosen(names: Sequence[str]) -> list[ChaosFault]:
    """The faults of these names, or whose names begin with one and a dot; `ValueError` for an unknown name."""
    found = []
    for name in names:
        some = [
            fault for fault in (*ALL, *OF_PROVIDER) if fault.name == name or fault.name.startswith(f"{name}.")
        ]
        if not some:
            raise ValueError(
                f"no fault is called {name!r}; there are {', '.join(fault.name for fault in ALL)}"
            )
        found += some
    return found
