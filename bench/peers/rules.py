"""The saga for peers in Python: one record changes the rows of its service, and the next record follows.

The same route, rules, topics, keys and six tables as ours, without deadlines and cancellations, which the orders of
the comparison do not need. A request that is known is answered again from its row.
"""

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol

Record = dict[str, Any]
Row = dict[str, Any]
#: Key of a balance to what is added to it: money as text, or units.
Moves = dict[str, Any]

LIMIT: Final = Decimal(1000)
COUNTRIES: Final = frozenset({"GB"})


class PeerRows(Protocol):
    """The tables of one partition."""

    def get(self, table: str, key: str) -> Row | None: ...

    def put(self, table: str, key: str, row: Row) -> None: ...


class PeerService(NamedTuple):
    """One service: its tables, its do and undo requests, and the records that it sends forwards and backwards."""

    name: str
    journal: str
    balances: str
    do: str
    undo: str
    on: str
    back: str
    judge: Callable[[Record, PeerRows], str | Moves]


def pay(order: Record, rows: PeerRows) -> str | Moves:
    """The reason of a refusal, or the amount that the payment takes from the account."""
    amount = Decimal(order["amount"])
    if amount >= LIMIT:
        return "over_limit"
    account = rows.get("accounts", order["customer_id"]) if "customer_id" in order else None
    if account is None:
        return {}
    if Decimal(account["left"]) < amount:
        return "insufficient_funds"
    return {order["customer_id"]: str(-amount)}


def reserve(order: Record, rows: PeerRows) -> str | Moves:
    """The reason of a refusal, or the units that the lines take from the stock."""
    moves = {f"{order['warehouse']}:{line['sku']}": -line["quantity"] for line in order["lines"]}
    stock = {key: rows.get("stock", key) for key in moves}
    if None in stock.values():
        return "unknown_sku"
    if any(row["left"] + moves[key] < 0 for key, row in stock.items() if row is not None):
        return "out_of_stock"
    return moves


def ship(order: Record, rows: PeerRows) -> str | Moves:
    """Why the order cannot be shipped; it moves nothing."""
    return {} if order.get("country", "GB") in COUNTRIES else "undeliverable"


PAYMENT: Final = PeerService(
    "payment",
    "payments",
    "accounts",
    "PaymentRequested",
    "RefundRequested",
    "ReservationRequested",
    "OrderCancelled",
    pay,
)
INVENTORY: Final = PeerService(
    "inventory",
    "reservations",
    "stock",
    "ReservationRequested",
    "ReleaseRequested",
    "ShipmentRequested",
    "RefundRequested",
    reserve,
)
SHIPPING: Final = PeerService(
    "shipping",
    "shipments",
    "",
    "ShipmentRequested",
    "",
    "OrderCompleted",
    "ReleaseRequested",
    ship,
)


def normal(placed: Record) -> Record:
    """The order as the services hand it on: the amount is the sum of the lines, which are merged and sorted."""
    quantities: dict[str, int] = {}
    amount = Decimal(0)
    for line in placed["lines"]:
        quantities[line["sku"]] = quantities.get(line["sku"], 0) + line["quantity"]
        amount += line["quantity"] * Decimal(line["unit_price"])
    lines = [{"sku": sku, "quantity": quantities[sku]} for sku in sorted(quantities)]
    head: Record = {name: placed[name] for name in ("order_id", "customer_id", "country") if name in placed}
    return {**head, "amount": str(amount), "warehouse": placed["warehouse"], "lines": lines}


def checkout(record: Record, rows: PeerRows) -> list[Record]:
    """Starts orders and records how they end."""
    row = rows.get("orders", record["order_id"])
    if record["type"] == "OrderPlaced":
        if row is None:
            row = {"status": "OPEN", "order": normal(record)}
            rows.put("orders", record["order_id"], row)
        return [{"type": PAYMENT.do, "order": row["order"]}]
    if row is not None and row["status"] == "OPEN":
        ended = {"status": "COMPLETED"}
        if record["type"] == "OrderCancelled":
            ended = {"status": "CANCELLED", "reason": record["reason"], "step": record["step"]}
        rows.put("orders", record["order_id"], {**row, **ended})
    return []


def participant(step: PeerService) -> Callable[[Record, PeerRows], list[Record]]:
    """The service of this step."""

    def service(record: Record, rows: PeerRows) -> list[Record]:
        if "order" not in record:
            supply(step, record, rows)
            return []
        order = record["order"]
        row = rows.get(step.journal, order["order_id"])
        if record["type"] == step.undo:
            if row is None or row["state"] == "DONE":
                row = undo(step, record, row or {}, rows)
        elif row is None:
            row = do(step, order, rows)
        return [answer(step, order, row)]

    return service


def do(step: PeerService, order: Record, rows: PeerRows) -> Row:
    """Decides, moves money or units, and writes the journal's row."""
    verdict = step.judge(order, rows)
    if isinstance(verdict, str):
        row: Row = {"state": "REFUSED", "reason": verdict, "step": step.name}
    else:
        row = {"state": "DONE", "moves": verdict}
        move(step, verdict, rows)
    rows.put(step.journal, order["order_id"], row)
    return row


def undo(step: PeerService, record: Record, row: Row, rows: PeerRows) -> Row:
    """Moves back what the row says was moved."""
    move(step, {key: inverse(each) for key, each in row.get("moves", {}).items()}, rows)
    row = {**row, "state": "UNDONE", "reason": record["reason"], "step": record["step"]}
    rows.put(step.journal, record["order"]["order_id"], row)
    return row


def answer(step: PeerService, order: Record, row: Row) -> Record:
    """The request to the next step or to the one before, or the ending, that follows from the row."""
    if row["state"] == "DONE":
        return ending(step.on, order) if step.on == "OrderCompleted" else {"type": step.on, "order": order}
    why = {"reason": row["reason"], "step": row["step"]}
    if step.back == "OrderCancelled":
        return {**ending(step.back, order), **why}
    return {"type": step.back, **why, "order": order}


def ending(kind: str, order: Record) -> Record:
    """The ending for checkout."""
    return {"type": kind, "order_id": order["order_id"]}


def move(step: PeerService, moves: Moves, rows: PeerRows) -> None:
    """Adds to balances that are there."""
    for key, amount in moves.items():
        row = rows.get(step.balances, key)
        assert row is not None, key
        rows.put(step.balances, key, {**row, "left": plus(row["left"], amount)})


def supply(step: PeerService, record: Record, rows: PeerRows) -> None:
    """A deposit or a delivery; each is sent once here."""
    for key, amount in supplied(record):
        row = rows.get(step.balances, key) or {"came": 0, "left": 0}
        rows.put(step.balances, key, {name: plus(each, amount) for name, each in row.items()})


def supplied(record: Record) -> Iterable[tuple[str, Any]]:
    """Balances, and the amount that each gets."""
    if record["type"] == "FundsDeposited":
        return [(record["customer_id"], record["amount"])]
    return [(f"{record['warehouse']}:{line['sku']}", line["quantity"]) for line in record["lines"]]


def plus(left: Any, right: Any) -> Any:
    """A sum of units, or of money as text."""
    return left + right if isinstance(right, int) else str(Decimal(left) + Decimal(right))


def inverse(amount: Any) -> Any:
    """The other way."""
    return -amount if isinstance(amount, int) else str(-Decimal(amount))


#: The four inboxes, and the service that reads each.
SERVICES: Final[dict[str, Callable[[Record, PeerRows], list[Record]]]] = {
    "checkout_events": checkout,
    "payment_events": participant(PAYMENT),
    "inventory_events": participant(INVENTORY),
    "shipping_events": participant(SHIPPING),
}

_TOPICS: Final = {
    "OrderCompleted": "checkout_events",
    "OrderCancelled": "checkout_events",
    "PaymentRequested": "payment_events",
    "RefundRequested": "payment_events",
    "ReservationRequested": "inventory_events",
    "ReleaseRequested": "inventory_events",
    "ShipmentRequested": "shipping_events",
}


def topic_of(record: Record) -> str:
    """The inbox of the service that this record is for."""
    return _TOPICS[record["type"]]


def key_of(record: Record) -> str:
    """Payments are kept with their customer, stock with its warehouse, everything else with the order."""
    order = record.get("order", record)
    match topic_of(record):
        case "payment_events":
            return str(order.get("customer_id", order["order_id"]))
        case "inventory_events":
            return str(order["warehouse"])
        case _:
            return str(order["order_id"])
