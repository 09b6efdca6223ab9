"""Hears how orders end, from the topics alone: one consumer in a thread, for all who wait in one event loop.

Who waits says so first and looks elsewhere second, so no ending is missed between the two.
"""

import asyncio
import logging
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final, Generic, NamedTuple, TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from saga_app import topics, wire
from saga_app.client.results import OrderEnding, Refusal
from saga_app.core.errors import Rejected
from saga_app.core.records import OrderPlaced, Reason, StepName
from saga_app.core.rows import Status
from saga_app.dead_letters.format import LetterId
from saga_app.dead_letters.letter import read_letter
from saga_app.kafka import offsets
from saga_app.kafka.broker_errors import Admin, RefusalLogger, in_words
from saga_app.kafka.liveness import Liveness
from saga_app.kafka.messages import Place
from saga_app.kafka.order_outcomes import HeardOutcome, OrderOutcomeReader
from saga_app.kafka.signatures import Signatures
from saga_app.settings import Settings, readers_group
from saga_app.times import fixed_moment

_LOG: Final = logging.getLogger(__name__)
#: Endings and refusals that are remembered: somebody may ask just after.
MOST_REMEMBERED: Final = 10_000
#: Records of a partition that are read from before the start at most, and endings. An order has some five records.
MOST_BEFORE: Final = 20_000
MOST_ENDINGS_BEFORE: Final = 5_000
#: Seconds that a poll waits for a record, and from one attempt to reach the broker to the next.
_POLL: Final = 0.2
_RETRY: Final = 1.0
#: Seconds in which the broker must name the ends of the partitions.
_ANSWER: Final = 10.0
#: How people's records begin that place no order; all others may be orders.
_TYPED: Final = b'{"type":"'
_ORDER: Final = b'{"type":"OrderPlaced"'
#: Bytes of an order that is kept as it came; of a larger one only its digest is.
_LARGEST_KEPT: Final = 4 * 1024
#: An ending, and the version of its order's row: an id may be used again after its order is purged.
_Heard = tuple[OrderEnding, int]
Key = TypeVar("Key")
Value = TypeVar("Value")


class SeenOrder(NamedTuple):
    """An order that somebody placed: its record, or its digest."""

    order_id: str
    content: bytes | str


class Remembered(Generic[Key, Value]):
    """The newest values, by key."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, Value] = OrderedDict()

    def add(self, key: Key, value: Value) -> None:
        self._kept[key] = value
        if len(self._kept) > MOST_REMEMBERED:
            self._kept.popitem(last=False)

    def get(self, key: Key) -> Value | None:
        return self._kept.get(key)

    def forget(self, key: Key) -> None:
        self._kept.pop(key, None)


class Watch:
    """Waits for one order. It is made before the record is sent, or the order is looked up."""

    def __init__(self, order_id: str, follower: "OutcomeFollower") -> None:
        self.order_id = order_id
        self._follower = follower
        self._place: LetterId | None = None
        self.heard: asyncio.Future[OrderEnding | Refusal | None] = asyncio.get_running_loop().create_future()

    def of_record(self, place: LetterId) -> None:
        """The record at this place ends the waiting too, if it becomes a dead letter."""
        self._place = place
        self._follower._watch_place(place, self)

    def tell(self, outcome: OrderEnding | Refusal | None) -> None:
        """Ends the waiting; with None, before there is an outcome."""
        if not self.heard.done():
            self.heard.set_result(outcome)

    async def outcome(self, seconds: float) -> OrderEnding | Refusal | None:
        """The outcome; None if it does not come within so many seconds, or the process ends."""
        self._follower.waiting += 1
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(self.heard)
        except TimeoutError:
            return None
        finally:
            self._follower.waiting -= 1


class OutcomeFollower:
    """Reads `order_outcomes`, `checkout_events` and `dead_letters` to their ends and goes on; used in one event loop.

    The endings are in the first. In the second are the orders as they were placed.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reader = OrderOutcomeReader(Signatures.of(settings))
        self._endings = Remembered[str, _Heard]()
        self._contents = Remembered[str, bytes | str]()
        self._refusals = Remembered[LetterId, Refusal]()
        self._watches: defaultdict[str, set[Watch]] = defaultdict(set)
        self._places: defaultdict[LetterId, set[Watch]] = defaultdict(set)
        self._next: dict[Place, int] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._following = asyncio.Event()
        #: Why it hears nothing; empty if it does.
        self.fault = "it has not begun"
        self._is_open = True
        #: Callers that wait.
        self.waiting = 0

    def start(self, copied: Mapping[Place, int] | None = None) -> None:
        """Begins to read at the ends; in `checkout_events` from the positions that another reader has reached.

        Then it reads the last endings too: one may be too young for that reader.

        While the broker cannot be reached it tries again, once a second.
        """
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(
            target=self._run, args=(dict(copied or {}),), name="saga-outcomes", daemon=True
        )
        self._thread.start()

    async def begun(self, seconds: float) -> bool:
        """True as soon as it hears every ending from now on; False if that is not so within so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._following.wait()
        return self._following.is_set()

    def stop_waiting(self) -> None:
        """Nobody waits any longer: the process is about to end."""
        self._is_open = False
        for watches in self._watches.values():
            for watch in watches:
                watch.tell(None)

    async def close(self) -> None:
        """Gives the connection up."""
        self._stopping.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def digest(self, order_id: str) -> str | None:
        """The digest of the order that was placed first under this id, if that was not long ago."""
        content = self._contents.get(order_id)
        if isinstance(content, bytes):
            content = _digest(content)
            self._contents.add(order_id, content)
        return content or None

    def ending(self, order_id: str) -> OrderEnding | None:
        """The ending that was heard under this id, if that was not long ago."""
        heard = self._endings.get(order_id)
        return None if heard is None else heard[0]

    @contextmanager
    def watch(self, order_id: str, *, remembers: bool = True) -> Iterator[Watch]:
        """Waits for this order from now on; if it `remembers`, an ending that was heard before counts too."""
        watch = Watch(order_id, self)
        self._watches[order_id].add(watch)
        if remembers and (heard := self._endings.get(order_id)) is not None:
            watch.tell(heard[0])
        elif not self._is_open:
            watch.tell(None)
        try:
            yield watch
        finally:
            self._watches[order_id].discard(watch)
            if not self._watches[order_id]:
                del self._watches[order_id]
            if (place := watch._place) is not None:
                self._places[place].discard(watch)
                if not self._places[place]:
                    del self._places[place]

    def _watch_place(self, place: LetterId, watch: Watch) -> None:
        self._places[place].add(watch)
        if (refusal := self._refusals.get(place)) is not None:
            watch.tell(refusal)

    def take(self, outcomes: list[_Heard | Refusal | SeenOrder]) -> None:
        """In the event loop: remembers the outcomes and tells those who wait."""
        for each in outcomes:
            if isinstance(each, SeenOrder):
                if self._contents.get(each.order_id) is None:
                    self._contents.add(each.order_id, each.content)
                continue
            if isinstance(each, Refusal):
                self._refusals.add(each.place, each)
                for watch in self._places.get(each.place, ()):
                    watch.tell(each)
                continue
            order_id = each[0].order_id
            known = self._endings.get(order_id)
            # An ending may be sent again, as after the death of a worker: the first one counts.
            if known is None or known[1] != each[1]:
                self._endings.add(order_id, each)
                known = each
            for watch in self._watches.get(order_id, ()):
                watch.tell(known[0])

    def _run(self, copied: dict[Place, int]) -> None:
        while not self._stopping.is_set():
            try:
                self._find_ends(copied)
                self._follow()
            except KafkaException as error:
                self._set_fault(in_words(error))
                self._stopping.wait(_RETRY)
            except Exception as error:
                _LOG.exception("the endings of orders cannot be read")
                self._set_fault(str(error))
                self._stopping.wait(_RETRY)

    def _find_ends(self, copied: dict[Place, int]) -> None:
        """Once: the places from which it reads."""
        if self._next:
            return
        places = [
            (topic, partition)
            for topic in (topics.ORDER_OUTCOMES, topics.CHECKOUT, topics.DEAD_LETTERS)
            for partition in range(self._settings.partitions)
        ]
        ends = offsets.readable_ends(Admin(self._settings), places, _ANSWER)
        self._next = {place: _begin(place, end, copied) for place, end in ends.items()}

    def _follow(self) -> None:
        consumer = Consumer(
            {
                **self._settings.kafka,
                "group.id": readers_group(self._settings.kafka),
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "error_cb": RefusalLogger(),
            }
        )
        try:
            consumer.assign([TopicPartition(*place, offset) for place, offset in self._next.items()])
            self._set_fault("")
            liveness = Liveness(topics.CHECKOUT)
            while not self._stopping.is_set():
                # `consume` waits until it has as many as it may take.
                messages = [*consumer.consume(1, _POLL), *consumer.consume(1_000, 0)]
                if messages:
                    liveness.heard()
                elif liveness.is_cut_off(consumer):
                    self._set_fault(f"{self._settings.broker} does not answer")
                    return
                if outcomes := [each for message in messages if (each := self._outcome(message)) is not None]:
                    self._call(self.take, outcomes)
        finally:
            consumer.close()

    def _outcome(self, message: KafkaMessage) -> _Heard | Refusal | SeenOrder | None:
        if message.error() is not None:
            return None
        topic, partition = message.topic(), message.partition()
        self._next[topic, partition] = message.offset() + 1
        if topic == topics.DEAD_LETTERS:
            letter = read_letter(message)
            return None if letter is None else Refusal(letter.id, letter.reason, letter.detail)
        if topic == topics.ORDER_OUTCOMES:
            # Of one that no service signed a worker knows nothing.
            heard = self._reader.read(message)
            return None if heard is None or heard.value is None else (_ending(heard), heard.version)
        value = message.value() or b""
        if value.startswith(_ORDER) or not value.startswith(_TYPED):
            return _seen(message.key() or b"", value)
        return None

    def _set_fault(self, fault: str) -> None:
        self._call(self._told, fault)

    def _told(self, fault: str) -> None:
        self.fault = fault
        if fault:
            self._following.clear()
        else:
            self._following.set()

    def _call(self, function: Callable[[Any], None], argument: Any) -> None:
        with suppress(RuntimeError):
            # A loop that has ended waits for nothing.
            self._loop.call_soon_threadsafe(function, argument)


def _begin(place: Place, end: int, copied: Mapping[Place, int]) -> int:
    """Where a partition is read from."""
    if place[0] == topics.CHECKOUT:
        return max(end - MOST_BEFORE, min(copied.get(place, end), end), 0)
    return max(end - MOST_ENDINGS_BEFORE, 0) if copied and place[0] == topics.ORDER_OUTCOMES else end


def _ending(heard: HeardOutcome) -> OrderEnding:
    outcome = heard.outcome
    return OrderEnding(
        heard.order_id,
        Status(outcome.state),
        fixed_moment(outcome.ended_at),
        None if outcome.reason is None else Reason(outcome.reason),
        None if outcome.step is None else StepName(outcome.step),
    )


def _seen(key: bytes, value: bytes) -> SeenOrder | None:
    """The order in this record; to read it takes long, so it is read when somebody asks for it."""
    order_id = key.decode("ascii", "replace")
    if len(value) <= _LARGEST_KEPT:
        return SeenOrder(order_id, value)
    digest = _digest(value)
    return SeenOrder(order_id, digest) if digest else None


def _digest(value: bytes) -> str:
    """The digest of the order in a record; empty if the record is none."""
    try:
        record = wire.decode(value)
    except Rejected:
        return ""
    return record.order.digest if isinstance(record, OrderPlaced) else ""
