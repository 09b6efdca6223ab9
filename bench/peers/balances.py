"""The saga for engines that journal each step: one step takes amounts from balances, or gives them back.

The rules are those of `rules`. Rows of payments and reservations are left out: the engine's journal has the answers.
"""

from collections.abc import Mapping

from bench.peers.rules import PAYMENT, Moves, PeerRows, PeerService, Record, Row, inverse, move, plus

COMPLETED = "COMPLETED"


class ReadRows:
    """Rows of one table that were read; `changed` are those that must be written."""

    def __init__(self, rows: Mapping[str, Row | None]) -> None:
        self._rows = {key: row for key, row in rows.items() if row is not None}
        self.changed: dict[str, Row] = {}

    def get(self, table: str, key: str) -> Row | None:
        return self._rows.get(key)

    def put(self, table: str, key: str, row: Row) -> None:
        self._rows[key] = self.changed[key] = row


def parts(step: PeerService, order: Record) -> dict[str, Record]:
    """The balances that this step reads, with the part of the order for each."""
    if step is PAYMENT:
        return {order["customer_id"]: order}
    return {f"{order['warehouse']}:{line['sku']}": {**order, "lines": [line]} for line in order["lines"]}


def take(step: PeerService, order: Record, rows: PeerRows) -> str | Moves:
    """The reason of a refusal, or the amounts taken."""
    verdict = step.judge(order, rows)
    if not isinstance(verdict, str):
        move(step, verdict, rows)
    return verdict


def give_back(step: PeerService, moves: Moves, rows: PeerRows) -> None:
    """Gives the amounts back."""
    move(step, {key: inverse(amount) for key, amount in moves.items()}, rows)


def more(row: Row | None, amount: str | int) -> Row:
    """A balance after a deposit or a delivery."""
    return {name: plus(each, amount) for name, each in (row or {"came": 0, "left": 0}).items()}
