"""I3, I4, I5 and I13: every order is checked across the four services."""

from collections.abc import Iterator
from itertools import takewhile
from typing import Final

from saga_app import topics
from saga_app.audit.context import AuditContext
from saga_app.audit.cuts import CutKind
from saga_app.audit.findings import Breach, Findings, Mending
from saga_app.audit.scratch import (
    ASKED,
    EVICTED,
    FOLDED,
    GAPS,
    REBUILT_AT,
    TURNED,
    UNKNOWN_TIME,
    ScratchStore,
    Stores,
    order_and_segment,
)
from saga_app.core.checkout import Checkout
from saga_app.core.order import Order
from saga_app.core.records import StepName
from saga_app.core.refund_rows import OrderRefund, RefundState
from saga_app.core.refunds import left
from saga_app.core.retention.rows import EarlyCancellation, LowWatermark
from saga_app.core.route import is_captured_later, route_of
from saga_app.core.row_keys import low_watermark_key, parts_of
from saga_app.core.rows import (
    ASKED_STATES,
    OPEN_STATUSES,
    STANDING_STATES,
    ClosedOrder,
    JournalRow,
    OrderRow,
    State,
    Status,
    decode,
)
from saga_app.core.step import Step
from saga_app.kafka.messages import Place

#: Inbox and journal of every service.
JOURNALS: Final = {
    topics.CHECKOUT: Checkout.journal,
    **{topic: step.journal for topic, step in topics.STEPS.items()},
}
#: The knowledge of an effect at a provider, by the state of its step; in any other state it was never there.
_KNOWN: Final = {
    State.DONE: "there",
    State.CAPTURED: "captured",
    State.UNDONE: "taken back",
    **dict.fromkeys(ASKED_STATES, "asked for"),
}
#: An effect that is there, or may be.
_STANDING_OR_ASKED: Final = STANDING_STATES | ASKED_STATES


def asks(order: Order) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each inbox that may be asked to undo this order, and the inboxes of which one has asked it; see `route.turn`."""
    route = route_of(order)
    for step in route.steps[: route.steps.index(route.pivot) + 1]:
        before = route.before(step)
        yield topics.CHECKOUT if before is None else topics.inbox(before.name), (topics.inbox(step.name),)
    begun = order.payment_reference is not None
    early = takewhile(lambda step: step.name is not StepName.PAYMENT, route.steps) if begun else ()
    yield topics.inbox(route.pivot.name), (topics.CHECKOUT, *(topics.inbox(step.name) for step in early))


class OrdersAudit:
    """The audit of the orders of one checkout partition."""

    def __init__(self, context: AuditContext, partition: int, stores: Stores) -> None:
        self.context = context
        self.place: Place = (topics.CHECKOUT, partition)
        self.stores = stores
        self.findings = Findings()

    def check(self) -> Findings:
        """Checks each order."""
        for invariant, name in (
            ("I3", "COMPLETED"),
            ("I4", "completed with all effects"),
            ("I5", "undos asked for"),
            ("I13", "effects outside"),
        ):
            self.findings.count(invariant, name, 0)
        for key, data in self.stores.store(FOLDED, (JOURNALS[topics.CHECKOUT], self.place[1])).scan():
            row = decode(JOURNALS[topics.CHECKOUT], key.decode(), data)
            if isinstance(row, ClosedOrder):
                self.findings.count("I3", f"{row.status} and closed")
            if isinstance(row, EarlyCancellation) and row.met_at is None:
                self.findings.count("I3", "cancelled before they were placed")
            if not isinstance(row, OrderRow):
                continue
            self.findings.count("I3", str(row.status))
            if row.status is Status.CANCELLED:
                self.findings.count("I3", f"cancelled: {row.reason}")
            self._look(key, row)
        counted, self.findings = self.findings, Findings()
        for key, data in self.stores.store(EVICTED, self.place).scan():
            self._look(key.partition(b" ")[0], OrderRow.decode(data))
        # Evicted orders are counted by their small rows.
        for breach in self.findings.breaches:
            counted.breach(breach)
        return counted

    def _look(self, key: bytes, row: OrderRow) -> None:
        if row.cancelled_first and row.status not in (Status.CANCELLING, Status.CANCELLED):
            what = f"it was cancelled before it was placed, but it is {row.status}"
            self._broken("I3", key, row.version, what, f"{JOURNALS[topics.CHECKOUT]}.status")
        found, cut = self.context.limits.found[self.place], self.context.limits.cut
        order = Order.model_validate_json(row.order)
        if row.status not in OPEN_STATUSES and row.version < found and cut is not CutKind.OFFSET:
            self._all_or_nothing(key, row, order)
            self._refunds_are_whole(key, row, order)
        if cut is not CutKind.OFFSET:
            self._one_charge(key, row, order)
        if cut is CutKind.NOW:
            self._undone_in_reverse(key, row, order)

    def _all_or_nothing(self, key: bytes, row: OrderRow, order: Order) -> None:
        wanted = row.status is Status.COMPLETED
        for step in route_of(order).services:
            topic = topics.inbox(step.name)
            step_row = self._step_row(topic, row, order)
            if step_row is None and self._is_evicted(topic, row, order):
                # An earlier audit has checked it.
                continue
            state = step_row and step_row.state
            if state is not _whole(step, step_row, order) if wanted else state in _STANDING_OR_ASKED:
                what = f"it is {row.status}, but {step.name} is {state or 'not there'}"
                self._broken("I4", key, row.version, what, f"{JOURNALS[topic]}.state")
        self.findings.count("I4", "completed with all effects" if wanted else "cancelled with none")

    def _refunds_are_whole(self, key: bytes, row: OrderRow, order: Order) -> None:
        """Payment and inventory have done their parts of each refund that is completed, and of no refused one."""
        for refund in row.refunds:
            self.findings.count("I4", f"refunds {refund.status.lower()}")
            if refund.is_open:
                continue
            wanted = {topics.PAYMENT: refund.counts, topics.INVENTORY: refund.counts and refund.restocks}
            for topic, is_wanted in wanted.items():
                step_row = self._step_row(topic, row, order)
                if step_row is None and self._is_evicted(topic, row, order):
                    continue
                if has_given_back(step_row, refund) is not is_wanted:
                    state = "gave nothing back" if is_wanted else "gave it back"
                    what = f"its refund {refund.refund_id} is {refund.status}, but {topics.STEPS[topic].name} {state}"
                    self._broken("I4", key, row.version, what, f"{JOURNALS[topic]}.refunds")
        paid, units = left(order, row.refunds)
        if paid < 0 or any(quantity < 0 for quantity in units.values()):
            self._broken("I4", key, row.version, "its refunds give back more than it paid or took", "refunds")

    def _one_charge(self, key: bytes, row: OrderRow, order: Order) -> None:
        """A provider has each effect once or not at all: it has said nothing else that nobody has settled."""
        for step in route_of(order).services:
            topic = topics.inbox(step.name)
            found = self._step_row(topic, row, order)
            if found is None:
                continue
            if found.outside is not None:
                self.findings.count("I13", "effects outside")
                self.findings.count("I13", _KNOWN.get(found.state, "never there"))
            if found.conflict is not None:
                what = f"its {step.name} is {found.state}, but its provider said {found.conflict}"
                field = f"{JOURNALS[topic]}.conflict"
                self.findings.breach(
                    Breach("I13", what, self.place, None, key.decode(), field, Mending.IN_DOUBT)
                )

    def _undone_in_reverse(self, key: bytes, row: OrderRow, order: Order) -> None:
        for topic, asking in asks(order):
            if topic == topics.CHECKOUT and row.cancelled_first and order.payment_reference is None:
                # It was told cancelled at once: no step had anything to undo.
                continue
            asked = self._store(ASKED, topic, topic, order).get(key)
            if asked is None:
                continue
            time, offset = map(int, asked.split())
            if offset >= self._found(topic, order):
                continue
            self.findings.count("I5", "undos asked for")
            stores = [self._store(TURNED, JOURNALS[each], each, order) for each in asking]
            found = [each for rows in stores if (each := rows.get(key)) is not None]
            turned = UNKNOWN_TIME if UNKNOWN_TIME in found else min(found, default=None, key=int)
            rebuilt = max(int(rows.get(REBUILT_AT) or -1) for rows in stores)
            by = " or ".join(asking)
            if any(rows.get(GAPS) is not None for rows in stores):
                self.findings.claim_less("I5", "undos whose first row may be compacted away")
            elif time <= rebuilt + self.context.skew:
                # Its row was written again, by the rebuild or by a worker that decided the record once more.
                self.findings.claim_less("I5", "undos that were asked for before the tables were rebuilt")
            elif turned is None:
                self._broken(
                    "I5", key, None, f"{topic} was asked to undo, but no row of {by} goes back", None
                )
            elif turned == UNKNOWN_TIME:
                self.findings.claim_less("I5", "undos whose first row was written again from a worker's disk")
            elif int(turned) > time + self.context.skew:
                late = int(turned) - time
                what = f"{topic} was asked to undo {late} ms before {by} had written that it goes back"
                self._broken("I5", key, None, what, f"{JOURNALS[asking[0]]}.version")

    def _step_row(self, topic: str, row: OrderRow, order: Order) -> JournalRow | None:
        """The row of this order, not of another one that has its id: as it is, or as it was when it was evicted."""
        data = self._store(FOLDED, JOURNALS[topic], topic, order).get(order.order_id.encode())
        found = None if data is None else JournalRow.decode(data)
        if row.segment is None or (found is not None and found.segment == row.segment):
            return found
        evicted = self._store(EVICTED, topic, topic, order).get(
            order_and_segment(order.order_id, row.segment)
        )
        return None if evicted is None else JournalRow.decode(evicted)

    def _is_evicted(self, topic: str, row: OrderRow, order: Order) -> bool:
        """True if this audit does not know the row because it was evicted before the first record that is read."""
        place = topic, self._partition(topic, order)
        if row.segment is None or (
            self.context.limits.is_whole(place) and not self.context.limits.start(place)
        ):
            return False
        partition, number = parts_of(row.segment)
        data = self._store(FOLDED, JOURNALS[topic], topic, order).get(low_watermark_key(partition).encode())
        return data is not None and number < LowWatermark.decode(data).evicted_below

    def _found(self, topic: str, order: Order) -> int:
        return self.context.limits.found[topic, self._partition(topic, order)]

    def _store(self, kind: str, name: str, topic: str, order: Order) -> ScratchStore:
        return self.stores.store(kind, (name, self._partition(topic, order)))

    def _partition(self, topic: str, order: Order) -> int:
        return topics.partition_of(topics.key_in(topic, order), self.context.settings.partitions)

    def _broken(self, invariant: str, key: bytes, offset: int | None, what: str, field: str | None) -> None:
        mending = Mending.HALF_DONE if invariant == "I4" else Mending.PAST
        self.findings.breach(Breach(invariant, what, self.place, offset, key.decode(), field, mending))


def has_given_back(row: JournalRow | None, refund: OrderRefund) -> bool:
    """True if a service has done its part of this refund: all of the money, or all of the units."""
    entries = () if row is None else row.refunds
    found = next((each for each in entries if each.refund_id == refund.refund_id), None)
    if found is None or found.state is not RefundState.DONE:
        return False
    return not refund.counts or found.content == refund.refund.digest


def _whole(step: Step, row: JournalRow | None, order: Order) -> State:
    """The state of a step of a completed order. A payment at a provider that is captured later must be captured."""
    is_held = step.name is StepName.PAYMENT and row is not None and row.outside is not None
    return State.CAPTURED if is_held and is_captured_later(order) else State.DONE
