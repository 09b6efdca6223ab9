"""An outage of a provider, with a clock: how long until people see it, and until all orders have gone on behind it.

Everything is looked at as people and their monitoring look at it: over HTTP at a worker, and through the health strip
of a command, which has only the order database.
"""

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Final

from saga_app import urls
from saga_app.health.read import HealthWatch
from saga_app.health.strip import strip
from saga_app.settings import Settings
from saga_app.times import now

#: Seconds from one look to the next, and seconds that one may take.
EVERY: Final = 0.1
LOOK: Final = 3.0


class OutageWatch:
    """Looks at every sign of an outage, from its beginning until all of them are gone."""

    def __init__(self, settings: Settings, worker_url: str, provider: str) -> None:
        self._strip = HealthWatch(settings)
        is_open = f'saga_provider_open{{provider="{provider}"}} 1.0'
        #: By sign: does it say now that the provider is down?
        self.signs: Mapping[str, Callable[[], bool]] = {
            "metric": lambda: is_open in _text(worker_url + urls.METRICS),
            "readiness": lambda: "does not answer" in _text(worker_url + urls.IS_READY),
            "page": lambda: "does not answer" in _text(worker_url + urls.OVERVIEW),
            "commands": lambda: f"wait for {provider}" in strip(self._strip.latest(), now()).in_words(),
        }
        #: By sign, the seconds from the beginning of the outage until it came, and from its end until it went.
        self.came: dict[str, float] = {}
        self.went: dict[str, float] = {}
        self._began = self._ended = 0.0
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._look, args=(name,), name=f"outage {name}", daemon=True)
            for name in self.signs
        ]

    def begin(self) -> None:
        """The provider is down from now on."""
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """It answers again."""
        self._ended = time.monotonic()

    @property
    def is_over(self) -> bool:
        """True if it has been down, and answers again."""
        return self._ended > 0

    def since_end(self) -> float:
        """Seconds since it answers again."""
        return time.monotonic() - self._ended

    def close(self) -> None:
        """Nobody looks any more."""
        self._stopping.set()
        self._strip.close()

    def in_words(self) -> tuple[str, str]:
        """Two lines: when each sign came, and when it went."""
        came = ", ".join(f"{name} {self._at(name)}" for name in self.signs)
        went = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in self.went.items())
        return f"seen behind its beginning: {came}", f"gone behind its end: {went or 'none yet'}"

    def _at(self, name: str) -> str:
        return f"after {self.came[name]:.1f} s" if name in self.came else "not"

    def _look(self, name: str) -> None:
        is_seen = self.signs[name]
        while not self._stopping.wait(EVERY):
            seen = is_seen()
            at = time.monotonic()
            if seen and name not in self.came:
                self.came[name] = at - self._began
            # A sign may go and come again: the last time counts.
            if seen or not self._ended:
                self.went.pop(name, None)
            elif name in self.came:
                self.went.setdefault(name, at - self._ended)


def _text(url: str) -> str:
    """The answer of our own worker, also one with an error status; empty if there is none."""
    try:
        with urllib.request.urlopen(url, timeout=LOOK) as answer:  # noqa: S310 - our own address
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except OSError:
        return ""
