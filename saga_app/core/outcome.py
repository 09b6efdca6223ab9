"""The outcome of an order, for everybody outside: checkout tells that the order has ended, and how.

A decision that ends an order has one `OutcomePut`, and so has each replay of it. The outcome is in the topic
`order_outcomes` for as long as the order's row is in the table `orders`: when the order is evicted, its outcome goes.
"""

from typing import NamedTuple

from saga_app.core.numbers import Version
from saga_app.core.rows import OPEN_STATUSES, ClosedOrder, OrderRow


class OutcomePut(NamedTuple):
    """The outcome of an order, to be published; without a row, its removal.

    `version` is that of the row that ended the order, or that closed it.
    """

    order_id: str
    version: Version
    row: OrderRow | None


def of_row(order_id: str, row: OrderRow | ClosedOrder) -> tuple[OutcomePut, ...]:
    """The outcome that follows from this row: none while the order is open, and none of a closed one."""
    if isinstance(row, ClosedOrder) or row.status in OPEN_STATUSES:
        return ()
    ended = row.ending
    return (OutcomePut(order_id, ended.version, ended),)
