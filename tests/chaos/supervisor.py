"""The workers and their supervisor: whoever ends by itself is counted by its exit code and started again."""

import re
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from harness.worker import READY, WorkerProcess
from saga_app.engine.exits import Exit

#: Ends that no fault of ours explains: the store lost rows although it was rebuilt, or the setup is wrong.
NEVER = {Exit.ROWS_MISSING_AGAIN, Exit.TOPICS_WRONG, Exit.WEB_PORT_TAKEN}
#: What a signal does to a process that is still importing its modules.
EARLY = {-signal.SIGTERM, -signal.SIGINT}
#: Ends in a row without having been ready in between; more are a crash that repeats itself.
MOST_FRUITLESS = 12
#: What workers tell of the damage that they mended.
MENDED = {
    "databases rebuilt from their changelogs": re.compile(
        r"(rebuilding \S+ from its changelog|moved aside to)"
    ),
    "restores that wrote rows again behind stale ones": re.compile(r"(rows written again behind stale ones)"),
    "rounds left to the next owner of their partitions": re.compile(r"(was left to the next owner)"),
}
GENERATION = re.compile(r"with generation (\d+)")


@dataclass
class SupervisedWorker:
    """One worker, and its supervisor's notes since its last start."""

    worker: WorkerProcess
    #: A fault works on it.
    busy: bool = False
    #: It is dead on purpose: the supervisor leaves it.
    down: bool = True
    #: It may die of SIGKILL by itself, at the point that `settings` name.
    armed: bool = False
    settings: dict[str, str] = field(default_factory=dict)
    starts: int = 0
    readies: int = 0
    ended_when_ready: int = 0
    fruitless: int = 0
    read: int = 0

    @property
    def name(self) -> str:
        return self.worker.name

    @property
    def ready(self) -> bool:
        """True if it runs and has had partitions since its start."""
        return self.readies > 0 and self.worker.alive


class Supervisor:
    """Looked after many times a second."""

    def __init__(self, ended: Callable[[], int]) -> None:
        self._ended = ended
        self.members: list[SupervisedWorker] = []
        #: How workers ended, and violations in words.
        self.exits: Counter[str] = Counter()
        self.violations: list[str] = []
        #: The group's generation rises with each rebalance.
        self.generation = 0
        self.mended: Counter[str] = Counter()
        self.alarms: list[str] = []

    def start(self, member: SupervisedWorker) -> None:
        """A new life; the supervisor watches it from now on."""
        member.worker.start(**member.settings)
        member.starts += 1
        member.down, member.readies = False, 0
        member.read = member.worker.log_start

    def kill(self, member: SupervisedWorker) -> None:
        """kill -9, on purpose."""
        self.tail(member)
        if not member.down and not member.worker.alive:
            # It was quicker.
            self._judge(member)
        else:
            self.exits["SIGKILL, by us"] += 1
        member.down = True
        member.worker.kill()

    def stop(self, member: SupervisedWorker, how: signal.Signals = signal.SIGTERM) -> None:
        """Asks for a stop in order; `stopped` tells when it is over."""
        member.down = True
        member.worker.process.send_signal(how)

    def stopped(self, member: SupervisedWorker) -> bool:
        """True if it has ended; then its exit code is judged."""
        if member.worker.alive:
            return False
        self.tail(member)
        if member.worker.code == 0:
            self.exits["0, stopped in order"] += 1
        elif not member.readies and member.worker.code in EARLY:
            self.exits["stopped before it listened to signals"] += 1
        else:
            self._judge(member)
        return True

    def look(self) -> None:
        """Reads the logs; starts again who has ended by itself."""
        for member in self.members:
            self.tail(member)
            if member.down or member.worker.alive:
                continue
            if member.armed and member.worker.code == -signal.SIGKILL:
                self.exits["SIGKILL, at a point of the round"] += 1
                member.down = True
                continue
            self._judge(member)
            member.fruitless = 0 if member.readies else member.fruitless + 1
            if member.fruitless == MOST_FRUITLESS:
                self.violations.append(
                    f"{member.name} ended {MOST_FRUITLESS} times without having been ready"
                )
            self.start(member)

    def tail(self, member: SupervisedWorker) -> None:
        """Reads the lines that it has logged since the last look."""
        with member.worker.log.open("rb") as log:
            log.seek(member.read)
            data = log.read()
        whole = data[: data.rfind(b"\n") + 1]
        member.read += len(whole)
        text = whole.decode(errors="replace")
        if READY in text:
            if not member.readies:
                member.ended_when_ready = self._ended()
            member.readies += text.count(READY)
        for generation in GENERATION.findall(text):
            self.generation = max(self.generation, int(generation))
        for what, words in MENDED.items():
            self.mended[what] += len(words.findall(text))
        if "ALARM" in text:
            self.alarms += [line for line in text.splitlines() if "ALARM" in line]

    def close(self) -> None:
        """No process is left."""
        for member in self.members:
            member.worker.close()

    def _judge(self, member: SupervisedWorker) -> None:
        """An end that was not a stop in order, or not a good one."""
        code, words = member.worker.code, member.worker.last_words()
        try:
            known = Exit(code or 0)
        except ValueError:
            self.exits[f"{code}, not ours"] += 1
            self.violations.append(
                f"{member.name} ended with {code}, which is no code of ours: {member.worker.text()[-1500:]}"
            )
            return
        self.exits[f"{known.value} {known.name.lower()}"] += 1
        if known in NEVER or not words:
            self.violations.append(f"{member.name} ended with {known.name}: {words or 'without a word'}")
