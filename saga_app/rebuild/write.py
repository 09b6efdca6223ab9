"""Makes the changelogs anew and writes the folded rows into them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from saga_app import topics
from saga_app.audit.scratch import FOLDED, Item, Stores
from saga_app.core.row_keys import REBUILT_KEY
from saga_app.kafka import offsets, topic_admin
from saga_app.kafka.broker_errors import Admin, in_words, refused
from saga_app.kafka.messages import REBUILT, Outgoing, Place
from saga_app.rebuild.survey import CannotRebuild, Survey, changelogs
from saga_app.settings import Settings

#: Seconds in which the broker must take a row.
TIMEOUT: Final = 60.0
#: Rows from one report of progress to the next.
_REPORT_EVERY: Final = 50_000

Progress = Callable[[str], None]


def make_anew(settings: Settings, found: Survey) -> None:
    """Deletes the changelogs and creates them; their new ids tell every worker that its disk is stale.

    Raises `KafkaException`, and `TopicsWrong` if the broker does not create them.
    """
    if found.changelogs:
        topic_admin.delete(settings, sorted(found.changelogs))
    topic_admin.ensure(settings, changelogs(settings))


class RowWriter:
    """Writes rows as safely as a worker does: idempotent, and each confirmed by all replicas."""

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self._settings = settings
        self._progress = progress
        self._written: Counter[Place] = Counter()
        self._errors: list[str] = []
        self._producer = Producer(
            {
                **settings.kafka,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 20,
                "compression.type": "none",
                "message.max.bytes": topics.LARGEST_IN_LOG,
                "delivery.timeout.ms": int(TIMEOUT * 1000),
                "delivery.report.only.error": True,
                "queue.buffering.max.messages": 200_000,
            }
        )

    def write(self, stores: Stores, table: str, partition: int, *, marked: bool) -> None:
        """Writes the rows of one table and partition, with or without a mark before them."""
        changelog = topics.changelog(self._settings.app_id, table)
        rows = stores.store(FOLDED, (table, partition)).scan()
        for record in rebuilt_records(rows, changelog, partition, marked=marked):
            self._produce(record, (changelog, partition))

    def finish(self) -> None:
        """Waits until the broker has all rows, and no others. Raises `CannotRebuild`."""
        left = self._producer.flush(TIMEOUT + 1)
        if left or self._errors:
            raise _unfinished(f"{self._errors[0] if self._errors else 'no answer'}")
        ends = offsets.ends(Admin(self._settings), self._written)
        for place, rows in self._written.items():
            if ends[place] != rows:
                raise _unfinished(
                    f"{place[0]}[{place[1]}] has {ends[place]} records, not {rows}: who else writes there?"
                )

    @property
    def rows(self) -> int:
        """The number of records written."""
        return self._written.total()

    def _produce(self, record: Outgoing, place: Place) -> None:
        if self._errors:
            raise _unfinished(self._errors[0])
        while True:
            try:
                self._producer.produce(
                    record.topic,
                    record.value,
                    record.key,
                    place[1],
                    self._delivered,
                    headers=list(record.headers),
                )
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                raise _unfinished(in_words(error)) from error
            else:
                break
        self._producer.poll(0)
        self._written[place] += 1
        if self.rows % _REPORT_EVERY == 0:
            self._progress(f"{self.rows:,} rows written")

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._errors.append(f"{message.topic()}: {refused(error) or error.str()}")


def rebuilt_records(
    rows: Iterable[Item], changelog: str, partition: int, *, marked: bool
) -> Iterator[Outgoing]:
    """The rows as a rebuild writes them. The mark goes before them, also where there are none.

    The audit takes the time of the rebuild from it: the times of rows are no longer those of their decisions.
    """
    header = ((REBUILT, b"1"),)
    if marked:
        yield Outgoing(changelog, REBUILT_KEY, None, partition, header)
    for key, row in rows:
        yield Outgoing(changelog, key, row, partition, header)


def _unfinished(why: str) -> CannotRebuild:
    return CannotRebuild(
        f"the changelogs are not whole ({why}); workers do not start until this command has run again"
    )
