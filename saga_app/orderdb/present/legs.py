"""Where an order spent its time: from each record to the one that followed from it. No SQL here."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from saga_app.core import labels
from saga_app.core.records import OrderCancelled, OrderCompleted, OrderPlaced, StepName
from saga_app.core.route import NAMED, STEPS

Row = Mapping[str, Any]
#: By type of record, the service that takes it and what it does then. Other records bring an order no further.
_TAKEN: Final[Mapping[str, tuple[str, str]]] = {
    OrderPlaced.__name__: (StepName.CHECKOUT.value, "take the order"),
    **{step.do.__name__: (step.name.value, labels.STEPS[step.name].do) for step in NAMED},
    **{step.undo.__name__: (step.name.value, labels.STEPS[step.name].undo) for step in STEPS if step.undo},
}
_LAST: Final = (OrderCompleted.__name__, OrderCancelled.__name__)


class Leg(NamedTuple):
    """The time that a record lay in an inbox and was decided: the service, its work, and Kafka's milliseconds.

    `is_over` is False if the order waits there. `is_most` is True if that was more than half of all its time.
    """

    service: str
    what: str
    begins: int
    milliseconds: int
    is_over: bool
    is_most: bool = False


def legs(events: Sequence[Row], *, has_ended: bool, now: int) -> list[Leg]:
    """The legs of an order, from its events, the oldest first. Of repeated records the first one counts."""
    first: dict[str, Row] = {}
    for event in events:
        if event["type"] in _TAKEN or event["type"] in _LAST:
            first.setdefault(event["type"], event)
    records = sorted(first.values(), key=lambda event: event["time"])
    ends = [event["time"] for event in records[1:]]
    if records and not has_ended:
        ends.append(max(now, records[-1]["time"]))
    found = [
        Leg(*_TAKEN[event["type"]], event["time"], end - event["time"], place < len(records) - 1)
        for place, (event, end) in enumerate(zip(records, ends, strict=False))
        if event["type"] in _TAKEN
    ]
    whole = sum(leg.milliseconds for leg in found)
    return [leg._replace(is_most=len(found) > 1 and leg.milliseconds * 2 > whole) for leg in found]
