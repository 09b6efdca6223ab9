"""`saga doctor`: is everything there that a worker needs, and does the work go on?"""

import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib import metadata
from typing import Final, NamedTuple

import click
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

import tables
from saga_app import topics
from saga_app.commands.output import FAILED, as_json, show, told
from saga_app.durable import changelogs, topic_admin
from saga_app.settings import Settings

#: Bytes of free space below which a worker soon stops.
LEAST_FREE: Final = 1024**3
PATIENCE: Final = 10.0


class Finding(NamedTuple):
    """One thing that was looked at."""

    what: str
    ok: bool
    detail: str


@click.command()
@as_json
@told
def doctor(as_json: bool) -> None:
    """Look at everything that a worker needs; exit code 1 if something is wrong.

    \b
    saga doctor
    saga doctor --json
    """
    well = True
    for finding in _findings(Settings.read()):
        well = well and finding.ok
        mark = "ok     " if finding.ok else "PROBLEM"
        show(finding._asdict(), f"{mark}  {finding.what}: {finding.detail}", as_json=as_json)
    if not well:
        raise SystemExit(FAILED)


def _findings(settings: Settings) -> Iterator[Finding]:
    yield _python()
    yield _packages()
    yield _data_dir(settings)
    try:
        yield _topics(settings)
        yield from _group(settings)
    except topic_admin.BrokerUnreachable as error:
        yield Finding("broker", False, str(error))
    yield _web(settings)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("python", sys.version_info >= (3, 11), f"{version} (3.11 or later is needed)")


def _packages() -> Finding:
    """The engine replaces private parts of these, so their versions are pinned exactly."""
    try:
        required = metadata.requires("checkout-saga") or []
    except metadata.PackageNotFoundError:
        return Finding("packages", False, "checkout-saga is not installed; run scripts/setup")
    pins = dict(each.split("==", 1) for each in required if "==" in each and ";" not in each)
    there = {name: metadata.version(name) for name in pins}
    wrong = [f"{name} is {there[name]}, not {pin}" for name, pin in pins.items() if there[name] != pin]
    return Finding(
        "packages", not wrong, f"{'; '.join(wrong)}; run scripts/setup" if wrong else "as they are pinned"
    )


def _data_dir(settings: Settings) -> Finding:
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(
            "data directory", False, f"{folder}: {error.strerror}; set SAGA_DATA_DIR to a folder of yours"
        )
    detail = f"{folder}, {free / 1024**3:.1f} GiB free"
    return Finding(
        "data directory", free >= LEAST_FREE, detail if free >= LEAST_FREE else f"{detail}; make room"
    )


def _topics(settings: Settings) -> Finding:
    wanted = topics.wanted(settings.app_id, tuple(table.name for table in tables.ALL), settings.partitions)
    faults = topic_admin.compare(settings, wanted)
    detail = "; ".join(f"{name}: {', '.join(found)}" for name, found in faults.items())
    well = f"{settings.broker} answers, and all {len(wanted)} topics are as they must be"
    return Finding("broker and topics", not faults, f"{detail}; see `saga topics`" if faults else well)


def _group(settings: Settings) -> Iterator[Finding]:
    admin = AdminClient({**settings.kafka, "log_level": 0})
    group = settings.app_id
    members = len(admin.describe_consumer_groups([group])[group].result().members)
    hint = "" if members else "; start one: faust -A saga_app worker -l info"
    yield Finding("workers", members > 0, f"{members} in group {group}{hint}")
    for topic in topics.INBOXES:
        waiting = _lag(admin, settings, topic)
        yield Finding(f"lag of {topic}", waiting == 0 or members > 0, f"{waiting} records wait")


def _lag(admin: AdminClient, settings: Settings, topic: str) -> int:
    places = [(topic, partition) for partition in range(settings.partitions)]
    ends = changelogs.ends(admin, places)
    first = changelogs.beginnings(admin, places)
    asked = ConsumerGroupTopicPartitions(settings.app_id, [TopicPartition(*place) for place in places])
    answer = admin.list_consumer_group_offsets([asked], request_timeout=PATIENCE)[settings.app_id].result()
    committed = {(each.topic, each.partition): each.offset for each in answer.topic_partitions}
    return sum(
        ends[place] - (committed[place] if committed[place] >= 0 else first[place]) for place in places
    )


def _web(settings: Settings) -> Finding:
    url = f"{settings.canonical_url}/table/"
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:  # noqa: S310 - our own address
            return Finding("web", answer.status == 200, url)
    except (urllib.error.URLError, OSError) as error:
        return Finding("web", False, f"{url}: {error}; is a worker running, and is SAGA_WEB_PORT its port?")
