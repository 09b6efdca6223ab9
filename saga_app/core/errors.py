"""Errors of the rules: a record that must not be applied, a store that lost rows, and bytes that are no row."""

from enum import StrEnum


class Fault(StrEnum):
    """The reason that a dead letter carries."""

    UNREADABLE = "unreadable"
    INVALID = "invalid"
    TOO_LARGE = "too_large"
    CORRUPT_BATCH = "corrupt_batch"
    UNEXPECTED_RECORD = "unexpected_record"
    CARD_NUMBER = "card_number"
    NOT_SIGNED = "not_signed"
    WRONG_PARTITION = "wrong_partition"
    DIFFERENT_CONTENT = "different_content"
    UNKNOWN_ORDER = "unknown_order"
    CLOSED_ORDER = "closed_order"
    CONTRADICTION = "contradiction"


class Rejected(Exception):
    """A record that must not be applied: `fault` for machines, `detail` for people."""

    def __init__(self, fault: Fault, detail: str) -> None:
        super().__init__(f"{fault}: {detail}")
        self.fault = fault
        self.detail = detail


class RowsMissing(Exception):
    """A balance is ahead of the journal: the local store lost rows and must be rebuilt."""


class ForeignRow(Exception):
    """Bytes that stand for a row and are none: no worker wrote them. The text says where and why."""
