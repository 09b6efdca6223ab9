"""The system under faults: the broker, the line to it, the workers, the load, and the list of all injections."""

import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException

import tables
from harness.log import BrokerOffsets
from harness.log import until as wait
from harness.shop import Shop
from harness.worker import WorkerProcess
from saga_app import topics
from saga_app.kafka import topic_admin
from saga_app.local.broker import Broker
from saga_app.local.config import HOST, free_ports
from saga_app.settings import Settings
from saga_app.times import now, written
from tests.chaos.attacker import Attacker
from tests.chaos.doors.api import API_ORDERS, ApiDoor
from tests.chaos.doors.door import ChaosDoor
from tests.chaos.doors.outbox import OUTBOX_ORDERS, OutboxDoor
from tests.chaos.doors.webhooks import WebhooksDoor
from tests.chaos.injection import Injection
from tests.chaos.load import ChaosLoad
from tests.chaos.payments import ChaosPayments
from tests.chaos.proxy import Proxy
from tests.chaos.steps import Steps, until, until_or
from tests.chaos.supervisor import SupervisedWorker, Supervisor
from tests.chaos.watch import OrderWatch
from tests.support.signing import key_file

APP_ID = "chaos"
DOORS: Final[dict[str, type[ApiDoor | OutboxDoor | WebhooksDoor]]] = {
    each.name: each for each in (ApiDoor, OutboxDoor, WebhooksDoor)
}
#: Our own clients say nothing of a broker that is away: that is what is tried.
QUIET = 0
#: Seconds in which a stopped worker must have ended: its own timer ends it after 25.
STOPPED = 40.0
#: Seconds to wait for an order to be under way; a stop at rest would show nothing.
IN_FLIGHT = 5.0
#: Seconds in which others take over from a worker that is silent; longer while other faults go on.
TAKEN_OVER = 30.0
#: Seconds in which a worker must have partitions, while other faults go on.
READY = 240.0


class System:
    """One system under test; everything it starts is gone after `close`."""

    def __init__(
        self,
        folder: Path,
        workers: int,
        seed: str,
        rate: float,
        hostile: float,
        say: Callable[[str], None],
        *,
        with_provider: bool = False,
        with_doors: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.say = say
        inner, outer = free_ports(2)
        self.proxy = Proxy(outer, inner)
        self.broker = Broker(folder / "kafka", proxied=(inner, outer))
        self.payments = ChaosPayments(folder, seed) if with_provider else None
        self.supervisor = Supervisor(lambda: self.watch.count)
        self.injections: list[Injection] = []
        self.doors: list[ChaosDoor] = []
        #: With these every record that the attacker writes in the name of a service is a dead letter.
        self.signatures = {"SAGA_SIGNING_KEYS": str(key_file(folder)), "SAGA_SIGNED_SINCE": written(now())}
        #: Orders that had ended when the broker was last seen to answer after a fault.
        self.broker_since = 0
        try:
            self.broker.start().wait()
            self.proxy.start()
            self._open(seed, rate, hostile)
            for name in with_doors:
                made = DOORS[name](folder, self.log, self.watch, seed, self.settings)
                self.doors.append(made)
        except BaseException:
            for door in self.doors:
                door.close()
            self.broker.kill()
            if self.payments is not None:
                self.payments.close()
            raise
        for number in range(1, workers + 1):
            self.hire(f"w{number}", f"{HOST}:{outer}" if number == workers else self.broker.address)
        #: A worker that comes and goes; the supervisor does not start it by itself.
        self.guest = self.hire("guest", self.broker.address)

    def _open(self, seed: str, rate: float, hostile: float) -> None:
        settings = Settings(broker=self.broker.address, app_id=APP_ID)
        names = tuple(table.name for table in tables.ALL)
        topic_admin.ensure(settings, topics.wanted(APP_ID, names, topics.DEFAULT_PARTITIONS))
        self.log = BrokerOffsets(self.broker.address, APP_ID, log_level=QUIET)
        wait(self._topics_answer, 30, lambda: "the topics that were made do not answer")
        self.shop = Shop(self.broker.address, log_level=QUIET)
        self.load = ChaosLoad(self.shop, seed, rate, self.payments)
        self.attacker = Attacker(self.broker.address, seed, hostile)
        self.watch = OrderWatch(self.broker.address, topics.DEFAULT_PARTITIONS)

    def _topics_answer(self) -> bool:
        with suppress(KafkaException):
            return self.log.inboxes() == 0
        return False

    @property
    def workers(self) -> list[SupervisedWorker]:
        """The workers that always run, without the guest."""
        return self.supervisor.members[:-1]

    def hire(self, name: str, address: str) -> SupervisedWorker:
        """One more worker, not started."""
        worker = WorkerProcess(address, self.folder, name, SAGA_APP_ID=APP_ID, **self.settings)
        worker.log.touch()
        member = SupervisedWorker(worker)
        self.supervisor.members.append(member)
        return member

    @property
    def settings(self) -> dict[str, str]:
        """The settings that workers and commands share."""
        return {**self.signatures, **({} if self.payments is None else self.payments.settings)}

    @property
    def violations(self) -> list[str]:
        """Ends of workers and answers of doors that no fault explains."""
        return [*self.supervisor.violations, *(each for door in self.doors for each in door.violations)]

    def door(self, name: str) -> ChaosDoor:
        return next(door for door in self.doors if door.name == name)

    def member(self, name: str) -> SupervisedWorker:
        return next(member for member in self.supervisor.members if member.name == name)

    def injection(
        self,
        fault: str,
        victim: SupervisedWorker | None = None,
        what: str = "",
        *,
        kill: bool = False,
        since: int | None = None,
        whom: str = "broker",
    ) -> Injection:
        """Notes that a fault hits now, with what is in flight; without a victim it hits the broker, or `whom`.

        `since`: how many orders had ended when the life that it ends began, if not when its victim was ready.
        """
        self.watch.poll(0)
        if since is None and victim is not None:
            since = victim.ended_when_ready if victim.ready else self.watch.count
        elif since is None:
            since = self.broker_since
        injection = Injection(
            fault,
            victim.name if victim else whom,
            frozenset(self.watch.open),
            self.watch.count - since,
            self.watch.count,
            kill,
            what=what,
        )
        self.injections.append(injection)
        return injection

    def kill(
        self, fault: str, victim: SupervisedWorker, what: str = "", since: int | None = None
    ) -> Injection:
        """kill -9 of a worker."""
        injection = self.injection(fault, victim, what, kill=True, since=since)
        self.supervisor.kill(victim)
        return injection

    def stop(
        self, fault: str, victim: SupervisedWorker, how: signal.Signals, since: int | None = None
    ) -> Steps:
        """A stop in order, until the process has ended."""
        yield from self.in_flight()
        self.injection(fault, victim, since=since)
        self.supervisor.stop(victim, how)
        yield from until(
            lambda: self.supervisor.stopped(victim), STOPPED, f"{victim.name} ends after {how.name}"
        )

    def in_flight(self) -> Steps:
        """Goes on when an order is under way: at best within a fraction of a second."""
        yield from until_or(lambda: bool(self.watch.open), IN_FLIGHT)

    def taken_over(self, generation: int) -> Steps:
        """Goes on when the group has left this generation behind and orders end again."""
        yield from until_or(lambda: self.supervisor.generation > generation, TAKEN_OVER)
        ended = self.watch.count
        yield from until_or(lambda: self.watch.count > ended, TAKEN_OVER)

    def started(self, members: Iterable[SupervisedWorker]) -> Steps:
        """Starts them; goes on when each has had partitions."""
        for member in members:
            self.supervisor.start(member)
            yield from until(lambda member=member: member.ready, READY, f"{member.name} is ready")  # type: ignore[misc]

    def is_quiet(self) -> bool:
        """Every order that was sent has ended, and nothing is on its way."""
        self.watch.poll(0)
        placed = sum(not is_of_door(order) for order in self.watch.placed_at)
        if placed < self.load.placed or self.watch.open or not all(door.is_quiet for door in self.doors):
            return False
        with suppress(KafkaException):
            return self.log.is_quiet()
        return False

    def close(self) -> None:
        """No process and no thread is left."""
        self.attacker.close()
        for door in self.doors:
            door.close()
        self.supervisor.close()
        self.watch.close()
        self.proxy.close()
        self.broker.kill()
        if self.payments is not None:
            self.payments.close()


def is_of_door(order_id: str) -> bool:
    """True if a shop placed this order through a door."""
    return order_id.startswith((API_ORDERS, OUTBOX_ORDERS))
