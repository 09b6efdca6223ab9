"""A payment provider for tests: in the worker's process, with its ledger in a file that outlives every worker.

A third of its requests go wrong: lost before they do anything; executed, with a lost answer; or executed later, when
the caller has given up. It has intents: a thing is taken once, and nothing is confirmed before its name is in the log.
"""

import asyncio
import random
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from saga_app.core.records import Outcome, StepAnswered
from saga_app.effects.configured import ProviderOptions
from saga_app.effects.ports import Answer, Call, Effect

#: Of a hundred requests: lost before, lost behind, and executed late.
_BEFORE: Final = 12
_BEHIND: Final = 24
_LATE: Final = 34
#: How often each request goes wrong at most, in one life of a worker: then every order ends soon.
_MOST_WRONG: Final = 2
#: Seconds after which a request that was given up is executed.
_DELAY: Final = 0.4
_OUTCOMES: Final = {"done": Outcome.DONE, "canceled": Outcome.REFUSED, "refunded": Outcome.UNDONE}


def provider(options: ProviderOptions) -> "Till":
    """The factory: option FILE is the ledger, and FAULTS, if it is 0, lets nothing go wrong."""
    return Till(Path(options.get("FILE")), faults=options.get("FAULTS", "1") != "0")


class TillLedger:
    """The things of the provider; also for the test that looks at them."""

    def __init__(self, file: Path) -> None:
        self._file = file
        with self.connected() as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS things (id INTEGER PRIMARY KEY, order_id TEXT, token TEXT, status TEXT, "
                "taken INTEGER DEFAULT 0)"
            )
            connection.commit()

    def connected(self) -> "closing[sqlite3.Connection]":
        return closing(sqlite3.connect(self._file, timeout=30))

    def taken(self) -> Counter[str]:
        """By order, how often money was ever taken for it."""
        with self.connected() as connection:
            rows = connection.execute("SELECT order_id, SUM(taken) FROM things GROUP BY order_id")
            return Counter({order: taken for order, taken in rows if taken})

    def kept(self) -> Counter[str]:
        """By order, how many payments the provider has kept."""
        with self.connected() as connection:
            return Counter(
                order for (order,) in connection.execute("SELECT order_id FROM things WHERE status = 'done'")
            )


class Till(TillLedger):
    """See `saga_app.effects.ports.Provider`."""

    def __init__(self, file: Path, *, faults: bool) -> None:
        super().__init__(file)
        self._faults = faults
        self._chance = random.Random()
        self._late: set[asyncio.Task[None]] = set()
        #: How often a request went wrong.
        self._wrong: Counter[tuple[str, ...]] = Counter()

    async def do(self, call: Call) -> Answer:
        if call.reference is None:
            token = (call.order.payment_method or ":").partition(":")[2]
            return Answer(
                Outcome.PENDING, await self._request("create", call.order.order_id, token), "created"
            )
        await self._request("confirm", call.reference)
        answer = await self._look(call.reference)
        return await self._sealed(call.reference) if answer.code == "declined" else answer

    async def prevent(self, call: Call) -> Answer:
        return Answer(Outcome.REFUSED) if call.reference is None else await self._sealed(call.reference)

    async def undo(self, call: Call) -> Answer:
        assert call.reference is not None
        await self._request("refund", call.reference)
        return await self._look(call.reference)

    async def event(self, body: bytes, headers: Mapping[str, str]) -> StepAnswered | None:
        return None

    async def ledger(self, since: datetime) -> AsyncIterator[Effect]:
        with self.connected() as connection:
            for name, order, status in connection.execute("SELECT id, order_id, status FROM things"):
                outcome = _OUTCOMES.get(status, Outcome.PENDING)
                yield Effect(f"t{name}", outcome, datetime.now(UTC), order)

    async def _sealed(self, reference: str) -> Answer:
        await self._request("cancel", reference)
        return await self._look(reference)

    async def _look(self, reference: str) -> Answer:
        status = await self._request("look", reference)
        return Answer(_OUTCOMES.get(status, Outcome.PENDING), reference, status)

    async def _request(self, what: str, *about: str) -> str:
        """Over a bad network."""
        await asyncio.sleep(0.005)
        is_bad = self._faults and self._wrong[what, *about] < _MOST_WRONG
        fate = self._chance.randrange(100) if is_bad else 100
        self._wrong[what, *about] += fate < _LATE
        if fate < _BEFORE:
            raise ConnectionError("nobody answered")
        if _BEHIND <= fate < _LATE:
            task = asyncio.create_task(self._later(what, *about))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
            raise TimeoutError
        answer = self._execute(what, *about)
        if fate < _BEHIND:
            raise ConnectionResetError("the answer was lost")
        return answer

    async def _later(self, what: str, *about: str) -> None:
        await asyncio.sleep(_DELAY)
        self._execute(what, *about)

    def _execute(self, what: str, *about: str) -> str:
        with self.connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            if what == "create":
                made = connection.execute(
                    "INSERT INTO things (order_id, token, status) VALUES (?, ?, 'new')", about
                ).lastrowid
                connection.commit()
                return f"t{made}"
            name = int(about[0][1:])
            token, status = connection.execute(
                "SELECT token, status FROM things WHERE id = ?", (name,)
            ).fetchone()
            after = _after(what, status, token)
            connection.execute(
                "UPDATE things SET status = ?, taken = taken + ? WHERE id = ?",
                (after, status != "done" and after == "done", name),
            )
            connection.commit()
            return after


def _after(what: str, status: str, token: str) -> str:
    match what, status:
        case "confirm", "new":
            return "declined" if token == "declined" else "done"
        case "cancel", "new" | "declined":
            return "canceled"
        case "refund", "done":
            return "refunded"
    return status
