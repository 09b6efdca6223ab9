"""One door under faults: a process of ours that is killed and started again, its load, and its invariant."""

import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from harness.log import BrokerOffsets
from harness.ports import free_port
from harness.process import LoggedProcess
from harness.worker import environment
from tests.chaos.watch import OrderWatch

SAGA: Final = str(Path(sys.executable).with_name("saga"))
#: Seconds after its start before a door that ended by itself is started again.
AGAIN: Final = 1.0
#: Breaches of an invariant that are told in words.
TOLD: Final = 5


class ChaosDoor(ABC):
    """Ended by its own pid only. `exits` counts how it ended, `violations` tells what it must never do."""

    name: ClassVar[str]
    #: Its invariant: number and name.
    promise: ClassVar[tuple[str, str]]

    def __init__(
        self,
        folder: Path,
        log: BrokerOffsets,
        watch: OrderWatch,
        words: Sequence[str],
        settings: dict[str, str],
    ) -> None:
        self.folder = folder
        self.log = log
        self.watch = watch
        self.exits: Counter[str] = Counter()
        self.violations: list[str] = []
        self._words = [SAGA, *words]
        self._env = environment(log.broker, folder / f"{self.name}-nothing", free_port(), **settings)
        self._process = LoggedProcess(folder / f"{self.name}.log")
        self._done_at_start = 0
        #: When its life began; 0 before the first one and after the last one.
        self._started = 0.0

    @property
    @abstractmethod
    def done(self) -> int:
        """So much has come through it."""

    @property
    @abstractmethod
    def is_busy(self) -> bool:
        """True if something is on its way through it."""

    @property
    @abstractmethod
    def is_quiet(self) -> bool:
        """True if everything that was given to it has come through."""

    @abstractmethod
    def breaches(self) -> list[str]:
        """Sentences about everything that it promised and did not keep; the system is at rest."""

    @abstractmethod
    def open(self) -> None:
        """Its load begins."""

    @abstractmethod
    def close_load(self) -> None:
        """No new load; what it was given is waited for."""

    @property
    def done_since_start(self) -> int:
        return self.done - self._done_at_start

    def start(self) -> None:
        """A new life."""
        self._done_at_start, self._started = self.done, time.monotonic()
        self._process.run(self._words, self._env)

    def kill(self) -> None:
        """kill -9, and a new life at once."""
        if self._process.alive:
            self.exits[f"{self.name}: SIGKILL, by us"] += 1
            self._process.kill()
        self.start()

    def look(self) -> None:
        """Starts it again if it has ended by itself: while the broker is away it may."""
        if self._started and not self._process.alive and time.monotonic() - self._started > AGAIN:
            self.exits[f"{self.name}: {self._process.code}, by itself"] += 1
            self.start()

    def stop(self) -> None:
        """A stop in order."""
        self._started = 0.0
        code = self._process.end()
        self.exits[f"{self.name}: {code}, stopped in order"] += 1
        if code:
            self.violations.append(f"{self.name} ended with {code}: {self._process.text()[-1500:]}")

    def close(self) -> None:
        """No process and no thread is left."""
        self._process.close()

    def invariant(self) -> dict[str, Any]:
        """As `saga audit --json` tells one of its own."""
        number, name = self.promise
        broken = self.breaches()
        return {
            "invariant": number,
            "name": name,
            "holds": not broken,
            "broken": len(broken),
            "breaches": broken[:TOLD],
            "unchecked": [],
            "figures": {"came through": self.done},
        }


def of_orders(orders: Iterable[str], prefix: str) -> list[str]:
    """The orders with this prefix."""
    return [order for order in orders if order.startswith(prefix)]
