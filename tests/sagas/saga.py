"""The whole saga in memory: four services with the real core and the real round, and every choice left to the test.

A test sends what people send, and says which inbox is read next and how far; between any two readings it may send
again. In the end everything is read, and every order must have ended wholly.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from saga_app import topics, wire
from saga_app.core.decider import Decider
from saga_app.core.numbers import Offset
from saga_app.core.order import PricedLine
from saga_app.core.records import Reason, Record
from saga_app.core.rows import Account, JournalRow, OrderRow, State, Status, Stock
from saga_app.dead_letters.format import REASON
from saga_app.kafka.messages import Message, Outgoing, outgoing
from tests.support.examples import delivery, deposit, placed
from tests.support.given import BEGINNING, CHECKOUT, INVENTORY, PAYMENT, SECOND, SHIPPING
from tests.support.memory import MemoryBroker, MemoryWorker, Place, Steps, Stop, Stopped

DECIDERS: Final[Mapping[str, Decider]] = {
    topics.CHECKOUT: CHECKOUT,
    topics.PAYMENT: PAYMENT,
    topics.INVENTORY: INVENTORY,
    topics.SHIPPING: SHIPPING,
}
MUG = (PricedLine(sku="MUG", quantity=1),)
PEN = (PricedLine(sku="PEN", quantity=1),)
#: What an order meets on its way.
ROUTES = {
    None: lambda name: placed(name, customer_id="c1", lines=MUG),
    Reason.OVER_LIMIT: lambda name: placed(name, "5000.00", customer_id="c1"),
    Reason.UNKNOWN_SKU: lambda name: placed(name, customer_id="c1", lines=PEN),
    Reason.UNDELIVERABLE: lambda name: placed(name, customer_id="c1", country="NZ", lines=MUG),
}


class Saga:
    """Topics, and a worker for each partition of each inbox."""

    def __init__(self, partitions: int = 1) -> None:
        self.broker = MemoryBroker(partitions)
        self.places: list[Place] = [(topic, each) for topic in DECIDERS for each in range(partitions)]
        self.workers = {place: self._worker(place) for place in self.places}
        #: What was logged for people.
        self.notes: list[str] = []

    def send(self, *records: Record) -> None:
        for record in records:
            self.broker.append(outgoing(record))

    def waiting(self) -> list[Place]:
        """Inboxes that hold something unread."""
        return [place for place in self.places if self._unread(place)]

    def read(self, place: Place, records: int = 1) -> None:
        """The next records of this inbox, in one round."""
        worker = self.workers[place]
        worker.run(self._unread(place)[:records])
        self.notes += [note.text for note in worker.round.notes if not note.warning]
        worker.round.notes.clear()

    def crash(self, place: Place, step: str, *, keeps_disk: bool, records: int = 1, written: int = 0) -> None:
        """The same, but its worker is killed at this step of the round, and another one takes over."""
        worker = self.workers[place]
        before = worker.position
        worker.steps.stop = Stop(step, worker.steps.taken[step] + 1)
        worker.journal.keep = worker.publisher.keep = written
        try:
            self.read(place, records)
        except Stopped:
            # What is durable may not have been committed yet.
            self.workers[place] = self._worker(place, worker if keeps_disk else None, before)
        worker.steps.stop = None

    def next(self, place: Place) -> Message:
        """The next record that this inbox's worker reads."""
        return self._unread(place)[0]

    def lose(self, place: Place) -> None:
        """The next record of this inbox is gone: a batch of Kafka's goes on behind the gap."""
        positions = self.workers[place].inbox.positions
        positions[place[1]] = Offset(positions[place[1]] + 1)

    def spoil(self, place: Place) -> None:
        """The next record of this inbox cannot be read: it becomes a dead letter."""
        offset = self.next(place).offset
        log = self.broker.logs[place]
        log[offset] = log[offset]._replace(value=b"spoilt")

    def finish(self) -> None:
        """Everything that is on its way arrives."""
        while waiting := self.waiting():
            for place in waiting:
                self.read(place, 1_000)

    def situation(self) -> object:
        """All that decides the rest of the run, and the notes so far."""
        logs = [tuple(each.value for each in self.broker.logs[place]) for place in self.places]
        positions = [worker.position for worker in self.workers.values()]
        return tuple(logs), tuple(positions), tuple(self.notes)

    def order(self, order_id: str) -> OrderRow:
        return OrderRow.decode(self._rows("orders")[order_id])

    def state(self, table: str, order_id: str) -> State | None:
        data = self._rows(table).get(order_id)
        return None if data is None else JournalRow.decode(data).state

    def balance(self, account: str) -> str:
        return str(Account.decode(self._rows("accounts")[account]).balance)

    def dead(self) -> list[str]:
        """Why records were set aside."""
        return [
            (dict(letter.headers)[REASON] or b"").decode()
            for letter in self.broker.topic(topics.DEAD_LETTERS)
        ]

    def endings(self, order_id: str) -> set[str]:
        """The endings that checkout was told for this order."""
        told = [wire.decode(each.value) for each in self.broker.sent if each.topic == topics.CHECKOUT]
        return {each.type for each in told if each.type in ENDINGS and topics.key_of(each) == order_id}

    def check(self, orders: Iterable[str], reasons: Iterable[Reason]) -> None:
        """Each order ended once and wholly, and if cancelled then for one of these reasons; nothing is lost or made."""
        for order_id in orders:
            row = self.order(order_id)
            steps = [self.state(table, order_id) for table in ("payments", "reservations", "shipments")]
            completed = row.status is Status.COMPLETED
            assert completed or row.status is Status.CANCELLED, f"{order_id} is {row.status}"
            assert [step is State.DONE for step in steps] == [completed] * 3, f"{row.status}, but {steps}"
            assert len(self.endings(order_id)) == 1, self.endings(order_id)
            assert row.reason is None if completed else row.reason in set(reasons), row
        for key, data in self._rows("accounts").items():
            account = Account.decode(data)
            assert account.deposited == account.balance + self._held("payments", key) and account.balance >= 0
        for key, data in self._rows("stock").items():
            stock = Stock.decode(data)
            assert stock.received == stock.available + self._held("reservations", key)
            assert stock.available >= 0

    def _held(self, journal: str, balance: str) -> Decimal:
        """The sum that orders took from this balance and have not given back."""
        rows = [JournalRow.decode(data) for key, data in self._rows(journal).items() if ":" not in key]
        return -sum(
            (Decimal((row.moves or {}).get(balance, 0)) for row in rows if row.state is State.DONE),
            Decimal(0),
        )

    def _rows(self, table: str) -> dict[str, bytes]:
        return {
            key.decode(): data
            for worker in self.workers.values()
            if table in worker.stores
            for key, data in worker.stores[table].rows.items()
        }

    def _unread(self, place: Place) -> list[Message]:
        position = self.workers[place].position
        return [
            _message(each, offset)
            for offset, each in enumerate(self.broker.logs[place])
            if offset >= position
        ]

    def _worker(self, place: Place, old: MemoryWorker | None = None, committed: int = 0) -> MemoryWorker:
        topic, partition = place
        worker = MemoryWorker(
            self.broker,
            topic,
            DECIDERS[topic],
            None if old is None else old.disks,
            partition=partition,
            committed=committed,
            steps=Steps(),
        )
        worker.start()
        return worker


ENDINGS: Final = frozenset({"OrderCompleted", "OrderCancelled"})


def _message(record: Outgoing, offset: int) -> Message:
    return Message(Offset(offset), BEGINNING + offset * SECOND, record.key, record.value, record.headers)


def supplied(partitions: int = 1) -> Saga:
    """Customer c1 has 1000.00, and there are ten mugs."""
    saga = Saga(partitions)
    saga.send(deposit(amount="1000.00"), delivery(MUG=10))
    saga.finish()
    return saga
