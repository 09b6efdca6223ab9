"""Takes all readings, bounded in time; a thread of its own keeps them fresh while somebody asks."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Final

from confluent_kafka import KafkaException

from saga_app.effects.reading import EffectsReading
from saga_app.health.broker import BrokerReader
from saga_app.health.database import ANSWER, DatabaseReader
from saga_app.health.readings import DatabaseReading, KafkaReading, Readings
from saga_app.kafka.broker_errors import in_words
from saga_app.kafka.topic_admin import BrokerUnreachable
from saga_app.settings import Settings
from saga_app.times import now

_LOG: Final = logging.getLogger(__name__)
#: Seconds from one reading to the next.
EVERY: Final = 1.0
#: Seconds for which readings are fresh, and seconds that a request waits for fresh ones.
FRESH: Final = 4.0
LONGEST_WAIT: Final = 2.5
#: Seconds that a command waits: a reading takes less, also if broker and database are silent.
WAIT_OF_COMMANDS: Final = 10.0
_LOADING: Final = threading.Lock()


def load_database_packages() -> None:
    """Imports the order database, if its packages are there; SQLAlchemy cannot be imported by two threads at a time."""
    with _LOADING, suppress(ModuleNotFoundError):
        import_module("saga_app.orderdb.queries.reading")


def read(settings: Settings, from_broker: BrokerReader, from_database: DatabaseReader) -> Readings:
    """All readings, within some seconds. An answer that is a fault raises nothing: the fault is in the readings."""
    database, database_fault, is_without = _database(from_database)
    kafka, kafka_fault = _kafka(settings, from_broker, database)
    return Readings(now(), kafka, kafka_fault, database, database_fault, is_without)


class HealthWatch:
    """The readings of one process, taken by a daemon thread while somebody asks for them."""

    def __init__(
        self, settings: Settings, effects: Callable[[], EffectsReading | None] = lambda: None
    ) -> None:
        self._settings = settings
        self._effects = effects
        self._latest: Readings | None = None
        self._asked = threading.Event()
        self._closed = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def latest(self) -> Readings | None:
        """The last readings, at once; None before the first. It asks for fresh ones."""
        self._asked.set()
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="saga-health", daemon=True)
                self._thread.start()
        return self._latest

    async def fresh(self, seconds: float = LONGEST_WAIT) -> Readings | None:
        """Fresh readings; the last ones if fresh ones take longer than so many seconds."""
        end = time.monotonic() + seconds
        while not self._is_fresh(self.latest()) and time.monotonic() < end:
            await asyncio.sleep(0.05)
        return self._latest

    def wait(self) -> Readings | None:
        """As `fresh`, for a command."""
        return asyncio.run(self.fresh(WAIT_OF_COMMANDS))

    def close(self) -> None:
        """Nobody asks any more: the connections are given up, after the reading that is under way."""
        self._closed.set()
        self._asked.set()

    def _is_fresh(self, readings: Readings | None) -> bool:
        return readings is not None and now() - readings.at < FRESH * 1000

    def _is_asked(self) -> bool:
        """Waits until somebody asks; False if nobody will. A close between the two lines is seen by the second."""
        self._asked.wait()
        self._asked.clear()
        return not self._closed.is_set()

    def _run(self) -> None:
        broker, database = BrokerReader(self._settings), DatabaseReader(self._settings)
        while self._is_asked():
            try:
                found, effects = read(self._settings, broker, database), self._effects()
                self._latest = found if effects is None else found._replace(effects=effects)
            except Exception:
                # The strip then says how old the last reading is.
                _LOG.exception("the health could not be read")
            self._closed.wait(EVERY)
        broker.close()
        database.close()


def _kafka(
    settings: Settings, broker: BrokerReader, database: DatabaseReading | None
) -> tuple[KafkaReading | None, str]:
    try:
        if database is None:
            return broker.read((), None), ""
        from saga_app.orderdb.copy.source_topics import row_mappers

        return broker.read(row_mappers(settings.app_id), database.copied), ""
    except BrokerUnreachable as error:
        return None, str(error)
    except KafkaException as error:
        return None, f"{settings.broker}: {in_words(error)}"


def _database(reader: DatabaseReader) -> tuple[DatabaseReading | None, str, bool]:
    """The reading or the fault; True where there is no order database, or no package for it."""
    load_database_packages()
    try:
        from saga_app.orderdb.database import DatabaseEmpty, DatabaseWrong
        from saga_app.orderdb.database import in_words as database_words
    except ModuleNotFoundError as error:
        return None, f"it needs the package {error.name}: pip install '.[orders]'", True
    try:
        return reader.read(), "", False
    except DatabaseWrong as error:
        return None, str(error), isinstance(error, DatabaseEmpty)
    except TimeoutError:
        return None, f"no answer within {ANSWER:.0f} s", False
    except Exception as error:
        # Every error of a driver means the same here, and the strip must not fail.
        return None, database_words(error), False
