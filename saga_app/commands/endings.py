"""Waits until orders have ended, by the records that end them: no other copy is asked, and none must be running."""

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import Message

from saga_app import topics, wire
from saga_app.commands.exit_codes import CommandExit
from saga_app.commands.render.output import FAILED, print_error, show
from saga_app.core.checkout import Checkout
from saga_app.core.errors import Rejected
from saga_app.core.labels import why
from saga_app.core.numbers import FIRST
from saga_app.core.records import OrderCancelled, OrderCompleted, Reason
from saga_app.core.rows import OPEN_STATUSES, ClosedOrder, OrderRow, Status, decode, is_tombstone, version_of
from saga_app.dead_letters.format import LetterId
from saga_app.dead_letters.letter import Letter, read_letter
from saga_app.engine.stores.changelog import KafkaChangelog, leave_out
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin
from saga_app.kafka.chunks import chunks
from saga_app.kafka.consumer_group import TIMEOUT, committed_of, outsider
from saga_app.kafka.messages import located
from saga_app.kafka.sender import Sent
from saga_app.settings import Settings

#: Seconds between two looks.
PAUSE: Final = 0.1
#: Seconds without an ending after which the rows of taken orders are read: one may have ended before it was sent again.
QUIET: Final = 1.0
#: Most orders that a line about a time-out names.
_MOST_NAMED: Final = 5
#: The beginning of the two records that end an order.
_ENDING: Final = b'{"type":"OrderC'


class FinalStatus(NamedTuple):
    """How an order ended; `reason` is None for a completed one."""

    status: Status
    reason: Reason | None = None

    @property
    def code(self) -> int:
        """The exit code that tells of it."""
        return CommandExit.CANCELLED if self.status is Status.CANCELLED else CommandExit.DONE

    def __str__(self) -> str:
        state = "completed" if self.status is Status.COMPLETED else "cancelled"
        return state if self.reason is None else f"{state}: {why(self.reason)}"


class EndWatch:
    """Made before the records are sent: what follows from them comes behind the ends that are known then."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._admin = Admin(settings)
        self._group = outsider(settings, settings.app_id)
        every = range(settings.partitions)
        self._places = [(topic, each) for topic in (topics.CHECKOUT, topics.DEAD_LETTERS) for each in every]
        self._next = dict(offsets.ends(self._admin, self._places))

    def wait(
        self, sent: Mapping[str, Sent], seconds: float | None
    ) -> Iterator[tuple[str, FinalStatus | Letter]]:
        """Each of these orders as it ends, or as its record becomes a dead letter, for so many seconds at most.

        `sent` has the place of the record that was sent, by order.
        """
        waiting = dict(sent)
        by_place = {LetterId(*at): order_id for order_id, at in sent.items()}
        until = None if seconds is None else time.monotonic() + seconds
        last, looked = time.monotonic(), False
        while waiting:
            for order_id, outcome in self._new(by_place):
                if waiting.pop(order_id, None) is not None:
                    last, looked = time.monotonic(), False
                    yield order_id, outcome
            if not looked and waiting and time.monotonic() - last >= QUIET and (taken := self.taken(waiting)):
                looked = len(taken) == len(waiting)
                for order_id, ending in ended_before(self._settings, taken).items():
                    del waiting[order_id]
                    yield order_id, ending
            if until is not None and time.monotonic() >= until:
                return
            if waiting:
                time.sleep(PAUSE)

    def taken(self, sent: Mapping[str, Sent]) -> dict[str, Sent]:
        """Leaves only those whose record a worker has taken."""
        places = {(at.topic, at.partition) for at in sent.values()}
        done = committed_of(self._group, places, TIMEOUT)
        return {order: at for order, at in sent.items() if done[at.topic, at.partition] > at.offset}

    def _new(self, by_place: Mapping[LetterId, str]) -> Iterator[tuple[str, FinalStatus | Letter]]:
        """The endings and the letters of these records that came since the last call."""
        for place, end in offsets.ends(self._admin, self._places).items():
            start, self._next[place] = self._next[place], end
            for chunk in chunks(self._settings.kafka, *place, start, end):
                for message in chunk:
                    if place[0] == topics.DEAD_LETTERS:
                        letter = read_letter(message)
                        if letter is not None and letter.id in by_place:
                            yield by_place[letter.id], letter
                    elif (found := _ending(message)) is not None:
                        yield found


def ended_before(settings: Settings, orders: Iterable[str]) -> dict[str, FinalStatus]:
    """Finds which of these orders have ended, by their rows in the changelog: of one key the highest version counts."""
    by_partition: dict[int, set[str]] = {}
    for order_id in orders:
        by_partition.setdefault(topics.partition_of(order_id, settings.partitions), set()).add(order_id)
    topic = topics.changelog(settings.app_id, Checkout.journal)
    ends = offsets.ends(Admin(settings), [(topic, each) for each in by_partition])
    newest: dict[str, bytes] = {}
    for partition, wanted in by_partition.items():
        keys = {order_id.encode() for order_id in wanted}
        log = KafkaChangelog(settings.kafka, topic, partition, ends[topic, partition], leave_out)
        for rows in log.read(FIRST, log.end()):
            for _, key, row in rows:
                if key in keys:
                    newest[key.decode()] = max(newest.get(key.decode(), row), row, key=version_of)
    found = {order_id: _ending_of(order_id, row) for order_id, row in newest.items()}
    return {order_id: ending for order_id, ending in found.items() if ending is not None}


def tell(reader: EndWatch, sent: Mapping[str, Sent], seconds: float | None, *, as_json: bool) -> int:
    """Prints how each of these orders ends; returns the exit code: that of the worst ending."""
    waiting, code = dict(sent), int(CommandExit.DONE)
    for order_id, outcome in reader.wait(sent, seconds):
        del waiting[order_id]
        if isinstance(outcome, Letter):
            code = FAILED
            print_error(
                f"the record of order {order_id} is a dead letter, {outcome.reason}; `saga dead-letters {outcome.id}` "
                "shows it"
            )
            continue
        code = code if code == FAILED else max(code, outcome.code)
        machine = {"order_id": order_id, "status": outcome.status, "reason": outcome.reason}
        show({**machine, "words": str(outcome)}, f"order {order_id} {outcome}", as_json=as_json)
    if waiting:
        print_error(_not_ended(waiting, reader.taken(waiting), seconds))
        return code if code == FAILED else CommandExit.NOT_ENDED
    return code


def _not_ended(waiting: Mapping[str, Sent], taken: Mapping[str, Sent], seconds: float | None) -> str:
    names = ", ".join(list(waiting)[:_MOST_NAMED])
    more = f" and {len(waiting) - _MOST_NAMED:,} more" if len(waiting) > _MOST_NAMED else ""
    which = f"order {names} has" if len(waiting) == 1 else f"orders {names}{more} have"
    untaken = [order_id for order_id in waiting if order_id not in taken]
    if untaken:
        at = waiting[untaken[0]]
        why_not = (
            f"no worker has taken {located((at.topic, at.partition), at.offset)}; `saga doctor` says why"
        )
    else:
        why_not = f"all are taken; `saga order {next(iter(waiting))}` shows where it is"
    return f"{which} not ended in {seconds:g} s: {why_not}. Nothing is lost, and nothing was taken back"


def _ending(message: Message) -> tuple[str, FinalStatus] | None:
    # Most records are placed orders: parsing one takes a thousand times longer than this comparison.
    if not (message.value() or b"").startswith(_ENDING):
        return None
    try:
        record = wire.decode(message.value())
    except Rejected:
        return None
    if isinstance(record, OrderCompleted):
        return record.order_id, FinalStatus(Status.COMPLETED)
    return (
        (record.order_id, FinalStatus(Status.CANCELLED, record.reason))
        if isinstance(record, OrderCancelled)
        else None
    )


def _ending_of(order_id: str, data: bytes) -> FinalStatus | None:
    row: Any = None if is_tombstone(data) else decode(Checkout.journal, order_id, data)
    if isinstance(row, ClosedOrder):
        return FinalStatus(row.closed, None)
    return (
        FinalStatus(row.status, row.reason)
        if isinstance(row, OrderRow) and row.status not in OPEN_STATUSES
        else None
    )
