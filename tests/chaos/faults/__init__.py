"""All faults by name: `docs/explanation/proof.md` says what each of them shows."""

from collections.abc import Mapping, Sequence
from typing import Final

from tests.chaos.fault import ChaosFault
from tests.chaos.faults import broker, disk, doors, kill, network, provider, stop, zombie

ALL: Final[Sequence[ChaosFault]] = (*kill.ALL, *zombie.ALL, *stop.ALL, *broker.ALL, *disk.ALL, *network.ALL)
#: By option, the faults that only a run with this option has.
OF_OPTIONS: Final[Mapping[str, Sequence[ChaosFault]]] = {
    "provider": provider.ALL,
    "api": doors.API,
    "outbox": doors.OUTBOX,
    "webhooks": doors.WEBHOOKS,
}
#: All that there are.
EVERY: Final = (*ALL, *(fault for some in OF_OPTIONS.values() for fault in some))


def chosen(names: Sequence[str]) -> list[ChaosFault]:
    """The faults of these names, or whose names begin with one and a dot; `ValueError` for an unknown name."""
    found = []
    for name in names:
        some = [fault for fault in EVERY if fault.name == name or fault.name.startswith(f"{name}.")]
        if not some:
            raise ValueError(
                f"no fault is called {name!r}; there are {', '.join(fault.name for fault in EVERY)}"
            )
        found += some
    return found
