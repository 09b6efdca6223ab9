"""One test's system: fresh topics, workers, a shop that feeds them, and the proof at the end."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from confluent_kafka.admin import AdminClient

import tables
from harness.endings import Endings
from harness.ledger import TopicLedger
from harness.log import BrokerOffsets, everything, parsed, until
from harness.orders import Sent, orders
from harness.shop import Shop
from harness.worker import WorkerProcess
from saga_app import topics
from saga_app.kafka import topic_admin
from saga_app.kafka.headers import SENT_ON
from saga_app.settings import Settings

TABLES = tuple(table.name for table in tables.ALL)


class Ended(NamedTuple):
    """A worker that ended by itself: its exit code, and its last words."""

    worker: str
    code: int
    words: str


class Scene:
    """Topics are empty at the start; the group and the changelogs are this test's own."""

    def __init__(self, broker: str, folder: Path, app_id: str, replication: int = 1) -> None:
        self.broker = broker
        self.folder = folder
        self.app_id = app_id
        self.replication = replication
        self.workers: list[WorkerProcess] = []
        topic_admin.ensure(
            Settings(broker=broker, app_id=app_id),
            topics.wanted(app_id, TABLES, topics.DEFAULT_PARTITIONS, replication),
        )
        self.log = BrokerOffsets(broker, app_id)
        until(self._topics_answer, 30, lambda: "the topics that were made do not answer")
        self.shop = Shop(broker)
        self.endings = Endings(broker, from_beginning=True)

    def worker(self, name: str, **settings: str) -> WorkerProcess:
        """A worker of this test; closed at its end."""
        settings = {"SAGA_REPLICATION": str(self.replication), **settings}
        worker = WorkerProcess(self.broker, self.folder, name, SAGA_APP_ID=self.app_id, **settings)
        self.workers.append(worker)
        return worker

    def close(self) -> None:
        """No process is left."""
        for worker in self.workers:
            worker.close()
        self.endings.close()

    def policy(self, topic: str, policy_id: str, **fields: Any) -> None:
        """Changes a policy, and waits until every partition has it: what is sent after it is decided by it."""
        self.shop.policy(topic, policy_id=policy_id, **fields)

        def missing() -> set[int]:
            messages = everything(self.broker, topic, topics.DEFAULT_PARTITIONS)
            in_force = {
                each.partition()
                for each in messages
                if parsed(each.value()).get("policy_id") == policy_id
                # Another partition only sends on what has not the mark.
                and (each.partition() == topics.POLICY_PARTITION or SENT_ON in dict(each.headers() or ()))
            }
            return set(range(topics.DEFAULT_PARTITIONS)) - in_force

        until(lambda: not missing(), 60, lambda: f"policy {policy_id} is not in partitions {missing()}")

    def feed(self, burst: Iterable[Sent], until_ended: int, seconds: float = 60) -> int:
        """Sends a burst of orders and returns as soon as so many more have ended, with the rest under way."""
        count = self.shop.send(burst)
        self.endings.wait_for(len(self.endings.ended) + until_ended, seconds)
        return count

    def under_way(self) -> int:
        """Orders placed that have not ended, as far as the topic tells now."""
        self.endings.poll(0)
        return len(self.endings.placed_at.keys() - self.endings.ended.keys())

    def pump(self, until_true: Callable[[], bool], prefix: str, seconds: float = 60) -> int:
        """Sends orders steadily until it holds, so that work is always under way; how many."""
        count = 0
        end = time.monotonic() + seconds
        while not until_true():
            count += self.shop.send(orders(20, seed=count, prefix=f"{prefix}-{count}"))
            self.endings.poll(0.1)
            assert time.monotonic() < end, f"{prefix}: not within {seconds:.0f} s, {count} orders sent"
        return count

    def supervise(self, done: Callable[[], bool], seconds: float) -> list[Ended]:
        """Starts dead workers again until it is done, as a supervisor does; who ended, and how."""
        ended: list[Ended] = []
        end = time.monotonic() + seconds
        while not done():
            for worker in self.workers:
                if worker.code is not None:
                    ended.append(Ended(worker.name, worker.code, worker.last_words()))
                    worker.start()
            assert time.monotonic() < end, f"not done within {seconds:.0f} s; workers that ended: {ended}"
            self.endings.poll(0.1)
        return ended

    def ledger(self) -> TopicLedger:
        """The state now; wait until the system is quiet before."""
        return TopicLedger(self.broker, app_id=self.app_id)

    def prove(self, dead_letters: int = 0, seconds: float = 60) -> TopicLedger:
        """The end of every test: all rules hold, and the whole input sent again changes nothing."""
        self.log.wait_until_quiet(seconds)
        ledger = self.ledger()
        ledger.check(dead_letters)
        rows = self.log.rows(TABLES)
        records = self.log.inboxes()
        sent = self.shop.send_again()
        assert sent > 0 and self.log.inboxes() >= records + sent
        self.log.wait_until_quiet(seconds)
        assert self.log.rows(TABLES) == rows, "the same input again has written rows"
        again = self.ledger()
        assert again.logged == ledger.logged == again.refold.tables, (
            "the same input again has changed a table"
        )
        return ledger

    def _topics_answer(self) -> bool:
        try:
            self.log.inboxes(), self.log.rows(TABLES)
        except Exception:
            return False
        return True


def clear(broker: str) -> None:
    """Deletes every topic but Kafka's own, and waits until they are gone."""
    admin = AdminClient({"bootstrap.servers": broker, "log_level": 3})

    def there() -> list[str]:
        return [name for name in admin.list_topics(timeout=15).topics if not name.startswith("__")]

    old = there()
    for deleted in (admin.delete_topics(old) if old else {}).values():
        deleted.result()
    until(lambda: not there(), 30, lambda: f"topics are still there: {there()}")
