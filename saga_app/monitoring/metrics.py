"""The metrics of a worker, read from its parts at each request; names follow Prometheus' conventions.

Labels have few values, all known to the code: services, states, verdicts, reasons. Orders, customers and articles are
no labels.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

import agents
import saga_app
from saga_app import topics
from saga_app.core.decider import Service, Verdict
from saga_app.core.records import Reason, RefundReason
from saga_app.core.refund_rows import RefundStatus
from saga_app.core.rows import State, Status
from saga_app.engine.engine import Engine
from saga_app.engine.round import Round
from saga_app.monitoring.counts import Counts, Histogram
from saga_app.monitoring.effects import LABELS as LABELS_OF_EFFECTS
from saga_app.monitoring.effects import EffectsCollector
from saga_app.monitoring.health import Health
from saga_app.monitoring.system import LABELS as LABELS_OF_SYSTEM
from saga_app.monitoring.system import SystemCollector
from saga_app.settings import Settings

#: By metric, its labels, if it has any.
LABELS: Final[Mapping[str, tuple[str, ...]]] = {
    "saga_orders_ended": ("outcome", "reason"),
    "saga_refunds_ended": ("outcome", "reason"),
    "saga_steps": ("service", "state"),
    "saga_records": ("service", "verdict"),
    "saga_round_duration_seconds": ("service",),
    "saga_round_records": ("service",),
    "saga_step_duration_seconds": ("service",),
    "saga_records_waiting": ("service",),
    "saga_inbox_lag_records": ("service",),
    "saga_info": ("version",),
    **LABELS_OF_EFFECTS,
    **LABELS_OF_SYSTEM,
}
_SERVICE: Final = {topic: topic.removesuffix("_events") for topic in topics.INBOXES}
_ENDED: Final = (
    (Status.COMPLETED.value, ""),
    *((Status.CANCELLED.value, reason.value) for reason in Reason),
)


_REFUNDS: Final = (
    (RefundStatus.COMPLETED.value, ""),
    *((RefundStatus.REFUSED.value, reason.value) for reason in RefundReason),
)


class WorkerCollector(Collector):
    """The collector of one worker."""

    def __init__(self, engine: Engine, counts: Counts, health: Callable[[], Health]) -> None:
        self.engine = engine
        self.counts = counts
        self.health = health

    def collect(self) -> Iterator[Metric]:
        """All metrics, with their values now."""
        yield from self._done()
        yield from self._rounds()
        yield from self._now()

    def _done(self) -> Iterator[Metric]:
        ended = CounterMetricFamily(
            "saga_orders_ended",
            "Orders that this worker has ended, by outcome, and those cancelled by reason",
            labels=LABELS["saga_orders_ended"],
        )
        for outcome, reason in _ENDED:
            ended.add_metric((outcome.lower(), reason), self.counts.ended[outcome, reason])
        yield ended
        refunds = CounterMetricFamily(
            "saga_refunds_ended",
            "Refunds that this worker has ended, by outcome, and those refused by reason",
            labels=LABELS["saga_refunds_ended"],
        )
        for outcome, reason in _REFUNDS:
            refunds.add_metric((outcome.lower(), reason), self.counts.refunds[outcome, reason])
        yield refunds
        steps = CounterMetricFamily(
            "saga_steps", "What the steps of the route have recorded, by state", labels=LABELS["saga_steps"]
        )
        for topic in topics.STEPS:
            for state in State:
                steps.add_metric((_SERVICE[topic], state.lower()), self.counts.steps[topic, state])
        yield steps
        records = CounterMetricFamily(
            "saga_records",
            "Records that this worker has decided, by what became of them; dead ones are letters",
            labels=LABELS["saga_records"],
        )
        for topic, round_ in self._running().items():
            for verdict in Verdict:
                records.add_metric((_SERVICE[topic], verdict.value), round_.verdicts[verdict])
        yield records

    def _rounds(self) -> Iterator[Metric]:
        yield _histogram(
            "saga_round_duration_seconds",
            "From when a round has its records until they are durable",
            self.counts.seconds,
        )
        yield _histogram(
            "saga_step_duration_seconds",
            "From when a record came to its inbox, by Kafka's clock, until it was decided and durable, by the worker's",
            self.counts.step,
        )
        yield _histogram("saga_round_records", "Records that a round has decided", self.counts.records)
        yield CounterMetricFamily(
            "saga_assignments",
            "How often partitions were assigned and restored",
            value=self.counts.assignments,
        )
        yield GaugeMetricFamily(
            "saga_restore_duration_seconds",
            "How long the last assignment's restore took",
            value=self.counts.restore_seconds,
        )

    def _now(self) -> Iterator[Metric]:
        engine, running = self.engine, bool(self._running())
        yield GaugeMetricFamily(
            "saga_ready",
            "1 if this worker does its work, else 0; /readyz says why",
            value=self.health().ready,
        )
        yield GaugeMetricFamily(
            "saga_partitions",
            "Partitions of the checkout inbox that this worker owns",
            value=0 if engine.assignment.held is None else len(engine.assignment.partitions),
        )
        yield GaugeMetricFamily(
            "saga_orders_open",
            "Orders of this worker's partitions that have not ended, or whose refunds have not",
            value=len(engine.clock) if running else 0,
        )
        yield GaugeMetricFamily(
            "saga_orders_late",
            "Those of them that have passed a deadline",
            value=engine.clock.late() if running else 0,
        )
        waiting = GaugeMetricFamily(
            "saga_records_waiting",
            "Records fetched and not durable yet",
            labels=LABELS["saga_records_waiting"],
        )
        lag = GaugeMetricFamily(
            "saga_inbox_lag_records",
            "Records of this worker's partitions that it has not made durable, as far as its last fetches told",
            labels=LABELS["saga_inbox_lag_records"],
        )
        for topic, buffer in engine.buffers.items():
            waiting.add_metric((_SERVICE[topic],), buffer.waiting)
            behind = engine.reader.behind(topic) if running else 0
            lag.add_metric((_SERVICE[topic],), buffer.waiting + behind)
        yield waiting
        yield lag
        yield GaugeMetricFamily(
            "saga_heartbeat_age_seconds",
            "Since the last heartbeat that Kafka has answered; nothing is sent when it is too old",
            value=min(engine.lease.age, time.monotonic()),
        )
        info = GaugeMetricFamily("saga_info", "Always 1; the version is a label", labels=LABELS["saga_info"])
        info.add_metric((saga_app.__version__,), 1)
        yield info

    def _running(self) -> Mapping[str, Round]:
        """The rounds; none before the engine has started."""
        found: Mapping[str, Round] = getattr(self.engine, "rounds", {})
        return found


def registry(*collectors: Collector) -> CollectorRegistry:
    """These metrics, and those of the process."""
    found = CollectorRegistry()
    for collector in collectors:
        found.register(collector)
    ProcessCollector(registry=found)
    return found


def families() -> list[Metric]:
    """The metrics of a worker that has not started: for documents, and for tests of names."""
    engine = Engine(Settings(), [Service(agent.TOPIC, agent.DECIDER) for agent in agents.ALL], Counts())
    worker = WorkerCollector(engine, Counts(), lambda: Health(False, "starting"))
    effects = EffectsCollector(lambda: None)
    return [
        *worker.collect(),
        *effects.collect(),
        *SystemCollector(lambda: None, Settings().data_dir).collect(),
    ]


def text(registry: CollectorRegistry) -> bytes:
    """The metrics in Prometheus' text format."""
    return generate_latest(registry)


def _histogram(name: str, help: str, found: Mapping[str, Histogram]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, help, labels=LABELS[name])
    for topic, histogram in found.items():
        family.add_metric((_SERVICE[topic],), histogram.buckets(), histogram.sum)
    return family
