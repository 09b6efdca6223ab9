"""Keys of rows: made, taken apart and told apart here, and nowhere else.

No id has a colon. The key of an order's row is its id. Every other row of a journal has a key that begins with a kind
and a colon, for example `deposit:CUSTOMER:ID`. A balance has the key `CUSTOMER:CURRENCY` or `WAREHOUSE:SKU`: it stands
in a table of its own, so a customer may have the name of a kind.
"""

from enum import StrEnum
from functools import lru_cache
from typing import Final


class KeyKind(StrEnum):
    """Rows of a journal that are not rows of orders; the value begins their keys."""

    DEPOSIT = "deposit"
    DELIVERY = "delivery"
    WITHDRAWAL = "withdrawal"
    ADJUSTMENT = "adjustment"
    POLICY = "policy"
    CANCELLATION = "cancellation"
    SEGMENT = "segment"
    CLOSED = "closed"
    LOW_WATERMARK = "low_watermark"
    EVICTED = "evicted"

    prefix: bytes

    def __init__(self, name: str) -> None:
        #: All keys of this kind begin with these bytes; a store can be scanned by them.
        self.prefix = f"{name}:".encode()


#: Kinds of rows about money and stock that come, or go otherwise than for an order.
SUPPLIES: Final = (KeyKind.DEPOSIT, KeyKind.DELIVERY, KeyKind.WITHDRAWAL, KeyKind.ADJUSTMENT)
#: The key of the tombstone that a rebuild writes first into the changelog of a journal; no row has it.
REBUILT_KEY: Final = b"rebuilt:"
_KINDS = {kind.value: kind for kind in KeyKind}
_MILESTONES = (KeyKind.LOW_WATERMARK.prefix, KeyKind.CLOSED.prefix)


def kind_of(key: str) -> KeyKind | None:
    """The kind of this key of a journal; None for the key of an order, and for a kind that is not known here."""
    name, colon, _ = key.partition(":")
    return _KINDS.get(name) if colon else None


def is_order_key(key: str) -> bool:
    """True if this key of a journal is the id of an order."""
    return ":" not in key


def order_in(key: bytes) -> str | None:
    """The id of the order that this row of a journal is about; None for every other row, and for a balance."""
    return None if b":" in key else key.decode()


def is_supply_key(key: str) -> bool:
    """True if this row of a journal is about money or stock that comes or goes without an order."""
    return kind_of(key) in SUPPLIES


def is_milestone(key: bytes) -> bool:
    """True if all rows that a round writes to this journal before this one must be durable first."""
    return key.startswith(_MILESTONES)


def deposit_key(customer_id: str, deposit_id: str) -> str:
    """An id counts once for each customer: two may have deposits with the same id, in different partitions."""
    return f"{KeyKind.DEPOSIT}:{customer_id}:{deposit_id}"


def delivery_key(warehouse: str, delivery_id: str) -> str:
    """An id counts once for each warehouse: two may have deliveries with the same id."""
    return f"{KeyKind.DELIVERY}:{warehouse}:{delivery_id}"


def withdrawal_key(customer_id: str, withdrawal_id: str) -> str:
    """An id counts once for each customer, as that of a deposit."""
    return f"{KeyKind.WITHDRAWAL}:{customer_id}:{withdrawal_id}"


def adjustment_key(warehouse: str, adjustment_id: str) -> str:
    """An id counts once for each warehouse, as that of a delivery."""
    return f"{KeyKind.ADJUSTMENT}:{warehouse}:{adjustment_id}"


def parts_of_supply(key: str) -> tuple[KeyKind, str, str]:
    """The kind of such a row (`SUPPLIES`), its customer or warehouse, and its id; `ValueError` if it is none."""
    kind, owner, supply_id = key.split(":")
    return KeyKind(kind), owner, supply_id


def policy_key(policy_id: str) -> str:
    """A change of a rule's parameters."""
    return f"{KeyKind.POLICY}:{policy_id}"


def policy_id_in(key: str) -> str:
    """The id of the policy that this key is about."""
    return key.partition(":")[2]


def cancellation_key(order_id: str) -> str:
    """A cancellation that came before its order."""
    return f"{KeyKind.CANCELLATION}:{order_id}"


def segment_key(number: int) -> str:
    """The orders of one segment; keys sort by their numbers."""
    return f"{KeyKind.SEGMENT}:{number:016d}"


def closed_key(below: int) -> str:
    """The segments that one record closed, by the number below which they are; keys sort by it."""
    return f"{KeyKind.CLOSED}:{below:016d}"


def low_watermark_key(partition: int) -> str:
    """The low watermark of a checkout partition, in any journal."""
    return f"{KeyKind.LOW_WATERMARK}:{partition}"


def number_in(key: str) -> int:
    """The number that ends the key of a segment, of segments that one record closed, or of a low watermark."""
    return int(key.rpartition(":")[2])


def evicted_total_key(balance: str) -> str:
    """The total of a balance, for orders that are evicted."""
    return f"{KeyKind.EVICTED}:{balance}"


def balance_in(total_key: str) -> str:
    """The key of the balance that this total is about."""
    return total_key.partition(":")[2]


def balance_key(owner: str, unit: str) -> str:
    """A customer and a currency, or a warehouse and a SKU."""
    return f"{owner}:{unit}"


def parts_of_balance(key: str) -> tuple[str, str]:
    """The owner and the unit; `ValueError` if this is no key of a balance."""
    owner, colon, unit = key.partition(":")
    if not colon:
        raise ValueError(f"{key!r} is no key of a balance")
    return owner, unit


def segment_name(partition: int, number: int) -> str:
    """The name of a segment in rows and records; its number counts within a checkout partition."""
    return f"{partition}:{number}"


@lru_cache(maxsize=1_024)
def parts_of(segment: str) -> tuple[int, int]:
    """The checkout partition and the number of a segment's name; many orders in a row are of the same few."""
    partition, _, number = segment.partition(":")
    return int(partition), int(number)
