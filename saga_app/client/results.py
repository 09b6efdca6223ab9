"""How an order ends, and why a record can end nothing."""

from typing import NamedTuple

from saga_app.core.records import Reason, StepName
from saga_app.core.rows import Status
from saga_app.dead_letters.format import LetterId


class OrderEnding(NamedTuple):
    """The ending of an order; `reason` and `step` are those of a cancellation. `ended_at` is Kafka's milliseconds."""

    order_id: str
    status: Status
    ended_at: int
    reason: Reason | None = None
    step: StepName | None = None

    @property
    def is_completed(self) -> bool:
        """True if every step is done; False if every step is undone."""
        return self.status is Status.COMPLETED


class Refusal(NamedTuple):
    """The record at this place became a dead letter, so nothing comes of it. `reason` is one of `Fault`."""

    place: LetterId
    reason: str
    detail: str


class RecordRefused(Exception):
    """The saga took the record and can do nothing with it, such as an order with another content under a known id."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class OrderOpen(TimeoutError):
    """The order has not ended in time. It goes on, so ask again."""


class TryAgain(Exception):
    """The saga cannot be reached, or has too much to do. Send the same again: the same record twice counts once."""


class ApiError(Exception):
    """Another answer of the API than the client can use: its status and its sentence."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
