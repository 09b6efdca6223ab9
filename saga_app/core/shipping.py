"""Shipping: books the shipment, here or at a carrier. It is the pivot: a booked shipment is not compensated."""

from typing import Final

from saga_app.core import route
from saga_app.core.decider import Decision, Position, Rows
from saga_app.core.errors import Fault, Rejected
from saga_app.core.moves import Moves, policy_changed
from saga_app.core.order import Order, digest
from saga_app.core.outside import Outside
from saga_app.core.records import PolicyChanged, Reason, Record, StepName
from saga_app.core.row_keys import policy_key
from saga_app.core.rows import JournalRow, State

COUNTRIES: Final = frozenset({"GB"})
#: In place of a carrier's name: shipments are booked here.
NOBODY: Final = "none"


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

    def outside(self, order: Order, rows: Rows) -> Outside | None:
        """The carrier that the policy names."""
        policy = rows.policy()
        carrier = None if policy is None else policy.carrier
        return None if carrier in (None, NOBODY) else Outside(carrier)

    def supply(self, record: Record, at: Position, rows: Rows) -> Decision:
        assert isinstance(record, PolicyChanged)
        if record.countries is None and record.carrier is None:
            raise Rejected(
                Fault.INVALID,
                "the shipping policy has countries or a carrier, and no parameter of another service",
            )
        row = JournalRow(
            at.version,
            State.DONE,
            _content(record),
            done_at=at.offset,
            countries=None if record.countries is None else tuple(sorted(set(record.countries))),
            carrier=record.carrier,
        )
        return policy_changed(
            self.journal, policy_key(record.policy_id), _completed(row, rows.policy()), rows
        )


def _content(record: PolicyChanged) -> str:
    if record.countries is not None:
        return digest(",".join(sorted(set(record.countries))).encode())
    return digest(f"carrier {record.carrier}".encode())


def _completed(row: JournalRow, before: JournalRow | None) -> JournalRow:
    """One policy is in force, so it has what the one before says and this one does not speak of."""
    if before is None:
        return row
    return row._replace(
        countries=before.countries if row.countries is None else row.countries,
        carrier=row.carrier or before.carrier,
    )


def countries_in_force(rows: Rows) -> frozenset[str]:
    """The countries that are served, as ISO 3166 alpha-2 codes."""
    policy = rows.policy()
    return COUNTRIES if policy is None or policy.countries is None else frozenset(policy.countries)
