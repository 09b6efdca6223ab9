"""I1 and I2: what came in is what is there and what is held, after every single record, and nothing is below zero."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import NamedTuple

from pydantic_core import from_json, to_json

from saga_app.audit.findings import Breach, Findings
from saga_app.core.decider import Decision
from saga_app.core.retention.rows import Total
from saga_app.core.row_keys import balance_in, is_supply_key, parts_of_balance
from saga_app.core.rows import Account, Balance, JournalRow, Row, State, Stock
from saga_app.kafka.messages import Place

#: Money or units.
Amount = Decimal


class Sum(NamedTuple):
    """What the journal says about one balance."""

    came: Amount = Decimal(0)
    taken: Amount = Decimal(0)
    returned: Amount = Decimal(0)

    @property
    def left(self) -> Amount:
        return self.came - self.taken + self.returned


class Conservation:
    """Adds up one partition's journal, beside its balances. Memory grows with accounts or articles, not with orders."""

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
        """What the next audit goes on from."""
        for name, each in sorted(self._sums.items()):
            yield name.encode(), to_json(each)

    def decided(self, decision: Decision, offset: int) -> None:
        """A record was decided: the balances have moved by exactly what the journal says."""
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
        """For rows that come without their history: adds up the journal as it stands, and compares."""
        for key, done in journal:
            if isinstance(done, Total):
                self._add(balance_in(key), False, Decimal(done.moved))
            if not isinstance(done, JournalRow):
                continue
            for name, amount in (done.moves or {}).items():
                self._add(name, is_supply_key(key), Decimal(amount))
                if done.state is State.UNDONE:
                    self._add(name, False, -Decimal(amount))
        there: set[str] = set()
        for name, row in balances:
            assert isinstance(row, Account | Stock)
            self._compare(name, row, row.version)
            there.add(name)
        for name in self._sums.keys() - there:
            self._broken(None, name, "the journal moved a balance that is not there")

    def tell(self) -> None:
        """Adds the sums to the findings: by currency, or by warehouse."""
        self.findings.count(
            self.invariant, "accounts" if self.invariant == "I1" else "articles", len(self._sums)
        )
        for key, each in self._sums.items():
            of = parts_of_balance(key)[self.invariant == "I1"]
            for name, amount in (*each._asdict().items(), ("left", each.left)):
                number = amount if self.invariant == "I1" else int(amount)
                self.findings.count(self.invariant, f"{of} {name}", number)

    def _journalled(self, decision: Decision, offset: int) -> set[str]:
        put = decision.journal
        if put is None or not isinstance(put.row, JournalRow):
            return set()
        moves = put.row.moves or {}
        if put.row.done_at != offset and put.row.undone_at != offset:
            return set()
        for name, amount in moves.items():
            undone = put.row.undone_at == offset
            self._add(name, is_supply_key(put.key), -Decimal(amount) if undone else Decimal(amount))
        return set(moves)

    def _add(self, name: str, came: bool, amount: Amount) -> None:
        known = self._sums[name]
        if came:
            self._sums[name] = known._replace(came=known.came + amount)
        elif amount < 0:
            self._sums[name] = known._replace(taken=known.taken - amount)
        else:
            self._sums[name] = known._replace(returned=known.returned + amount)

    def _compare(self, key: str, row: Balance, offset: int) -> None:
        came, there, name = (
            (row.deposited, row.balance, "balance")
            if isinstance(row, Account)
            else (Decimal(row.received), Decimal(row.available), "available")
        )
        wanted = self._sums[key]
        if there < 0:
            self._broken(offset, key, f"{there} is below zero", name)
        if came != wanted.came:
            self._broken(offset, key, f"{came} came in, but the journal brought {wanted.came}")
        if there != wanted.left:
            self._broken(offset, key, f"{there} is there, but by the journal it is {wanted.left}", name)

    def _broken(self, offset: int | None, key: str, what: str, field: str | None = None) -> None:
        self.findings.breach(
            Breach(self.invariant, f"{key}: {what}", self.place, offset, field=field and f"{key}.{field}")
        )
