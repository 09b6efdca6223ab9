"""The dispatcher: makes the calls that rows ask for, and sends what it is told to the inbox of the step.

It only sends records; decisions never see an answer that is not in the log. A row is watched from when it is durable,
so nobody is asked for anything that could still be forgotten. A call is made again until the row asks no more: what a
worker learned before it ended, the next one asks for again, with the same keys.
"""

import asyncio
import heapq
import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Final, NamedTuple
from zlib import crc32

import aiohttp

from saga_app import wire
from saga_app.core.numbers import Generation
from saga_app.core.outside import Action
from saga_app.core.records import Outcome, StepAnswered, StepName
from saga_app.core.rows import (
    ASKED_STATES,
    JournalRow,
    OutsideEffect,
    Row,
    has_conflict,
    is_asked,
    may_run_out,
)
from saga_app.effects import calls
from saga_app.effects.breaker import Breaker
from saga_app.effects.ports import Answer, Call, NoAnswer, Provider
from saga_app.effects.reading import EffectsReading
from saga_app.engine.deadlines import steady
from saga_app.engine.engine import Engine
from saga_app.engine.ports import DeliveryFailed, DeliveryTimedOut, GivenUp, Log, Store
from saga_app.kafka.messages import outgoing

logger = logging.getLogger(__name__)

#: Milliseconds before a provider is asked again that gave no answer; twice as long each time, up to the longest.
FIRST_DELAY: Final = 500
LONGEST_DELAY: Final = 600_000
#: The longest delay behind `pending`. What is pending for hours (a refund takes days) is asked for less and less.
LONGEST_PENDING: Final = 30_000
PENDING_SHARE: Final = 20
#: Milliseconds after which an answer that changed no row was lost: it is asked for again.
LOST_AFTER: Final = 30_000
#: Calls to one provider at once.
MOST_CALLS: Final = 64
#: Milliseconds since it was asked for after which an effect that nobody knows about is in doubt: people look at it.
IN_DOUBT: Final = 300_000

Place = tuple[StepName, str]


class AskedEffect(NamedTuple):
    """A row in an asked state: the step, the order and the row."""

    step: StepName
    order_id: str
    row: JournalRow

    @property
    def place(self) -> Place:
        return self.step, self.order_id

    @property
    def outside(self) -> OutsideEffect:
        assert self.row.outside is not None
        return self.row.outside

    @property
    def provider(self) -> str:
        return self.outside.provider


class _Told(NamedTuple):
    """The last answer about a row: its outcome, and the time before which nobody wants to be asked again."""

    outcome: Outcome
    not_before: int


class _Calling:
    """A call that is being made. `sends`: it is writing down its answer."""

    def __init__(self, effect: AskedEffect, generation: Generation) -> None:
        self.effect = effect
        self.generation = generation
        self.sends = False


class ProviderQueue:
    """The effects that one provider is asked for, by when they are due."""

    def __init__(self) -> None:
        self.due: list[tuple[int, Place]] = []
        self.breaker = Breaker()
        self.calls = 0


def delay(effect: AskedEffect, outcome: Outcome | None, age: int) -> int:
    """Milliseconds before the next try: half of a doubling delay at least, and all of it at most, by the order."""
    tries = effect.outside.tries
    if not tries:
        return 0
    most = max(LONGEST_PENDING, age // PENDING_SHARE) if outcome is Outcome.PENDING else LONGEST_DELAY
    longest = min(FIRST_DELAY << min(tries - 1, 20), most)
    return longest // 2 + crc32(f"{effect.order_id} {tries}".encode()) % (longest // 2)


class Dispatcher:
    """The effects that are asked for in all partitions of this worker."""

    def __init__(
        self,
        log: Log,
        providers: Mapping[str, Provider],
        app_id: str,
        clock: Callable[[], int] | None = None,
        tick: float = 0.5,
        most_calls: int = MOST_CALLS,
    ) -> None:
        self.providers = providers
        self._log = log
        self._app_id = app_id
        self._clock = clock or steady()
        self._tick = tick
        self._most_calls = most_calls
        self._generation: Generation | None = None
        self._watched: dict[Place, tuple[int, AskedEffect]] = {}
        self._queues: defaultdict[str, ProviderQueue] = defaultdict(ProviderQueue)
        self._calling: dict[Place, _Calling] = {}
        self._told: dict[Place, _Told] = {}
        self._tasks: dict[asyncio.Task[None], _Calling] = {}
        self._news = asyncio.Event()
        self._failure: BaseException | None = None
        self._missed: set[str] = set()
        self._conflicts: set[Place] = set()
        #: Authorisations of money that is not captured yet: the provider, and when it runs out, in seconds since 1970.
        self._held: dict[Place, tuple[str, int]] = {}
        #: What came of calls, since the start: by provider, action and outcome.
        self.outcomes: Counter[tuple[str, Action, Outcome]] = Counter()

    def __len__(self) -> int:
        return len(self._watched)

    def reading(self) -> EffectsReading:
        """For metrics and health: looks at all that is asked for."""
        now = self._clock()
        asked, doubt, missing = Counter[str](), Counter[str](), Counter[str]()
        oldest: dict[str, int] = {}
        for _, effect in list(self._watched.values()):
            name, age = effect.provider, max(0, now - effect.outside.asked_at)
            asked[name] += 1
            oldest[name] = max(age, oldest.get(name, 0))
            doubt[name] += age > IN_DOUBT
            missing[name] += name not in self.providers
        opened = (name for name, queue in list(self._queues.items()) if queue.breaker.is_open)
        run_out: dict[str, int] = {}
        for name, before in list(self._held.values()):
            run_out[name] = min(before, run_out.get(name, before))
        return EffectsReading(
            asked,
            +doubt,
            oldest,
            +missing,
            tuple(sorted(opened)),
            len(self._conflicts),
            run_out,
            now // 1000,
            tuple(sorted(self.providers)),
        )

    def start(self, generation: Generation) -> None:
        """Makes calls from now on."""
        self._generation = generation
        self._news.set()

    def stop(self) -> None:
        """Drops its calls and forgets every row; the next assignment loads them. An answer on its way may arrive."""
        self._generation = None
        for known in (self._watched, self._calling, self._told, self._conflicts, self._held):
            known.clear()
        for queue in self._queues.values():
            queue.due.clear()
            queue.calls = 0
            # A task that is cancelled before it begins says nothing.
            queue.breaker.given_up()
        for task, calling in self._tasks.items():
            if not calling.sends:
                task.cancel()

    def load(self, step: StepName, store: Store) -> None:
        """One scan of a step's journal in one partition; call it off the main loop."""
        now = self._clock()
        for key, data in store.scan(b""):
            if has_conflict(data) and JournalRow.decode(data).conflict is not None:
                self._conflicts.add((step, key.decode()))
            if may_run_out(data):
                self._hold((step, key.decode()), JournalRow.decode(data))
            if is_asked(data):
                effect = AskedEffect(step, key.decode(), JournalRow.decode(data))
                # After a restart, rows that have waited for long are not all due at once, and none waits for longer.
                self._watch(effect, now + min(delay(effect, None, 0), LONGEST_PENDING))

    def changed(self, step: StepName, changes: Mapping[str, Row]) -> None:
        """Rows that a round has made durable."""
        if self._generation is None:
            # A round that ends after its partitions were taken away: the next assignment loads what is still ours.
            return
        for order_id, row in changes.items():
            if not isinstance(row, JournalRow):
                continue
            if row.conflict is not None:
                self._conflicts.add((step, order_id))
            elif self._conflicts:
                self._conflicts.discard((step, order_id))
            if row.outside is None:
                continue
            self._hold((step, order_id), row)
            effect = AskedEffect(step, order_id, row)
            told = self._told.pop(effect.place, None)
            if row.state not in ASKED_STATES:
                self._watched.pop(effect.place, None)
                continue
            self._tell_if_nobody_is_there(effect.provider)
            now, tries = self._clock(), row.outside.tries
            due = now + delay(effect, told and told.outcome, now - row.outside.asked_at)
            self._watch(effect, max(due, told.not_before) if told and tries else due)
            self._news.set()

    async def run(self) -> None:
        """Makes the calls that are due, again and again."""
        while True:
            self._news.clear()
            for effect in self.take():
                task = asyncio.create_task(self.make(effect), name=f"call for order {effect.order_id}")
                self._tasks[task] = self._calling[effect.place]
                task.add_done_callback(self._made)
            with suppress(TimeoutError):
                async with asyncio.timeout(self._until_due()):
                    await self._news.wait()
            if self._failure is not None:
                raise self._failure

    def take(self) -> Iterator[AskedEffect]:
        """The effects that are due, one call for each row at a time; whoever takes one makes the call."""
        if (generation := self._generation) is None:
            return
        now = self._clock()
        for name, queue in list(self._queues.items()):
            while name in self.providers and queue.due and queue.due[0][0] <= now:
                if queue.calls >= self._most_calls or not queue.breaker.allows(now):
                    break
                due, place = heapq.heappop(queue.due)
                watched = self._watched.get(place)
                # A row that is being called for is looked at again when that is over.
                if watched is None or watched[0] != due or place in self._calling:
                    continue
                queue.calls += 1
                queue.breaker.asks()
                self._calling[place] = _Calling(watched[1], generation)
                yield watched[1]

    async def make(self, effect: AskedEffect) -> None:
        """One call, and its answer into the log. Neither without the lease."""
        calling = self._calling[effect.place]
        queue = self._queues[effect.provider]
        # A conflict is settled by people: until then the provider says the same again.
        lost_after = LOST_AFTER if effect.row.conflict is None else LONGEST_DELAY
        has_answered: bool | None = None
        try:
            await self._log.append([], calling.generation)
            call = calls.call(self._app_id, effect.step, effect.row, self._clock())
            answer, record, has_answered = await self._ask(call, effect)
            self._count(effect.provider, has_answered=has_answered)
            now = self._clock()
            if has_answered is False and queue.breaker.is_open:
                lost_after = max(queue.breaker.again_at - now, FIRST_DELAY)
                return
            self._told[effect.place] = _Told(record.outcome, now + int(calls.wait(answer.wait) * 1000))
            calling.sends = True
            await self._log.append([outgoing(record)], calling.generation)
        except GivenUp:
            # The next owner finds the row and calls again.
            logger.info("a call for order %s is left to the next owner of its partition", effect.order_id)
        except DeliveryTimedOut as error:
            logger.warning("an answer for order %s is asked for again: %s", effect.order_id, error)
            lost_after = FIRST_DELAY
        except DeliveryFailed:
            raise
        except Exception:
            # Whatever is wrong with one call must not end the worker: the next one would meet the same.
            logger.exception("a call for order %s failed; it is made again", effect.order_id)
        finally:
            if has_answered is None:
                queue.breaker.given_up()
            self._over(calling, queue, lost_after)

    async def rested(self) -> None:
        """Returns when no answer is being written down."""
        while any(calling.sends for calling in self._tasks.values()):
            await asyncio.sleep(0.01)

    async def _ask(self, call: Call, effect: AskedEffect) -> tuple[Answer, StepAnswered, bool | None]:
        """The answer, its record, and whether the provider gave one; None if the error does not say so."""
        has_answered: bool | None = True
        name, provider = effect.provider, self.providers[effect.provider]
        try:
            answer = await getattr(provider, call.action)(call)
            record = calls.answered(call, answer, effect.row.version)
        except Exception as error:
            # A provider that is wrong about its own errors leaves us in doubt, and does nothing else.
            what = type(error).__name__
            text = wire.masked(_text(error)[: calls.LONGEST_DETAIL])
            logger.warning("%s: %s for order %s: %s: %s", name, call.action, effect.order_id, what, text)
            code, wait = (_text(error.code), error.wait) if isinstance(error, NoAnswer) else (what, 0.0)
            answer, has_answered = Answer(Outcome.UNKNOWN, code=code, wait=wait), _says_if_answered(error)
            record = calls.answered(call, answer, effect.row.version)
        self.outcomes[name, call.action, record.outcome] += 1
        return answer, record, has_answered

    def _count(self, name: str, *, has_answered: bool | None) -> None:
        breaker = self._queues[name].breaker
        before = breaker.is_open
        if has_answered:
            breaker.answered()
        elif has_answered is False:
            breaker.failed(self._clock())
        if breaker.is_open and not before:
            logger.error(
                "provider %s does not answer: it is asked by one call at a time until it does; orders wait",
                name,
            )
        elif before and not breaker.is_open:
            logger.warning("provider %s answers again", name)

    def _over(self, calling: _Calling, queue: ProviderQueue, lost_after: int) -> None:
        place = calling.effect.place
        if self._calling.get(place) is not calling:
            return
        del self._calling[place]
        queue.calls -= 1
        watched = self._watched.get(place)
        if watched is not None:
            due, effect = watched
            # If the answer changes no row, it was lost. A row that changed meanwhile is due as it said.
            self._watch(effect, self._clock() + lost_after if effect is calling.effect else due)
        self._news.set()

    def _hold(self, place: Place, row: JournalRow) -> None:
        """Takes note of an authorisation that may run out, or that it is none any more."""
        before = row.held_until
        if before is not None and row.outside is not None:
            self._held[place] = (row.outside.provider, before)
        else:
            self._held.pop(place, None)

    def _watch(self, effect: AskedEffect, due: int) -> None:
        self._watched[effect.place] = (due, effect)
        heapq.heappush(self._queues[effect.provider].due, (due, effect.place))

    def _tell_if_nobody_is_there(self, name: str) -> None:
        if name not in self.providers and name not in self._missed:
            self._missed.add(name)
            logger.error(
                "an order waits for provider %s, and SAGA_PROVIDERS of this worker does not have it", name
            )

    def _until_due(self) -> float:
        """Seconds until something is due, a tick at most."""
        now = self._clock()
        soonest = min((queue.due[0][0] for queue in self._queues.values() if queue.due), default=now)
        return min(self._tick, max(0.01, (soonest - now) / 1000)) if soonest > now else self._tick

    def _made(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = error
            self._news.set()


def _text(thing: object) -> str:
    """The thing in words, even if it cannot say them."""
    try:
        return str(thing)
    except Exception:
        return type(thing).__name__


def _says_if_answered(error: Exception) -> bool | None:
    """False if a provider did not answer; None if the error is about one order, and says nothing of the provider."""
    return False if isinstance(error, NoAnswer | TimeoutError | OSError | aiohttp.ClientError) else None


def dispatcher_of(engine: Engine) -> Dispatcher | None:
    """The dispatcher of a worker; None before it has started."""
    follower = engine.follower
    assert follower is None or isinstance(follower, Dispatcher)
    return follower
