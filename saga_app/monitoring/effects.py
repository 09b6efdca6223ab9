"""Metrics of effects outside: what is asked of each provider, and what came of the calls."""

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from saga_app.core.outside import Action
from saga_app.core.records import Outcome
from saga_app.effects.dispatcher import Dispatcher

#: By metric, its labels. Orders name providers, so only those that the settings name are values of a label.
LABELS: Final = {
    "saga_provider_calls": ("provider", "action", "outcome"),
    "saga_provider_open": ("provider",),
    "saga_effects_asked": ("provider",),
    "saga_effects_in_doubt": ("provider",),
    "saga_effects_oldest_seconds": ("provider",),
    "saga_effects_capture_before_timestamp_seconds": ("provider",),
}


class EffectsCollector(Collector):
    """The metrics of one worker's dispatcher, as soon as it has one."""

    def __init__(self, dispatcher: Callable[[], Dispatcher | None]) -> None:
        self._dispatcher = dispatcher

    def collect(self) -> Iterator[Metric]:
        """All metrics, with their values now."""
        dispatcher = self._dispatcher()
        names = () if dispatcher is None else tuple(dispatcher.providers)
        calls = CounterMetricFamily(
            "saga_provider_calls",
            "Calls of providers that have ended, by what they were for and what came of them",
            labels=LABELS["saga_provider_calls"],
        )
        for name in names:
            for action in Action:
                for outcome in Outcome:
                    count = 0 if dispatcher is None else dispatcher.outcomes[name, action, outcome]
                    calls.add_metric((name, action.value, outcome.value), count)
        yield calls
        reading = None if dispatcher is None else dispatcher.reading()
        is_open = _gauge(
            "saga_provider_open", "1 if a provider does not answer, so that one call at a time tries"
        )
        asked = _gauge("saga_effects_asked", "Effects that this worker asks a provider for")
        doubt = _gauge(
            "saga_effects_in_doubt", "Those of them that nobody has known about for 5 minutes or more"
        )
        oldest = _gauge("saga_effects_oldest_seconds", "Since the oldest of them was asked for")
        runs_out = _gauge(
            "saga_effects_capture_before_timestamp_seconds",
            "When the first authorisation that is not captured runs out; no value if there is none",
        )
        for name in names:
            if reading is not None:
                if name in reading.capture_before:
                    runs_out.add_metric((name,), reading.capture_before[name])
                is_open.add_metric((name,), float(name in reading.open))
                asked.add_metric((name,), reading.asked.get(name, 0))
                doubt.add_metric((name,), reading.in_doubt.get(name, 0))
                oldest.add_metric((name,), reading.oldest.get(name, 0) / 1000)
        yield from (is_open, asked, doubt, oldest, runs_out)
        yield GaugeMetricFamily(
            "saga_effects_without_provider",
            "Effects that wait because SAGA_PROVIDERS of this worker does not name their provider",
            value=0 if reading is None else sum(reading.without_provider.values()),
        )
        yield GaugeMetricFamily(
            "saga_effects_conflicts",
            "Effects of which a provider said what cannot be, and that nobody has settled",
            value=0 if reading is None else reading.conflicts,
        )


def _gauge(name: str, help: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, help, labels=LABELS[name])
