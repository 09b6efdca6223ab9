"""The watchdog: ends a process that cannot do its work. Faust workers can sit alive and idle for ever.

Answers faust#434, faust#532, faust#629 and aiokafka#1154: an error of the group coordinator is parked and never raised.
"""

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from aiokafka.errors import BrokerResponseError
from confluent_kafka import KafkaError

from saga_app.engine.exits import Exit, Fatal, ends_process
from saga_app.kafka.broker_errors import refused

if TYPE_CHECKING:
    from saga_app.engine.faust.app import SagaApp

#: Seconds between two looks.
PERIOD: Final = 1.0
#: Seconds that each condition may last.
LOOP_SILENT: Final = 30.0
NO_PROGRESS: Final = 60.0
REBALANCING: Final = 120.0
NO_HEARTBEAT: Final = 120.0
NO_PARTITIONS: Final = 180.0


class Look(NamedTuple):
    """One look: the reason to end at once, and conditions that may last, each with its longest time in seconds."""

    dead: tuple[Exit, str] | None
    doubtful: dict[str, float]


class Watchdog:
    """Looks once a second from a thread of its own, so that a blocked main loop is seen too."""

    def __init__(self, app: "SagaApp", clock: Callable[[], float] = time.monotonic) -> None:
        self.app = app
        self._clock = clock
        self._since: dict[str, float] = {}
        self._progress: object = None
        self._ticked = clock()
        self._called = False

    def start(self) -> None:
        """Starts the thread."""
        threading.Thread(target=ends_process(self._run), name="saga-watchdog", daemon=True).start()

    def look(self) -> None:
        """One look: `Fatal` if something is dead, or doubtful for too long."""
        found = self._see()
        if found.dead is not None:
            raise Fatal(*found.dead)
        now = self._clock()
        self._since = {what: self._since.get(what, now) for what in found.doubtful}
        for what, longest in found.doubtful.items():
            if now - self._since[what] > longest:
                raise Fatal(Exit.STUCK, f"{what} for more than {longest:.0f} s")

    def doubts(self) -> dict[str, float]:
        """Each condition that may not last, with the seconds for which it has lasted."""
        now = self._clock()
        return {what: now - since for what, since in dict(self._since).items()}

    def _run(self) -> None:
        while not self.app.should_stop:
            time.sleep(PERIOD)
            self.look()
            self.app.engine.outage.look()

    def _see(self) -> Look:
        doubtful: dict[str, float] = {}
        if not self._loop_answers():
            doubtful["the main loop does not answer"] = LOOP_SILENT
        engine = self.app.engine
        held = engine.assignment.held
        # During a rebalance nothing is decided, and what still waits is of the assignment before it.
        waiting = held is not None and any(buffer.waiting for buffer in engine.buffers.values())
        progress = (engine.durable, self.app.rebalancing_count)
        if waiting and progress == self._progress:
            doubtful["records wait and none becomes durable"] = NO_PROGRESS
        self._progress = progress
        # Faust makes its services when they are first asked for, with the event loop of the thread that asks: asked for
        # here, while a slow broker holds up the start, they would wait for ever for a loop that nobody runs.
        recovery = self.app.tables._recovery
        recovering = recovery is not None and recovery.in_recovery
        if self.app.rebalancing and not recovering:
            doubtful["a rebalance does not end"] = REBALANCING
        if held is None and not recovering:
            doubtful["no partitions are assigned"] = NO_PARTITIONS
        if held is not None and not engine.lease.holds(held):
            doubtful["no heartbeat was answered"] = NO_HEARTBEAT
        return Look(self._dead(), doubtful)

    def _dead(self) -> tuple[Exit, str] | None:
        """An error that aiokafka parked for a call that Faust never makes."""
        consumer = getattr(getattr(self.app._consumer, "_thread", None), "_consumer", None)
        coordinator = getattr(consumer, "_coordinator", None)
        if coordinator is None or self.app.should_stop:
            return None
        error = coordinator._pending_exception
        if error is not None:
            return _why(error)
        task = coordinator._coordination_task
        if task is not None and task.done() and not coordinator._closing.done():
            return Exit.STUCK, "the group coordinator's task has ended"
        return None

    def _loop_answers(self) -> bool:
        """Asks the main loop to answer; whether it answered the question before."""
        answered = not self._called
        if answered:
            self._called = True
            self.app.loop.call_soon_threadsafe(self._answer)
        return answered

    def _answer(self) -> None:
        self._called = False


def _why(parked: Exception) -> tuple[Exit, str]:
    """Errors of brokers have Kafka's numbers in both client libraries."""
    words = refused(KafkaError(parked.errno)) if isinstance(parked, BrokerResponseError) else None
    return (
        (Exit.BROKER_REFUSED, words) if words else (Exit.STUCK, f"the group coordinator gave up: {parked!r}")
    )
