"""The loop: take a batch of rows, send it, settle the rows. A row is deleted only when the broker has its record.

A relay that is killed leaves the rows of its batch, and the next one sends them again: to the saga, twice is once.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from saga_app.orderdb.database import in_words, is_down
from saga_app.outbox.payloads import sort_out
from saga_app.outbox.publisher import OutboxPublisher
from saga_app.outbox.store import OutboxStore

#: Rows of a batch.
MOST_ROWS: Final = 500
#: Seconds between two looks at an empty table, and at a lock that another relay holds.
POLL: Final = 0.1
STANDBY: Final = 1.0
#: Seconds before the database is asked again.
RETRY: Final = 1.0
#: Seconds between two lines about the backlog.
REPORT_EVERY: Final = 60.0

Report = Callable[[str], None]


class Relay:
    """Relays one table until it is stopped."""

    def __init__(
        self, store: OutboxStore, publisher: OutboxPublisher, report: Report, most: int = MOST_ROWS
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._report = report
        self._most = most
        self.relayed = 0
        self.refused = 0
        self._holds_lock = False
        self._said = ""
        self._reported = (time.monotonic(), 0)

    async def run(self, stop: asyncio.Event, *, once: bool = False) -> None:
        """Returns when it is stopped, or with `once` when nothing waits any more.

        The database may go away for a while. Raises `OutboxWrong`, `TopicsWrong`, and an error of the database that
        does not pass by itself.
        """
        while not stop.is_set():
            try:
                pause = await self._turn(stop)
                if pause == POLL and once:
                    return
            except Exception as error:
                if not is_down(error):
                    raise
                self._say(f"the database does not answer: {in_words(error)}; waiting")
                self._holds_lock = False
                await self._store.close()
                pause = RETRY
            if pause:
                await _until(stop, pause)

    async def _turn(self, stop: asyncio.Event) -> float:
        """One batch; the seconds until the next one."""
        await self._store.open()
        if not self._holds_lock:
            self._holds_lock = await self._store.lock()
            self._say(self._standing())
            if not self._holds_lock:
                return STANDBY
        rows = await self._store.batch(self._most)
        if rows:
            found = sort_out(rows)
            if found.records and not await asyncio.to_thread(
                self._publisher.publish, found.records, stop.is_set
            ):
                # It is stopped: the next relay finds these rows again, the refused ones too.
                return 0
            await self._store.settle(found.rows, found.refused)
            self.relayed += len(found.rows)
            self._tell_refused(found.refused)
        await self._tell_backlog()
        return 0 if rows else POLL

    def _standing(self) -> str:
        where = f"{self._store.table_name} of {self._store.name}"
        return (
            f"relays {where}" if self._holds_lock else f"another relay holds the lock of {where}; standing by"
        )

    def _say(self, words: str) -> None:
        """Says it, unless it was the last thing of this kind that was said."""
        if words != self._said:
            self._said = words
            self._report(words)

    def _tell_refused(self, refused: dict[int, str]) -> None:
        self.refused += len(refused)
        if refused:
            row, why = next(iter(refused.items()))
            more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
            self._report(
                f"row {row} is refused: {why}{more}; later rows of the same order wait until it is corrected or deleted"
            )

    async def _tell_backlog(self) -> None:
        at, before = self._reported
        if time.monotonic() - at < REPORT_EVERY:
            return
        self._reported = (time.monotonic(), self.relayed)
        backlog = await self._store.backlog()
        if self.relayed > before or backlog.waiting:
            self._report(
                f"{self.relayed - before:,} relayed, {backlog.waiting:,} wait, the oldest for {backlog.oldest:.1f} s; "
                f"{backlog.refused:,} refused"
            )


async def _until(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return
