"""Keys for tests, signatures with them, and one record of every type."""

from pathlib import Path
from typing import Final

from saga_app import topics
from saga_app.core.numbers import Offset
from saga_app.core.records import Outcome, Record, RefundReason, RefundRefused, StepAnswered, StepName
from saga_app.kafka.messages import Message, Outgoing, outgoing
from saga_app.kafka.signatures import Signatures
from saga_app.private_files import write_private
from saga_app.settings import Settings
from tests.support.examples import (
    adjustment,
    call_off,
    cancel,
    cancelled,
    capture,
    completed,
    deadline,
    delivery,
    deposit,
    limit,
    order,
    orders_evicted,
    part,
    pay,
    placed,
    refund,
    refund_completed,
    refund_opened,
    release,
    repay,
    reserve,
    restock,
    retention_started,
    segments_closed,
    segments_purged,
    ship,
    withdrawal,
)
from tests.support.given import BEGINNING

#: Before every record of a test.
ALWAYS: Final = "2020-01-01"
NEW: Final = "new " + "ab" * 32
OLD: Final = "old " + "cd" * 32

_UNUSED: Final = order("unused", lines=[("mug", 1)])
#: A record of each type, about an order that nobody placed.
EVERY_TYPE: Final[tuple[Record, ...]] = (
    placed("unused"),
    cancel("unused"),
    refund_opened("unused", order_id="unused"),
    deposit("unused"),
    withdrawal("unused"),
    delivery("unused", mug=1),
    adjustment("unused", mug=1),
    limit("unused", "1.00"),
    deadline("unused"),
    completed("unused"),
    cancelled("unused"),
    *(each(_UNUSED) for each in (pay, refund, capture, reserve, release, ship, call_off)),
    retention_started(),
    segments_closed(0, 1),
    segments_purged(0, 1),
    orders_evicted(0, 1, "unused"),
    StepAnswered(
        order_id="unused", step=StepName.PAYMENT, key="unused", outcome=Outcome.DONE, reference="pi_1"
    ),
    refund_completed("unused", "unused"),
    RefundRefused(order_id="unused", refund_id="unused", reason=RefundReason.MORE_THAN_PAID),
    repay(_UNUSED, part("unused", "1.00")),
    restock(_UNUSED, part("unused", "1.00")),
)
#: The types that people send, by name: a new one must be added here by hand.
PEOPLE: Final = {
    "OrderPlaced",
    "CancellationRequested",
    "RefundOpened",
    "FundsDeposited",
    "FundsWithdrawn",
    "StockReceived",
    "StockAdjusted",
    "PolicyChanged",
}
#: Of every internal type one record, and an eviction for each service.
INTERNAL: Final[tuple[Record, ...]] = (
    *(each for each in EVERY_TYPE if each.type not in PEOPLE),
    orders_evicted(0, 1, "unused", step=StepName.INVENTORY),
    orders_evicted(0, 1, "unused", step=StepName.SHIPPING),
)


def key_file(folder: Path, *lines: str) -> Path:
    """A file with these keys."""
    path = folder / "keys"
    write_private(path, "".join(f"{line}\n" for line in lines or [NEW]))
    return path


def signing(folder: Path, *lines: str, since: str = ALWAYS, partitions: int = 1) -> Settings:
    """The settings of workers that sign with the first of these keys."""
    return Settings(
        partitions_text=str(partitions),
        signing_keys_file=str(key_file(folder, *lines)),
        signed_since=since,
    )


def signatures(folder: Path, *lines: str, since: str = ALWAYS) -> Signatures:
    """Signatures with these keys."""
    found = Signatures.of(signing(folder, *lines, since=since))
    assert found is not None
    return found


def written(
    record: Record | Outgoing, by: Signatures | None, offset: int = 0, partitions: int = 1
) -> Message:
    """The record in its inbox partition, signed by a service or, by None, as anybody can write it."""
    sent = record if isinstance(record, Outgoing) else outgoing(record)
    assert sent.key is not None
    partition = (
        topics.partition_of(sent.key.decode(), partitions) if sent.partition is None else sent.partition
    )
    headers = sent.headers if by is None else by.signed(sent, partition)
    return Message(Offset(offset), BEGINNING + offset, sent.key, sent.value, tuple(headers))
