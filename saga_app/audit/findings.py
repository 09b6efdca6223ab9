"""The findings of an audit: figures for each invariant, and every breach with its place."""

import json
from collections import Counter
from collections.abc import Collection
from decimal import Decimal
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from saga_app.kafka.messages import Place, located

#: The invariants that are checked, as `docs/explanation/proof.md` states them.
INVARIANTS: Final = {
    "I1": "money",
    "I2": "stock",
    "I3": "one ending",
    "I4": "all or nothing",
    "I5": "reverse order",
    "I6": "nothing from nowhere",
    "I7": "one truth",
    "I8": "accounted for",
    "I9": "durable first",
    "I13": "one charge",
    "I14": "outcomes told",
}

#: At most so many breaches of one invariant are kept; further ones are only counted.
MOST_KEPT: Final = 100


class Mending(StrEnum):
    """The way in which a breach is mended; `saga_app/audit/mending.py` has the advice for each."""

    REBUILD = "rebuild"
    DISK = "disk"
    ADVANCE = "advance"
    MOVE = "move"
    ASK_AGAIN = "ask_again"
    LETTER_AGAIN = "letter_again"
    SEND_AGAIN = "send_again"
    FORGED = "forged"
    FORGED_LETTER = "forged_letter"
    TWO_ENDINGS = "two_endings"
    HALF_DONE = "half_done"
    PAST = "past"
    GONE = "gone"
    BALANCE = "balance"
    IN_DOUBT = "in_doubt"
    OUTCOME = "outcome"
    BY_HAND = "by_hand"


class Breach(NamedTuple):
    """One broken invariant: where it is, and the field of a row or record that shows it."""

    invariant: str
    what: str
    place: Place | None = None
    offset: int | None = None
    order: str | None = None
    field: str | None = None
    #: No part of the breach's id: a better advice makes no other breach.
    mending: Mending = Mending.BY_HAND

    def __str__(self) -> str:
        parts = [
            self.order and f"order {self.order}",
            self.where,
            self.field and f"field {self.field}",
        ]
        where = ", ".join(part for part in parts if part)
        return f"{where}: {self.what}" if where else self.what

    @property
    def where(self) -> str | None:
        """The place of its record; where no record is known, the partition; None if it is in none."""
        if self.place is None:
            return None
        topic, partition = self.place
        return f"{topic}[{partition}]" if self.offset is None else located(self.place, self.offset)

    @property
    def id(self) -> str:
        """A digest of the whole breach: the same breach of a later audit has the same id."""
        content = json.dumps([self.invariant, self.as_json()], sort_keys=True)
        return blake2b(content.encode(), digest_size=6).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """As JSON; fields without a value are left out."""
        topic, partition = self.place or (None, None)
        fields = {
            "order": self.order,
            "topic": topic,
            "partition": partition,
            "offset": self.offset,
            "field": self.field,
            "what": self.what,
        }
        return {name: value for name, value in fields.items() if value is not None}


class Findings:
    """Figures and breaches. Each check has its own, and the audit adds them up."""

    def __init__(self) -> None:
        #: By invariant and name: counts, and sums of money.
        self.figures: dict[str, Counter[str]] = {name: Counter() for name in INVARIANTS}
        self.breaches: list[Breach] = []
        #: The number of breaches by invariant, with those that are not kept.
        self.broken: Counter[str] = Counter()
        #: Breaches that somebody has acknowledged; they are neither in `breaches` nor in `broken`.
        self.acknowledged: list[Breach] = []
        #: Why something could not be checked, and how often.
        self.unchecked: dict[str, Counter[str]] = {name: Counter() for name in INVARIANTS}

    def count(self, invariant: str, name: str, number: int | Decimal = 1) -> None:
        """Adds to a figure."""
        self.figures[invariant][name] += number  # type: ignore[assignment]

    def breach(self, breach: Breach) -> None:
        """Adds a breach."""
        self.broken[breach.invariant] += 1
        if self.broken[breach.invariant] <= MOST_KEPT:
            self.breaches.append(breach)

    def claim_less(self, invariant: str, why: str, number: int = 1) -> None:
        """Notes that something could not be checked."""
        self.unchecked[invariant][why] += number

    def add(self, other: "Findings") -> None:
        """Adds the findings of another check."""
        for invariant in INVARIANTS:
            self.figures[invariant].update(other.figures[invariant])
            self.unchecked[invariant].update(other.unchecked[invariant])
            kept = [each for each in self.breaches if each.invariant == invariant]
            new = [each for each in other.breaches if each.invariant == invariant]
            self.breaches.extend(new[: max(0, MOST_KEPT - len(kept))])
        self.broken.update(other.broken)

    def acknowledge(self, ids: Collection[str]) -> None:
        """Breaches with these ids count no more, and stay in the report."""
        known = [each for each in self.breaches if each.id in ids]
        self.acknowledged.extend(known)
        self.breaches = [each for each in self.breaches if each.id not in ids]
        self.broken -= Counter(each.invariant for each in known)

    @property
    def is_whole(self) -> bool:
        """True if everything could be checked."""
        return not any(self.unchecked.values())

    @property
    def holds(self) -> bool:
        """True if no invariant is broken, apart from acknowledged breaches."""
        return not self.broken
