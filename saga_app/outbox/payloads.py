"""Sorts a batch of rows out: records to send, rows that no worker would take, and rows that wait behind those."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from saga_app.core.errors import Fault, Rejected
from saga_app.core.records import CancellationRequested, FundsDeposited, OrderPlaced, Record, StockReceived
from saga_app.kafka.messages import Outgoing, outgoing
from saga_app.kafka.sender import read
from saga_app.wire import LARGEST_FROM_PEOPLE

#: The types that a shop writes. Whoever may write to its table must not change a policy, or speak as a service.
FROM_SHOPS: Final = (OrderPlaced, CancellationRequested, FundsDeposited, StockReceived)


class OutboxRow(NamedTuple):
    """A row that waits. The payload may be cut behind the most characters that a record may have."""

    id: int
    payload: str
    order_id: str | None


class SortedRows(NamedTuple):
    """The records to send, with their rows in the same sequence; and by id, why a row is refused."""

    rows: list[OutboxRow]
    records: list[Outgoing]
    refused: dict[int, str]


def sort_out(rows: Iterable[OutboxRow]) -> SortedRows:
    """Keeps the sequence of the rows. A row behind a refused one of the same order is left for later."""
    found = SortedRows([], [], {})
    held: set[str] = set()
    for row in rows:
        if row.order_id is not None and row.order_id in held:
            continue
        try:
            record = outgoing(_record(row.payload))
        except Rejected as error:
            found.refused[row.id] = f"{error.fault}: {error.detail}"
            if row.order_id is not None:
                held.add(row.order_id)
        else:
            found.rows.append(row)
            found.records.append(record)
    return found


def _record(payload: str) -> Record:
    """The record in a payload; `Rejected` if a worker would refuse it, or a shop does not write it."""
    if len(payload) > LARGEST_FROM_PEOPLE:
        raise Rejected(Fault.TOO_LARGE, f"a record has at most {LARGEST_FROM_PEOPLE} bytes")
    record = read(payload.encode("utf-8", errors="replace"))
    if not isinstance(record, FROM_SHOPS):
        names = ", ".join(each.__name__ for each in FROM_SHOPS)
        raise Rejected(Fault.INVALID, f"a {record.type} comes from no shop; an outbox takes {names}")
    return record
