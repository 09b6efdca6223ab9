"""The questions and orders of every client, whatever line it uses."""

import json
from collections.abc import Mapping
from typing import Any, Protocol

from saga_app.client.results import OrderEnding
from saga_app.core.errors import Fault, Rejected
from saga_app.core.records import OrderPlaced
from saga_app.kafka.sender import read
from saga_app.wire import encode

#: An order: a record, or its fields, as `docs/reference/schemas/OrderPlaced.json` has them.
AnyOrder = OrderPlaced | Mapping[str, Any]


class AsyncClient(Protocol):
    """A client of the saga. It is used in one event loop, and in an `async with`.

    Every method raises `TryAgain` if the saga cannot be reached.
    """

    async def __aenter__(self) -> "AsyncClient": ...

    async def __aexit__(self, *error: object) -> None: ...

    async def place(self, order: AnyOrder) -> str:
        """Places an order; returns its id when the broker has it. The same order twice counts once.

        Raises `Rejected` if the order is wrong, and `RecordRefused` if its id is known with another content.
        """

    async def cancel(self, order_id: str, note: str | None = None) -> None:
        """Asks for the cancellation of an order; it ends cancelled, or completed if it was too late.

        The request may come before its order, which is then cancelled when it comes.
        """

    async def wait(self, order_id: str, seconds: float = 30.0) -> OrderEnding:
        """Waits for the ending of an order. Raises `OrderOpen` if it has not ended by then, and `RecordRefused`."""


def bytes_of(order: AnyOrder) -> bytes:
    """The order as JSON; amounts may be `Decimal`."""
    return encode(order) if isinstance(order, OrderPlaced) else json.dumps(dict(order), default=str).encode()


def order_in(order: AnyOrder) -> OrderPlaced:
    """The order as a record. Raises `Rejected` if a worker would refuse it."""
    record = read(bytes_of(order))
    if not isinstance(record, OrderPlaced):
        raise Rejected(Fault.INVALID, f"this is a {record.type}, not an order")
    return record
