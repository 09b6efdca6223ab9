"""A decision: a fold takes a record, its position and rows; it returns rows and records, and does nothing."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple, Protocol

from saga_app.core.numbers import Offset, Version
from saga_app.core.outcome import OutcomePut
from saga_app.core.records import Record
from saga_app.core.retention.rows import LowWatermark
from saga_app.core.rows import Balance, ClosedOrder, JournalRow, OrderRow, Row


class Position(NamedTuple):
    """The position of a record: its offset in the inbox partition and Kafka's time of it in milliseconds."""

    offset: Offset
    time: int
    partition: int = 0

    @property
    def version(self) -> Version:
        """The version of every row that this record changes."""
        return Version(self.offset)


class Verdict(StrEnum):
    """The fate of a record; every record gets exactly one."""

    APPLIED = "applied"
    REPEATED = "repeated"
    IGNORED = "ignored"
    SENT_ON = "sent_on"
    DEAD = "dead"


class Put(NamedTuple):
    """A row to be written."""

    table: str
    key: str
    row: Row


class Decision(NamedTuple):
    """Everything that follows from one record.

    `journal` is the row of its order, deposit, delivery or policy; `others` are rows of the journal, written before it.
    """

    verdict: Verdict
    journal: Put | None = None
    balances: tuple[Put, ...] = ()
    sends: tuple[Record, ...] = ()
    note: str | None = None
    others: tuple[Put, ...] = ()
    #: True if the note is about something that must not happen: people are called.
    alarm: bool = False
    #: For everybody outside; only checkout has them.
    outcomes: tuple[OutcomePut, ...] = ()

    @property
    def puts(self) -> tuple[Put, ...]:
        """All rows, in the sequence in which they are written."""
        return (*self.others, *((self.journal,) if self.journal else ()), *self.balances)


class Rows(Protocol):
    """The state of one partition as a decision sees it."""

    def order(self, key: str) -> OrderRow | ClosedOrder | None: ...

    def journal(self, key: str) -> JournalRow | None: ...

    def balance(self, key: str) -> Balance | None: ...

    def balances_of(self, owner: str) -> Iterable[Balance]:
        """The balances of this owner, in every unit: a customer's accounts in all currencies."""

    def policy(self) -> JournalRow | None:
        """The policy in force: the `policy:` row with the highest version."""

    def low_watermark(self, partition: int) -> LowWatermark | None:
        """The low watermark of that checkout partition: orders below it are evicted."""

    def entry(self, key: str) -> Row | None:
        """A row of the journal under any key."""


class Decider(Protocol):
    """The rules of one inbox: the state of a partition is a fold of its records, and of nothing else."""

    @property
    def accepts(self) -> tuple[type[Record], ...]:
        """Types of record that this inbox takes."""

    @property
    def journal(self) -> str:
        """The table with one row per order."""

    @property
    def balances(self) -> str | None:
        """The table of balances, if there is one."""

    def decide(self, record: Record, at: Position, rows: Rows) -> Decision:
        """Decides this record; `Rejected` if it must not be applied, `RowsMissing` if the store lost rows."""


IGNORED = Decision(Verdict.IGNORED)


def repeated(sends: Iterable[Record] = (), balances: Iterable[Put] = ()) -> Decision:
    """The recorded outcome, sent again."""
    return Decision(Verdict.REPEATED, balances=tuple(balances), sends=tuple(sends))


class Service(NamedTuple):
    """One inbox and its rules."""

    topic: str
    decider: Decider

    @property
    def tables(self) -> tuple[str, ...]:
        """The journal first."""
        return (
            (self.decider.journal,)
            if self.decider.balances is None
            else (self.decider.journal, self.decider.balances)
        )
