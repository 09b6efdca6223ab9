"""The rules in force: read from the changelogs of the journals that take policies."""

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from saga_app import topics
from saga_app.core import checkout, patience
from saga_app.core import payment as payments
from saga_app.core import shipping as shipments
from saga_app.core.errors import ForeignRow
from saga_app.core.row_keys import KeyKind, policy_id_in
from saga_app.core.rows import JournalRow, decode
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.chunks import chunks
from saga_app.settings import Settings


class RuleInForce(NamedTuple):
    """A rule of a service, and the policy that brought it; None for the rule that holds until one comes."""

    service: str
    policy_id: str | None
    limit: Decimal | None = None
    countries: tuple[str, ...] | None = None
    carrier: str | None = None
    route: tuple[str, ...] | None = None
    patience: int | None = None

    def in_words(self) -> str:
        """The parameter, and where it comes from."""
        source = "the default" if self.policy_id is None else f"policy {self.policy_id}"
        return f"{self._rule()} ({source})"

    def _rule(self) -> str:
        if self.route is not None:
            return f"route {','.join(self.route)}, patience {self.patience} s"
        if self.limit is not None:
            return f"limit {self.limit}"
        countries = shipments.COUNTRIES if self.countries is None else self.countries
        booked = "" if self.carrier in (None, shipments.NOBODY) else f", carrier {self.carrier}"
        return f"countries {','.join(sorted(countries))}{booked}"


#: By journal, the rule that holds until a policy comes.
DEFAULTS: Final = {
    "orders": RuleInForce("checkout", None, route=checkout.BUILT_IN, patience=patience.DEFAULT),
    "payments": RuleInForce("payment", None, limit=payments.LIMIT),
    "shipments": RuleInForce("shipping", None, countries=tuple(sorted(shipments.COUNTRIES))),
}


def in_force(settings: Settings) -> dict[str, Mapping[RuleInForce, list[int]]]:
    """By service, its rules with the partitions in which each is in force; more than one while a new one spreads.

    Raises `KafkaException`, `TimeoutError`.
    """
    by_service: dict[str, Mapping[RuleInForce, list[int]]] = {}
    for journal, default in DEFAULTS.items():
        found: defaultdict[RuleInForce, list[int]] = defaultdict(list)
        for partition in range(settings.partitions):
            found[_in_force(settings, journal, partition, default)].append(partition)
        by_service[default.service] = dict(found)
    return by_service


def _in_force(settings: Settings, journal: str, partition: int, default: RuleInForce) -> RuleInForce:
    """The rule with the highest version in this partition of the journal's changelog."""
    topic, admin = topics.changelog(settings.app_id, journal), Admin(settings)
    place = (topic, partition)
    start, end = (read(admin, [place])[place] for read in (offsets.beginnings, offsets.readable_ends))
    best: tuple[JournalRow, str] | None = None
    for chunk in chunks(settings.kafka, topic, partition, start, end, "read_committed"):
        for message in chunk:
            key, value = message.key() or b"", message.value()
            if value is None or not key.startswith(KeyKind.POLICY.prefix):
                continue
            try:
                row = decode(journal, key.decode(), value)
            except (ForeignRow, UnicodeDecodeError):
                # No worker wrote it; one that meets it says so.
                continue
            assert isinstance(row, JournalRow)
            if best is None or row.version > best[0].version:
                best = row, policy_id_in(key.decode())
    if best is None:
        return default
    row, policy_id = best
    # A policy of checkout may have one of its parameters alone.
    route, patient = row.route or default.route, row.patience or default.patience
    return RuleInForce(default.service, policy_id, row.limit, row.countries, row.carrier, route, patient)
