"""I14: the topic `order_outcomes` says of each ended order what its row says, and of no other order anything."""

from collections.abc import Iterator
from typing import Final, NamedTuple, Self

from saga_app import topics
from saga_app.audit.context import AuditContext
from saga_app.audit.findings import Breach, Findings, Mending
from saga_app.audit.scratch import FOLDED, Stores, side_by_side
from saga_app.core import outcome
from saga_app.core.checkout import Checkout
from saga_app.core.row_keys import order_in
from saga_app.core.rows import ClosedOrder, OrderRow, decode
from saga_app.kafka.chunks import chunks
from saga_app.kafka.headers import headers_of
from saga_app.kafka.messages import Place
from saga_app.kafka.order_outcomes import heard, outcome_value

#: The kind of scratch store that has the last record of each order.
OUTCOMES: Final = "outcomes"
#: Records that are kept before they are written.
_AT_A_TIME: Final = 2_000


class SaidOutcome(NamedTuple):
    """The last record of an order: only this one counts."""

    version: int
    offset: int
    value: bytes | None

    def packed(self) -> bytes:
        return b"%d %d %d %b" % (self.version, self.offset, self.value is not None, self.value or b"")

    @classmethod
    def of(cls, data: bytes) -> Self:
        version, offset, has_value, value = data.split(b" ", 3)
        return cls(int(version), int(offset), value if int(has_value) else None)


class OutcomesAudit:
    """The audit of the outcomes of one checkout partition."""

    def __init__(self, context: AuditContext, partition: int, stores: Stores) -> None:
        self.inbox: Place = (topics.CHECKOUT, partition)
        self.place: Place = (topics.ORDER_OUTCOMES, partition)
        self.findings = Findings()
        self._context = context
        self._said = stores.store(OUTCOMES, self.place)
        self._rows = stores.store(FOLDED, (Checkout.journal, partition))
        self._committed = context.limits.committed[self.inbox]

    def check(self) -> Findings:
        """Reads the topic whole, since it is compacted, and compares it with the rows."""
        self.findings.count("I14", "outcomes", 0)
        self._read()
        for key, row, said in side_by_side(self._rows.scan(), self._said.scan()):
            order_id = order_in(key) or key.decode(errors="replace")
            found = None if row is None or order_in(key) is None else decode(Checkout.journal, order_id, row)
            assert found is None or isinstance(found, OrderRow | ClosedOrder)
            self._compare(order_id, found, None if said is None else SaidOutcome.of(said))
        return self.findings

    def _compare(self, order_id: str, row: OrderRow | ClosedOrder | None, said: SaidOutcome | None) -> None:
        wanted = () if row is None else outcome.of_row(order_id, row)
        if not wanted:
            self._is_silent(order_id, row, said)
            return
        ((_, version, ended),) = wanted
        assert ended is not None
        if said is not None and said.version == version and said.value == outcome_value(order_id, ended):
            self.findings.count("I14", "outcomes")
        elif version >= self._committed:
            self.findings.count("I14", "outcomes under way")
        elif said is None:
            self._broken(order_id, said, f"the order is {ended.status}, and its outcome is not there")
        else:
            self._broken(order_id, said, f"the last outcome does not say what the row says: {ended.status}")

    def _is_silent(self, order_id: str, row: OrderRow | ClosedOrder | None, said: SaidOutcome | None) -> None:
        """The order is open, evicted, or was never there: nothing is said of it."""
        if said is None or said.value is None:
            return
        if isinstance(row, ClosedOrder) and row.version >= self._committed:
            self.findings.count("I14", "removals under way")
        elif self._may_be_newer(said):
            self.findings.count("I14", "outcomes under way")
        else:
            of = f"an order that is {row.status}" if isinstance(row, OrderRow) else "an order without a row"
            self._broken(order_id, said, f"an outcome of {of}")

    def _may_be_newer(self, said: SaidOutcome) -> bool:
        """True if the rows were taken from a changelog, perhaps just before the row of this outcome."""
        limits = self._context.limits
        is_behind = self._committed <= said.version < limits.end[self.inbox]
        return is_behind and not limits.is_whole(self.inbox)

    def _read(self) -> None:
        new: dict[bytes, SaidOutcome] = {}
        for key, said in self._records():
            data = self._said.get(key)
            known = new.get(key) or (None if data is None else SaidOutcome.of(data))
            if known is not None and said.version == known.version:
                self.findings.count("I14", "repeats")
            new[key] = said
            if len(new) >= _AT_A_TIME:
                self._write(new)
        self._write(new)

    def _write(self, new: dict[bytes, SaidOutcome]) -> None:
        self._said.write({key: said.packed() for key, said in new.items()}, self._said.reached)
        new.clear()

    def _records(self) -> Iterator[tuple[bytes, SaidOutcome]]:
        limits = self._context.limits
        first, end = limits.first[self.place], limits.found[self.place]
        for chunk in chunks(self._context.settings.kafka, *self.place, first, end):
            for message in chunk:
                offset = int(message.offset() or 0)
                found = heard(message.key(), message.value(), headers_of(message))
                if found is None:
                    what = "this record is no outcome of ours"
                    breach = Breach("I14", what, self.place, offset, mending=Mending.OUTCOME)
                    self.findings.breach(breach)
                    continue
                yield found.order_id.encode(), SaidOutcome(found.version, offset, found.value)

    def _broken(self, order_id: str, said: SaidOutcome | None, what: str) -> None:
        place, offset = (self.inbox, None) if said is None else (self.place, said.offset)
        self.findings.breach(Breach("I14", what, place, offset, order_id, "outcome", Mending.OUTCOME))
