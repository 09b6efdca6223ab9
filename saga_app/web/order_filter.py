"""The filter of the orders' page: read from the address, with a sentence for each value that is wrong."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final, NamedTuple, Self

from saga_app.core.labels import STATES
from saga_app.core.records import Reason
from saga_app.effects.dispatcher import IN_DOUBT
from saga_app.orderdb.queries.orders import OrderFilter, Sort, late
from saga_app.times import moment, now
from saga_app.urls import segment
from saga_app.web.view import Query

#: The fields of the filter, in the sequence of the address.
FIELDS: Final = (
    "q",
    "state",
    "reason",
    "customer",
    "least",
    "most",
    "since",
    "until",
    "late",
    "doubt",
    "sort",
)


class GivenFilter(NamedTuple):
    """The values as they were given, the filter that they mean, and what is wrong, by field."""

    given: Mapping[str, str]
    choice: OrderFilter
    sort: Sort
    wrong: Mapping[str, str]

    @classmethod
    def of(cls, query: Query) -> Self:
        """The filter in an address. A value that is wrong is left out of `choice`."""
        given = {name: query.get(name, "").strip() for name in FIELDS}
        reader = _Reader(given)
        choice = OrderFilter(
            reader.statuses(),
            reader.time("since"),
            given["q"],
            reader.time("until"),
            reader.one_of("reason", [each.value for each in Reason]),
            given["customer"],
            reader.amount("least"),
            reader.amount("most"),
            now() - IN_DOUBT if given["doubt"] else None,
        )
        sort = Sort(reader.one_of("sort", [each.value for each in Sort]) or Sort.NEWEST)
        if given["late"]:
            choice = _late(choice)
        if sort.is_by_amount and choice.least is None:
            # So that counts leave out orders without an amount too: no worker has taken them.
            choice = choice._replace(least=Decimal(0))
        return cls(given, choice, sort, reader.wrong)

    def address(self, **changed: str) -> str:
        """The query of an address with this filter, without the question mark."""
        values = {**self.given, **changed}
        return "&".join(f"{name}={segment(value)}" for name, value in values.items() if value)


class _Reader:
    """Reads the fields, and notes what is wrong."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = given
        self.wrong: dict[str, str] = {}

    def statuses(self) -> tuple[str, ...]:
        state = self.one_of("state", STATES, self._given["state"].upper())
        return (state,) if state else ()

    def one_of(self, name: str, known: list[str] | tuple[str, ...], text: str | None = None) -> str:
        found = self._given[name] if text is None else text
        if found and found not in known:
            self.wrong[name] = f"There is no {name} {found[:80]!r}; there are {', '.join(known)}."
            return ""
        return found

    def time(self, name: str) -> int | None:
        try:
            return moment(self._given[name], now()) if self._given[name] else None
        except ValueError as error:
            self.wrong[name] = f"{error}."
            return None

    def amount(self, name: str) -> Decimal | None:
        text = self._given[name]
        try:
            found = Decimal(text) if text else None
        except InvalidOperation:
            found = Decimal("NaN")
        if found is not None and not found.is_finite():
            self.wrong[name] = f"{text[:80]!r} is no amount; it is written as in 12.50."
            return None
        return found


def _late(choice: OrderFilter) -> OrderFilter:
    """Only those that have not ended before their first deadline."""
    found = late(now())
    until = found.until if choice.until is None or found.until is None else min(choice.until, found.until)
    return choice._replace(until=until, statuses=choice.statuses or found.statuses)
