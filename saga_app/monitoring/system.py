"""Metrics of the whole system, from the health readings: each worker and `saga pages` serve the same."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from saga_app import topics
from saga_app.health.readings import DatabaseReading, KafkaReading, Readings
from saga_app.health.strip import COPIER_SILENT
from saga_app.times import now

#: By metric, its labels, if it has any.
LABELS: Final = {
    "saga_untaken_records": ("service",),
    "saga_untaken_age_seconds": ("service",),
    "saga_held_back_records": ("service",),
    "saga_held_back_age_seconds": ("service",),
}


class SystemCollector(Collector):
    """Gauges of the last readings. A value that could not be read is left out.

    `saga_kafka_up` and `saga_order_database_up` tell who did not answer.
    """

    def __init__(self, readings: Callable[[], Readings | None], data_dir: Path) -> None:
        self._readings = readings
        self._data_dir = data_dir

    def collect(self) -> Iterator[Metric]:
        """All metrics, with their values now."""
        readings, at = self._readings(), now()
        yield _gauge(
            "saga_kafka_up", "1 if the broker answered", readings and float(readings.kafka is not None)
        )
        yield _gauge(
            "saga_order_database_up",
            "1 if the order database answered",
            readings and float(readings.database is not None),
        )
        yield from _of_kafka(readings and readings.kafka, at)
        yield from _of_database(readings and readings.database, at)
        yield _gauge("saga_disk_free_bytes", "Free space on the disk of SAGA_DATA_DIR", _free(self._data_dir))


def _of_kafka(kafka: KafkaReading | None, at: int) -> Iterator[Metric]:
    yield _gauge("saga_workers", "Members of the workers' group", kafka and kafka.members.number)
    yield _gauge(
        "saga_group_settled",
        "1 if the workers' group does not rebalance",
        kafka and float(kafka.members.is_settled),
    )
    fresh = [each.times for each in kafka.members.ends.values() if each.is_fresh(at)] if kafka else []
    yield _gauge(
        "saga_worker_ends",
        "Ends, in 15 minutes, of workers that end again and again; 0 if none does",
        kafka and float(sum(fresh)),
    )
    records = GaugeMetricFamily(
        "saga_untaken_records", "Records that no worker has taken", labels=LABELS["saga_untaken_records"]
    )
    age = GaugeMetricFamily(
        "saga_untaken_age_seconds",
        "Age of the oldest record that no worker has taken",
        labels=LABELS["saga_untaken_age_seconds"],
    )
    held = GaugeMetricFamily(
        "saga_held_back_records",
        "Records behind an open transaction: they are no lag, and no worker may take them",
        labels=LABELS["saga_held_back_records"],
    )
    held_age = GaugeMetricFamily(
        "saga_held_back_age_seconds",
        "Age of the first record behind an open transaction",
        labels=LABELS["saga_held_back_age_seconds"],
    )
    for topic in topics.INBOXES if kafka else ():
        mine = [each for each in kafka.inboxes if each.topic == topic] if kafka else []
        times = [each.since for each in mine if each.since is not None]
        records.add_metric([topic.removesuffix("_events")], sum(each.lag for each in mine))
        age.add_metric([topic.removesuffix("_events")], _age(min(times, default=None), at))
        opened = [each.held_since for each in mine if each.held_since is not None]
        held.add_metric([topic.removesuffix("_events")], sum(each.held for each in mine))
        held_age.add_metric([topic.removesuffix("_events")], _age(min(opened, default=None), at))
    yield records
    yield age
    yield held
    yield held_age
    copy = kafka and kafka.copy
    yield _gauge(
        "saga_copy_lag_records",
        "Records that are not in the order database, of all topics",
        copy and copy.records,
    )
    yield _gauge(
        "saga_copy_lag_seconds",
        "Age of the oldest record that is not in the order database",
        copy and _age(copy.since, at),
    )


def _of_database(database: DatabaseReading | None, at: int) -> Iterator[Metric]:
    up = None
    if database is not None:
        up = float(database.alive_at is not None and _age(database.alive_at, at) <= COPIER_SILENT)
    yield _gauge("saga_copier_up", "1 if `saga orderdb run` gave a sign in the last 10 seconds", up)
    yield _gauge(
        "saga_dead_letters",
        "Dead letters that are not settled",
        None if database is None else database.dead_letters,
    )


def _gauge(name: str, help: str, value: float | None) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help)
    if value is not None:
        family.add_metric((), value)
    return family


def _age(since: int | None, at: int) -> float:
    return 0.0 if since is None else max(0, at - since) / 1000


def _free(folder: Path) -> float | None:
    """Free bytes where the folder is, or will be."""
    wanted = folder.absolute()
    try:
        return float(
            shutil.disk_usage(next(each for each in (wanted, *wanted.parents) if each.exists())).free
        )
    except OSError:
        return None
