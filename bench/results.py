"""All that a run has found, as `bench.json` keeps it; medians, spreads and ratios are drawn from it."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

from bench.stats import Spread, ratio
from bench.trial import Trial


@dataclass
class Results:
    """`trials` are lives of candidates; `missing` says why a candidate could not be had."""

    command: str
    at: str
    machine: dict[str, Any]
    versions: dict[str, str]
    plan: dict[str, Any]
    candidates: list[dict[str, Any]]
    trials: list[Trial] = field(default_factory=list)
    kills: list[dict[str, Any]] = field(default_factory=list)
    growth: list[dict[str, Any]] = field(default_factory=list)
    providers: list[dict[str, Any]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    def save(self, file: Path) -> None:
        """As JSON."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")

    @classmethod
    def load(cls, file: Path) -> Self:
        """The results that `save` has written."""
        read = json.loads(file.read_text("utf-8"))
        read["trials"] = [Trial(**each) for each in read["trials"]]
        return cls(**{each.name: read[each.name] for each in fields(cls) if each.name in read})

    @property
    def wrong(self) -> list[str]:
        """The errors, one line for each trial and each round of providers."""
        found = [(f"{each.candidate}, round {each.round}", each.wrong) for each in self.trials]
        found += [(f"providers, round {each['round']}", each.get("wrong", "")) for each in self.providers]
        return [f"{what}: {' '.join(why.split())}" for what, why in found if why]

    def figures(self, part: str, name: str) -> list[float]:
        """One figure of one part, of all trials that have it."""
        return [each.figures[part][name] for each in self.trials if part in each.figures and not each.wrong]

    def by_round(self, candidate: str, part: str, name: str) -> dict[int, float]:
        """One figure of one part in each round; a trial that went wrong, or has no such figure, counts for nothing."""
        return {
            each.round: each.figures[part][name]
            for each in self.trials
            if each.candidate == candidate and not each.wrong and name in each.figures.get(part, ())
        }

    def spread(self, candidate: str, part: str, name: str) -> Spread | None:
        """The same of all rounds together."""
        found = self.by_round(candidate, part, name)
        return Spread.of(list(found.values())) if found else None

    def ratio(self, above: str, below: str, part: str, name: str) -> Spread | None:
        """One candidate over another, round by round."""
        return ratio(self.by_round(above, part, name), self.by_round(below, part, name))

    def of_trial(self, candidate: str, what: Callable[[Trial], float]) -> list[float]:
        """A figure of each life of this candidate that went right."""
        return [what(each) for each in self.trials if each.candidate == candidate and not each.wrong]
