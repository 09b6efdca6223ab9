"""`saga doctor`: checks everything that a worker needs, and the workers."""

import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import click
from confluent_kafka import KafkaException

import tables
from saga_app import interpreter, urls
from saga_app.commands import packages
from saga_app.commands.render.output import FAILED, as_json, one_line_errors, show
from saga_app.commands.render.terminal import Screen
from saga_app.core.errors import Fault
from saga_app.dead_letters.reader import Letterbox
from saga_app.engine.run_log import RunLog
from saga_app.health.read import HealthWatch
from saga_app.health.readings import Readings
from saga_app.health.strip import LOOK_AT_THE_END, Level, strip
from saga_app.kafka import topic_admin
from saga_app.kafka.broker_errors import in_words
from saga_app.kafka.reachable import require_broker
from saga_app.kafka.topic_faults import remedy, told
from saga_app.private_files import is_open_to_others
from saga_app.settings import Settings, SettingsError
from saga_app.signing_keys import KEYS, SINCE, SignedTime, SigningKey
from saga_app.text import printable
from saga_app.times import now, written
from saga_app.topics import INBOXES

#: Least free bytes: with less, a worker soon stops.
LEAST_FREE: Final = 1024**3
OLDEST_PYTHON: Final = (3, 11)
#: Seconds in which a group settles behind the end of a worker, besides the session timeout.
SETTLING: Final = 10.0
#: Milliseconds in which a dead letter is a late one: a day.
LATELY: Final = 24 * 3600 * 1000
#: Seconds to wait for the web server's answer.
WEB_TIMEOUT: Final = 3.0


class Finding(NamedTuple):
    """The result of one check: `what` was checked, and the detail says what to do if it is not ok."""

    what: str
    ok: bool
    detail: str


@click.command()
@as_json
@one_line_errors
def doctor(as_json: bool) -> None:
    """Look at everything that a worker needs, and at the workers; exit code 1 if something is wrong.

    \b
    saga doctor
    saga doctor --json

    It is wrong if no worker runs, if one ends again and again, if their group does not settle while this command waits,
    if a record waits for a worker or for the copy for more than 30 seconds, or if nobody copies to the order database.
    Dead letters that are not settled are only told, unless they came in the last 24 hours because a signature was
    missing. Each provider that SAGA_PROVIDERS names is asked for something that changes nothing: it must answer, accept
    the key, and have the right time; and each one that an order waits for must be named. With the SAGA_DATA_DIR of a
    worker it tells that worker's ends too.
    """
    well, screen = True, Screen.of_output()
    for finding in _findings(Settings.read()):
        well = well and finding.ok
        mark = screen.verdict("ok     " if finding.ok else "PROBLEM", is_well=finding.ok)
        show(finding._asdict(), f"{mark}  {finding.what}: {finding.detail}", as_json=as_json)
    if not well:
        raise SystemExit(FAILED)


def _findings(settings: Settings) -> Iterator[Finding]:
    yield _python()
    yield _packages()
    yield _data_dir(settings)
    yield _signatures(settings)
    knows_broker = False
    try:
        require_broker(settings)
        yield _topics(settings)
        knows_broker = True
        yield from _not_signed(settings)
        yield from _webhooks(settings)
    except topic_admin.BrokerUnreachable as error:
        yield Finding("broker", False, str(error))
    except KafkaException as error:
        yield Finding("broker", False, f"{settings.broker}: {in_words(error)}")
    yield from _providers(settings)
    yield from (each for each in _health(settings) if knows_broker or each.what != "Kafka")
    yield _web(settings)


def _python() -> Finding:
    oldest = ".".join(map(str, OLDEST_PYTHON))
    words = f"{interpreter.in_words()} ({oldest} or later is needed)"
    return Finding("python", sys.version_info >= OLDEST_PYTHON, words)


def _packages() -> Finding:
    """The engine overrides private parts of some packages, so their versions are pinned exactly."""
    pins = packages.pins()
    wrong = packages.differences(pins)
    well = ", ".join(f"{name} {version}" for name, version in pins.items())
    return Finding("packages", not wrong, f"{'; '.join(wrong)}: run scripts/setup" if wrong else well)


def _data_dir(settings: Settings) -> Finding:
    """Makes no folder: the worker makes its own, so it is enough that the nearest folder above is writable."""
    wanted = settings.data_dir.absolute()
    folder = next(each for each in (wanted, *wanted.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        why = f"{folder}: {error.strerror}; set SAGA_DATA_DIR to a folder that can be written"
        return Finding("data directory", False, why)
    detail = f"{wanted}, {free / 1024**3:.1f} GiB free"
    ends = RunLog(wanted).repeated()
    if ends is not None and ends.is_fresh(now()):
        return Finding(
            "data directory",
            False,
            f"{detail}; its worker ended {ends.times} times of late, the last time with exit code {ends.code}; "
            f"{LOOK_AT_THE_END}",
        )
    enough = free >= LEAST_FREE
    return Finding("data directory", enough, detail if enough else f"{detail}; make room: 1 GiB is the least")


def _signatures(settings: Settings) -> Finding:
    """If these settings sign, with which key, and since when records need a signature.

    With keys that are missing or cannot be read there are no settings: then no program of ours starts.
    """
    keys = settings.signing_keys
    if keys is None:
        return Finding("signatures", True, f"none are made: {KEYS} is not set here")
    if is_open_to_others(Path(settings.signing_keys_file)):
        why = f"others may read the keys: chmod 600 {settings.signing_keys_file}"
        return Finding("signatures", False, why)
    told = [f"made with key {keys.first.id}"]
    if others := [_key_in_words(each) for each in keys.keys.values() if each is not keys.first]:
        told.append(f"accepted too with {', '.join(others)}")
    told.append(_needed_in_words(keys.required))
    return Finding("signatures", True, "; ".join(told))


def _key_in_words(key: SigningKey) -> str:
    return key.id if key.until is None else f"{key.id} until {written(key.until)}"


def _needed_in_words(required: SignedTime | None) -> str:
    if required is None:
        return f"not needed: {SINCE} names no time"
    until = "" if required.until is None else f" until {written(required.until)}"
    return f"needed from {written(required.since)}{until}"


def _not_signed(settings: Settings) -> Iterator[Finding]:
    """Dead letters of late that lacked a signature, unless somebody has settled them."""
    try:
        letterbox = Letterbox(settings, after=now() - LATELY)
        settled = letterbox.settled()
        found = [
            each for each in letterbox.letters() if each.reason == Fault.NOT_SIGNED and each.id not in settled
        ]
    except (KafkaException, TimeoutError, topic_admin.TopicsWrong):
        # Wrong topics have a finding; and not each user who may run this may read dead letters.
        return
    if found:
        last = max(found, key=lambda each: each.time)
        here = "" if settings.signed_since else f"; {SINCE} is not set here, but a worker has it"
        yield Finding(
            "not signed",
            False,
            f"{len(found):,} dead letters in the last 24 hours, the last {last.id}: {printable(last.detail)}{here}; "
            "somebody writes as a service, or a worker lacks a key: docs/how-to/sign-records.md, What goes wrong",
        )


def _webhooks(settings: Settings) -> Iterator[Finding]:
    """How far each endpoint is, where these settings name endpoints: what was given up is a problem."""
    if not settings.webhooks_file:
        return
    try:
        from saga_app.webhooks.endpoints import read_endpoints
        from saga_app.webhooks.look import backlogs

        endpoints = [each.name for each in read_endpoints(settings) if not each.is_disabled]
        found = backlogs(settings, endpoints)
    except (SettingsError, ModuleNotFoundError, TimeoutError, topic_admin.TopicsWrong) as error:
        yield Finding("webhooks", False, str(error))
        return
    for name, backlog in found.items():
        words = backlog.in_words()
        if backlog.lag is None:
            yield Finding(f"webhooks {name}", False, f"{words}: saga webhooks run")
        elif backlog.failed:
            yield Finding(f"webhooks {name}", False, f"{words}: saga webhooks failed")
        else:
            yield Finding(f"webhooks {name}", True, words)


def _topics(settings: Settings) -> Finding:
    wanted = tables.wanted_topics(settings)
    faults = topic_admin.compare(settings, wanted)
    if not faults:
        well = f"{settings.broker} answers, and all {len(wanted)} topics are as they must be"
        return Finding("broker and topics", True, well)
    found = f"{told(faults)}; {remedy(faults)}"
    # A topic may be stronger than wanted for good: a mark that never goes away would hide the next one.
    harmless = not any(fault.is_harmful for each in faults.values() for fault in each)
    return Finding(
        "broker and topics",
        harmless,
        f"workers work, but not all is as wanted: {found}" if harmless else found,
    )


def _health(settings: Settings) -> Iterator[Finding]:
    """The signs of the health strip: a sign that is bad, by the thresholds of `health.strip`, is a problem."""
    readings = _settled(settings)
    for sign in strip(readings, now()).signs:
        if sign.what == "topics":
            # They have a finding of their own, which says more.
            continue
        is_unsettled = sign.what == "workers" and sign.level is Level.WARN
        ok = sign.level is not Level.BAD and not is_unsettled
        what = f"lag of {sign.what}" if sign.what in INBOXES else sign.what
        yield Finding(what, ok, sign.words if ok else "; ".join(filter(None, (sign.words, sign.remedy))))
    if readings is not None:
        yield from _missing_providers(settings, readings)
    if readings is not None and readings.database is not None and readings.database.dead_letters:
        number = readings.database.dead_letters
        yield Finding("dead letters", True, f"{number:,} are not settled: saga dead-letters")


def _providers(settings: Settings) -> Iterator[Finding]:
    """Each provider that these settings name: it is asked for something that changes nothing."""
    # Imported here, because a provider may load a large package.
    from saga_app.effects import reports

    try:
        for each in reports.findings(settings):
            yield Finding(f"provider {each.name}", each.is_well, printable(each.words))
    except SettingsError as error:
        yield Finding("providers", False, str(error))


def _missing_providers(settings: Settings, readings: Readings) -> Iterator[Finding]:
    """The providers that orders wait for, by the order database, and that these settings do not name."""
    effects = None if readings.database is None else readings.database.effects
    missing = {} if effects is None else effects.asked
    for name, number in sorted(missing.items()):
        if name not in settings.provider_factories:
            yield Finding(
                f"provider {name}",
                False,
                f"{number:,} effects wait for it, and SAGA_PROVIDERS does not name it here: name it to the workers, or "
                f"`saga effects --provider {name}` lists what must be resolved (docs/how-to/settle-doubt.md)",
            )


def _settled(settings: Settings) -> Readings | None:
    """Readings with a settled group, if it settles in time: a rebalance is no problem, one that does not end is."""
    watch = HealthWatch(settings)
    end = time.monotonic() + settings.timeouts.session + SETTLING
    readings = watch.wait()
    while (
        readings is not None
        and readings.kafka is not None
        and not readings.kafka.members.is_settled
        and time.monotonic() < end
    ):
        time.sleep(0.5)
        readings = watch.wait()
    watch.close()
    return readings


def _web(settings: Settings) -> Finding:
    # Imported here, because they make every command start more slowly.
    import urllib.error
    import urllib.request

    url = settings.canonical_url + urls.TABLES
    # A proxy for the internet does not lead to our own workers.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=WEB_TIMEOUT) as answer:
            return Finding("web", answer.status == 200, url)
    except (OSError, ValueError, urllib.error.URLError) as error:
        why = getattr(error, "reason", None) or error
        return Finding(
            "web", False, f"{url}: {why}; is a worker running, and is SAGA_WEB_PORT or SAGA_WEB_URL its own?"
        )
