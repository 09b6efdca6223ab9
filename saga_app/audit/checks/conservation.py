"""I1 and I2: after every record each balance is what came in, minus what was taken, and is not below zero."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from pydantic_core import from_json, to_json

from saga_app.audit.findings import Breach, Findings, Mending
from saga_app.core.decider import Decision
from saga_app.core.retention.rows import Total
from saga_app.core.row_keys import balance_in, is_supply_key, parts_of_balance
from saga_app.core.rows import Account, Balance, JournalRow, Row, State, Stock
from saga_app.kafka.messages import Place

#: Money or units.
Amount = Decimal


class Sum(NamedTuple):
    """The amounts that the journal has for one balance. `went`: otherwise than for an order."""

    came: Amount = Decimal(0)
    taken: Amount = Decimal(0)
    returned: Amount = Decimal(0)
    went: Amount = Decimal(0)

    @property
    def brought(self) -> Amount:
        """The amount that came and did not go again without an order."""
        return self.came - self.went

    @property
    def left(self) -> Amount:
        """The balance that follows from the journal."""
        return self.brought - self.taken + self.returned


class Conservation:
    """Adds up the journal of one partition and compares it with the balances.

    Memory grows with the number of accounts or articles, not of orders.
    """

    def __init__(self, place: Place, table: str, findings: Findings) -> None:
        self.place = place
        self.invariant = "I1" if table == "accounts" else "I2"
        self.findings = findings
        self._sums: dict[str, Sum] = defaultdict(Sum)

    def resume(self, sums: Mapping[bytes, bytes]) -> None:
        """Goes on from the sums of an earlier audit."""
        for name, amounts in sums.items():
            self._sums[name.decode()] = Sum(*map(Decimal, from_json(amounts)))

    def sums(self) -> Iterator[tuple[bytes, bytes]]:
        """The sums, as rows of a checkpoint."""
        for name, each in sorted(self._sums.items()):
            yield name.encode(), to_json(each)

    def decided(self, decision: Decision, offset: int) -> None:
        """Checks that a decision moves the balances by exactly what its journal row says."""
        moved = self._journalled(decision, offset)
        seen = set()
        for _, key, row in decision.balances:
            assert isinstance(row, Account | Stock)
            self._compare(key, row, offset)
            seen.add(key)
        if moved != seen:
            key = min(moved ^ seen)
            self._broken(offset, key, "the journal and the balances do not say the same of what moved")

    def finish(self, journal: Iterable[tuple[str, Row]], balances: Iterable[tuple[str, Row]]) -> None:
        """Adds up the rows of a whole journal and compares them with the balances."""
        for key, done in journal:
            if isinstance(done, Total):
                self._add(balance_in(key), False, Decimal(done.moved))
            if not isinstance(done, JournalRow) or done.state is State.REFUSED:
                continue
            for name, amount in done.all_moves:
                self._add(name, is_supply_key(key), Decimal(amount))
        known: set[str] = set()
        for name, row in balances:
            assert isinstance(row, Account | Stock)
            self._compare(name, row, row.version)
            known.add(name)
        for name in self._sums.keys() - known:
            self._broken(None, name, "the journal moved a balance that is not there")

    def report(self) -> None:
        """Adds the sums to the findings: by currency, or by warehouse."""
        self.findings.count(
            self.invariant, "accounts" if self.invariant == "I1" else "articles", len(self._sums)
        )
        for key, each in self._sums.items():
            of = parts_of_balance(key)[self.invariant == "I1"]
            sums = {**each._asdict(), "left": each.left}
            if not each.went:
                del sums["went"]
            for name, amount in sums.items():
                number = amount if self.invariant == "I1" else int(amount)
                self.findings.count(self.invariant, f"{of} {name}", number)

    def _journalled(self, decision: Decision, offset: int) -> set[str]:
        """Adds up the moves of the decision's journal row; returns the balances that it moves."""
        put = decision.journal
        if put is None or not isinstance(put.row, JournalRow):
            return set()
        moves = put.row.moved_at(offset)
        for name, amount in moves.items():
            self._add(name, is_supply_key(put.key), Decimal(amount))
        return set(moves)

    def _add(self, name: str, came: bool, amount: Amount) -> None:
        known = self._sums[name]
        if came and amount < 0:
            self._sums[name] = known._replace(went=known.went - amount)
        elif came:
            self._sums[name] = known._replace(came=known.came + amount)
        elif amount < 0:
            self._sums[name] = known._replace(taken=known.taken - amount)
        else:
            self._sums[name] = known._replace(returned=known.returned + amount)

    def _compare(self, key: str, row: Balance, offset: int) -> None:
        came, left, name = (
            (row.deposited, row.balance, "balance")
            if isinstance(row, Account)
            else (Decimal(row.received), Decimal(row.available), "available")
        )
        expected = self._sums[key]
        if left < 0:
            self._broken(offset, key, f"{left} is below zero", name)
        if came != expected.brought:
            self._broken(offset, key, f"{came} came in, but the journal brought {expected.brought}")
        if left != expected.left:
            self._broken(offset, key, f"{left} is there, but by the journal it is {expected.left}", name)

    def _broken(self, offset: int | None, key: str, what: str, field: str | None = None) -> None:
        self.findings.breach(
            Breach(
                self.invariant,
                f"{key}: {what}",
                self.place,
                offset,
                field=field and f"{key}.{field}",
                mending=Mending.BALANCE,
            )
        )
