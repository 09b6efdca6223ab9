"""One run: workers, load and faults side by side; then everything must end within a stated time."""

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from harness.orders import supplies
from tests.chaos import moment
from tests.chaos.fault import Whom
from tests.chaos.plan import Strike
from tests.chaos.steps import Hung, Steps, until
from tests.chaos.system import READY, STOPPED, System

#: Faults that go on at the same time, at most.
TOGETHER: Final = 2
#: Seconds to wait for a good moment for a fault.
GOOD_MOMENT: Final = 60.0
#: Seconds in which some order must end as long as orders are placed and the broker is there.
SILENCE: Final = 120.0
#: I11: seconds after the last fault in which everything must have ended.
SETTLED: Final = 180.0


@dataclass
class Active:
    """A fault under way, and its next step."""

    strike: Strike
    steps: Steps


class Run:
    """Goes on until `enough`, and then until everything is at rest."""

    def __init__(self, system: System, plan: Iterator[Strike], enough: Callable[[System], bool]) -> None:
        self.system = system
        self.violations: list[str] = []
        self.strikes = 0
        self.settled_after: float | None = None
        self.longest_silence = 0.0
        self.seconds = 0.0
        self._plan = plan
        self._enough = enough
        self._active: list[Active] = []
        #: Victims that are no workers, as long as a fault works on them.
        self._busy: set[Whom] = set()
        self._next = next(plan)
        self._waits_since = self._good_since = 0.0
        self._ended, self._ended_at = 0, time.monotonic()

    def go(self) -> None:
        """All of it; errors are in `violations`, here and at the supervisor."""
        began = time.monotonic()
        try:
            self._drive(self.system.started(self.system.workers))
            self.system.load.supply()
            if self.system.doors:
                # The shops behind doors have articles and customers of their own.
                self.system.shop.send(supplies())
            self.system.attacker.start()
            for door in self.system.doors:
                door.start()
                door.open()
            self._waits_since = self._ended_at = time.monotonic()
            while not self._enough(self.system) and not self._violated:
                self._tick(loading=True)
                self._look_for_silence()
                self._advance()
                self._begin()
            while self._active:
                self._tick(loading=True)
                self._advance()
            self._settle()
            self._stop()
        except Hung as hung:
            self.violations.append(str(hung))
        self.seconds = time.monotonic() - began

    @property
    def _violated(self) -> bool:
        return bool(self.violations or self.system.violations)

    def _tick(self, loading: bool) -> None:
        if loading:
            self.system.load.tick()
        self.system.watch.poll(0.04)
        self.system.supervisor.look()
        for door in self.system.doors:
            door.look()

    def _drive(self, steps: Steps) -> None:
        """One thing alone, to its end."""
        for _ in steps:
            self._tick(loading=False)

    def _advance(self) -> None:
        """Lets every fault go on a little."""
        for active in list(self._active):
            self._go_on(active)

    def _go_on(self, active: Active) -> None:
        try:
            next(active.steps)
        except StopIteration:
            self._finished(active)
        except Hung as hung:
            self.violations.append(f"strike {active.strike.number}, {active.strike.fault.name}: {hung}")
            self._finished(active)

    def _begin(self) -> None:
        """The next fault of the plan, as soon as its victims are free, its moment is good and its pause over."""
        strike, now = self._next, time.monotonic()
        if len(self._active) == TOGETHER or not self._is_free(strike):
            self._good_since = 0.0
            return
        if not self._good_since and (
            moment.is_good(self.system, strike) or now - self._waits_since > GOOD_MOMENT
        ):
            self._good_since = now
        if not self._good_since or now - self._good_since < strike.pause:
            return
        if not moment.is_good(self.system, strike) and now - self._waits_since < GOOD_MOMENT:
            # Orders end within a fraction of a second: the next one is on its way.
            return
        self._mark(strike, busy=True)
        self.strikes += 1
        known = len(self.system.watch.open)
        self.system.say(f"{strike}; {known} orders open, {self.system.watch.count} ended")
        steps = strike.fault.inflict(self.system, strike.victim, strike.chance)
        self._active.append(Active(strike, steps))
        # At once, while that work is in flight.
        self._go_on(self._active[-1])
        self._next = next(self._plan)
        self._waits_since, self._good_since = time.monotonic(), 0.0

    def _finished(self, active: Active) -> None:
        self._active.remove(active)
        self._mark(active.strike, busy=False)

    def _mark(self, strike: Strike, busy: bool) -> None:
        (self._busy.add if busy else self._busy.discard)(strike.fault.whom)
        for member in moment.victims(self.system, strike):
            member.busy = busy

    def _is_free(self, strike: Strike) -> bool:
        if members := moment.victims(self.system, strike):
            return not any(member.busy for member in members)
        return strike.fault.whom not in self._busy

    def _look_for_silence(self) -> None:
        """I11 while it lasts: workers that are alive and idle would else be healed by the next kill."""
        now, ended = time.monotonic(), self.system.watch.count
        if ended == self._ended:
            self.longest_silence = max(self.longest_silence, now - self._ended_at)
        if ended > self._ended or Whom.BROKER in self._busy:
            self._ended, self._ended_at = ended, now
        elif now - self._ended_at > SILENCE:
            self.violations.append(f"I11: no order ended for {SILENCE:.0f} s")

    def _settle(self) -> None:
        """I11: all faults are over; everything that was sent must end."""
        began = time.monotonic()
        self.system.say("the last fault is over; no more orders; waiting until all have ended")
        self.system.shop.flush()
        self.system.attacker.close()
        for door in self.system.doors:
            door.close_load()
        if self.system.payments is not None:
            self.system.payments.heal()
        seconds = f"I11: everything ends within {SETTLED:.0f} s of the last fault"
        try:
            self._drive(until(self.system.is_quiet, SETTLED, seconds))
            self.settled_after = time.monotonic() - began
        except Hung as hung:
            watch = self.system.watch
            self.violations.append(
                f"{hung}; sent {self.system.load.placed}, placed {watch.placed}, ended {watch.count}; "
                f"open are, for example, {list(watch.open)[:3]}"
            )

    def _stop(self) -> None:
        """Every worker in order, so that its tables can be read."""
        supervisor, workers = self.system.supervisor, self.system.workers
        for door in self.system.doors:
            door.stop()
        self._drive(until(lambda: all(member.ready for member in workers), READY, "all workers are ready"))
        for member in workers:
            supervisor.stop(member, signal.SIGTERM)
        self._drive(
            until(lambda: not any(m.worker.alive for m in workers), STOPPED, "all workers have ended")
        )
        for member in workers:
            supervisor.stopped(member)
