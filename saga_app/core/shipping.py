"""Shipping: books the shipment. It is the pivot: a booked shipment is not compensated."""

from typing import Final

from saga_app.core import route
from saga_app.core.decider import Decision, Position, Rows
from saga_app.core.errors import Fault, Rejected
from saga_app.core.moves import Moves, policy_changed
from saga_app.core.order import Order, digest
from saga_app.core.records import PolicyChanged, Reason, Record, StepName
from saga_app.core.row_keys import policy_key
from saga_app.core.rows import JournalRow, State

COUNTRIES: Final = frozenset({"GB"})


def refuse(order: Order, countries: frozenset[str]) -> Reason | None:
    """The reason not to ship this order, or None; an order without a country counts as served."""
    if order.country is not None and order.country not in countries:
        return Reason.UNDELIVERABLE
    return None


class Shipping:
    """The rule of the shipping service; see `participant.Rule`."""

    step = route.step(StepName.SHIPPING)
    accepts = (PolicyChanged,)
    journal = step.journal
    balances = None

    def judge(self, order: Order, at: Position, rows: Rows) -> Reason | Moves:
        return refuse(order, countries_in_force(rows)) or {}

    def supply(self, record: Record, at: Position, rows: Rows) -> Decision:
        assert isinstance(record, PolicyChanged)
        if record.countries is None:
            raise Rejected(Fault.INVALID, "the shipping policy has countries, not a limit")
        served = tuple(sorted(set(record.countries)))
        content = digest(",".join(served).encode())
        row = JournalRow(at.version, State.DONE, content, done_at=at.offset, countries=served)
        return policy_changed(self.journal, policy_key(record.policy_id), row, rows)


def countries_in_force(rows: Rows) -> frozenset[str]:
    """The countries that are served, as ISO 3166 alpha-2 codes."""
    policy = rows.policy()
    return COUNTRIES if policy is None or policy.countries is None else frozenset(policy.countries)
