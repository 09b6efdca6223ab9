"""The effects that providers are asked for, at one moment: for metrics, `/readyz` and the health strip."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

#: Seconds before an authorisation runs out from which on people are told.
RUNS_OUT_SOON: Final = 86_400


class EffectsReading(NamedTuple):
    """The effects that are asked for, by provider; `oldest` in milliseconds since they were asked for first.

    A worker knows those of its partitions, which providers do not answer (`open`), and which it has (`providers`); the
    order database knows those of all partitions. `conflicts`: rows of which a provider said what cannot be, and that
    nobody has settled. `capture_before`: when the first authorisation of a provider runs out; it and `at` are in
    seconds since 1970.
    """

    asked: Mapping[str, int]
    in_doubt: Mapping[str, int]
    oldest: Mapping[str, int]
    without_provider: Mapping[str, int]
    open: tuple[str, ...]
    conflicts: int = 0
    capture_before: Mapping[str, int] = MappingProxyType({})
    at: int = 0
    providers: tuple[str, ...] = ()

    def with_all(self, copied: "EffectsReading") -> "EffectsReading":
        """This worker's reading, with the effects of all partitions in place of its own."""
        return self._replace(
            asked=copied.asked, in_doubt=copied.in_doubt, oldest=copied.oldest, conflicts=copied.conflicts
        )

    def waiting(self, longer: int) -> str:
        """A sentence about those that wait for longer than so many milliseconds; empty if there are none."""
        return "; ".join(
            f"{self.asked[name]} effects wait for {name}, the oldest for {age // 1000} s"
            for name, age in sorted(self.oldest.items())
            if age > longer
        )

    def in_words(self) -> str:
        """A sentence for people; empty if all is well."""
        found = [
            *(
                f"{number} effects wait for {name}, which SAGA_PROVIDERS does not name"
                for name, number in sorted(self.without_provider.items())
            ),
            *(
                f"provider {name} does not answer, and {self.asked.get(name, 0)} effects wait"
                for name in self.open
            ),
            *(
                f"{number} effects at {name} are in doubt, the oldest for {self.oldest[name] // 1000} s"
                for name, number in sorted(self.in_doubt.items())
                if name not in (*self.open, *self.without_provider)
            ),
        ]
        for name, before in sorted(self.capture_before.items()):
            left = before - self.at
            if left < RUNS_OUT_SOON:
                when = f"in {left // 60} min" if left > 0 else "now"
                found.append(f"an authorisation at {name} runs out {when}, and its order is not captured")
        if self.conflicts:
            found.append(f"{self.conflicts} effects are in conflict; `saga effects --conflicts` lists them")
        return "; ".join(found)
