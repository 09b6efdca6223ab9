"""`saga topics` and `saga doctor`, on a real broker."""

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import Consumer, TopicPartition

from harness.log import until
from saga_app.commands import doctor, main, packages
from saga_app.core.errors import Fault
from saga_app.dead_letters.format import dismissal
from saga_app.engine.exit_codes import Exit
from saga_app.engine.run_log import RunLog
from saga_app.kafka import topic_admin
from saga_app.local.broker import Broker
from saga_app.settings import Settings
from saga_app.topics import INBOXES, PAYMENT, Topic
from tests.commands.dead_letter_topic import PARTITIONS, DeadLetterTopic, Saga
from tests.support.signing import NEW, OLD, signing


def listed(result: Any) -> dict[str, dict[str, Any]]:
    """The JSON objects of a result, by their first field."""
    objects = [json.loads(line) for line in result.stdout.splitlines()]
    return {next(iter(each.values())): each for each in objects}


def test_doctor_tells_the_ends_of_the_worker_whose_folder_it_is_given(tmp_path: Path):
    """Also of one that ends before it joins the group."""
    settings = Settings(data_dir_text=str(tmp_path))
    runs = RunLog(tmp_path)
    for _ in range(3):
        assert doctor._data_dir(settings).ok
        runs.start()
        runs.end(Exit.BROKER_REFUSED)
    found = doctor._data_dir(settings)
    assert not found.ok
    assert (
        f"its worker ended 3 times of late, the last time with exit code {Exit.BROKER_REFUSED}"
        in found.detail
    )


@pytest.mark.live
def test_topics_says_what_is_missing_and_creates_it(saga: Saga, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SAGA_APP_ID", "other")
    missing = saga("topics", "--check", "--json")
    assert missing.exit_code == 1
    assert listed(missing)["other-orders-changelog"]["state"] == "missing"
    assert listed(missing)["checkout_events"]["state"] == "ok"
    assert "6 of 12 topics" in missing.stderr
    assert "saga topics --create" in missing.stderr
    assert saga("topics").exit_code == 0
    created = saga("topics", "--create", "--check")
    assert created.exit_code == 0, created.output
    assert created.stdout.count("  ok\n") == 12


@pytest.mark.live
def test_topics_names_a_wrong_partition_count_and_changes_nothing(
    saga: Saga, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SAGA_PARTITIONS", str(PARTITIONS + 1))
    checked = saga("topics", "--check")
    assert checked.exit_code == 1
    assert f"{PARTITIONS} partitions, not {PARTITIONS + 1}" in checked.stdout
    created = saga("topics", "--create")
    assert created.exit_code == 1
    assert "SAGA_PARTITIONS" in created.stderr


@pytest.mark.live
def test_topics_alters_how_long_inboxes_are_kept_and_nothing_else(
    saga: Saga, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SAGA_INBOX_RETENTION", "30")
    different = saga("topics", "--check", "--json")
    assert different.exit_code == 1
    states = {name: each["state"] for name, each in listed(different).items()}
    assert {name for name, state in states.items() if state != "ok"} == set(INBOXES)
    assert f"retention.ms is -1, not {30 * 24 * 3600 * 1000}" in different.stdout
    assert "saga topics --alter" in different.stderr
    assert saga("topics", "--create", "--check").exit_code == 1, "what is there is not changed by the way"
    assert saga("topics", "--alter", "--check").exit_code == 0
    monkeypatch.setenv("SAGA_INBOX_RETENTION", "forever")
    assert saga("topics", "--check").exit_code == 1
    assert saga("topics", "--alter", "--check").exit_code == 0


@pytest.mark.live
def test_topics_names_a_setting_that_differs(saga: Saga, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SAGA_APP_ID", "odd")
    topic_admin.ensure(
        Settings.read(), [Topic("odd-stock-changelog", PARTITIONS, {"cleanup.policy": "delete"})]
    )
    saga("topics", "--create")
    result = saga("topics", "--check", "--json")
    assert result.exit_code == 1
    assert listed(result)["odd-stock-changelog"]["state"] == "different"
    assert "cleanup.policy is delete, not compact" in listed(result)["odd-stock-changelog"]["faults"]
    assert "saga topics --alter" in result.stderr
    assert saga("topics", "--alter", "--check").exit_code == 0


@pytest.mark.live
def test_a_topic_that_a_lagging_broker_showed_is_made_when_it_is_not_there(
    saga: Saga, monkeypatch: pytest.MonkeyPatch
):
    """One of several brokers shows what was deleted for a moment longer: the first look is a wrong one."""
    honest = topic_admin._partitions
    looks = iter([{"late": [1]}])
    monkeypatch.setattr(topic_admin, "_partitions", lambda *asked: {**honest(*asked), **next(looks, {})})
    wanted = [Topic("late", 1, {}), Topic("new", 1, {})]
    assert topic_admin.ensure(Settings.read(), wanted) == ["new", "late"]
    assert topic_admin.check(Settings.read(), wanted) == ([], [])


@pytest.mark.live
def test_doctor_says_that_no_worker_runs_and_how_many_records_wait(
    saga: Saga, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("SAGA_WEB_PORT", "1")
    monkeypatch.setenv("SAGA_APP_ID", "nobody")
    monkeypatch.setenv("SAGA_DATA_DIR", str(tmp_path / "a" / "b"))
    saga("topics", "--create")
    saga("policy", "shipping", "--countries", "GB")
    result = saga("doctor", "--json")
    found = listed(result)
    assert result.exit_code == 1
    assert found["broker and topics"]["ok"]
    assert found["data directory"]["ok"]
    assert not found["workers"]["ok"]
    assert not found["web"]["ok"]
    waiting = int(found["lag of shipping_events"]["detail"].split()[1])
    assert not found["lag of shipping_events"]["ok"]
    assert waiting >= 1
    saga("policy", "shipping", "--countries", "GB")
    again = listed(saga("doctor", "--json"))
    assert again["lag of shipping_events"]["detail"].startswith(
        f"shipping_events: {waiting + 1} not taken, the oldest for "
    )
    assert not (tmp_path / "a").exists(), "the doctor only looks"


def test_doctor_tells_with_which_key_and_since_when_records_are_signed(tmp_path: Path):
    assert doctor._signatures(Settings()).detail == "none are made: SAGA_SIGNING_KEYS is not set here"
    settings = signing(tmp_path, NEW, f"{OLD} 2026-01-15T00:00", since="2026-01-01/2027-01-01")
    assert doctor._signatures(settings) == (
        "signatures",
        True,
        "made with key new; accepted too with old until 2026-01-15T00:00:00.000Z; "
        "needed from 2026-01-01T00:00:00.000Z until 2027-01-01T00:00:00.000Z",
    )
    assert "not needed" in doctor._signatures(signing(tmp_path, since="")).detail


def test_doctor_finds_keys_that_others_may_read(tmp_path: Path):
    settings = signing(tmp_path)
    Path(settings.signing_keys_file).chmod(0o644)
    found = doctor._signatures(settings)
    assert not found.ok and f"chmod 600 {settings.signing_keys_file}" in found.detail


@pytest.mark.parametrize(
    ("keys", "words"), [("", "SAGA_SIGNING_KEYS is not"), ("/no/such", "cannot be read: No such file")]
)
def test_doctor_says_that_needed_keys_are_missing(monkeypatch: pytest.MonkeyPatch, keys: str, words: str):
    monkeypatch.setenv("SAGA_SIGNED_SINCE", "2026-01-01")
    monkeypatch.setenv("SAGA_SIGNING_KEYS", keys)
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code != 0 and words in result.stderr


@pytest.mark.live
def test_doctor_names_records_of_late_that_were_not_signed_until_somebody_has_settled_them(
    dead_letter_topic: DeadLetterTopic,
):
    settings = dead_letter_topic.settings
    dead_letter_topic.put(b"{}", Fault.INVALID)
    assert list(doctor._not_signed(settings)) == []
    letters = [
        dead_letter_topic.put(b"{}", Fault.NOT_SIGNED, "it has no header\x1b[2J", key=key)
        for key in (b"a", b"b")
    ]
    (found,) = doctor._not_signed(settings)
    assert not found.ok and found.detail.startswith("2 dead letters in the last 24 hours, the last ")
    assert "SAGA_SIGNED_SINCE is not set here" in found.detail and "\x1b" not in found.detail
    dead_letter_topic.post(*(dismissal(each, 0, "a test") for each in letters))
    assert list(doctor._not_signed(settings)) == []


@pytest.mark.live
def test_doctor_does_not_read_dead_letters_of_long_ago(
    dead_letter_topic: DeadLetterTopic, monkeypatch: pytest.MonkeyPatch
):
    dead_letter_topic.put(b"{}", Fault.NOT_SIGNED)
    monkeypatch.setattr(doctor, "LATELY", -60_000)
    assert list(doctor._not_signed(dead_letter_topic.settings)) == []


@pytest.mark.live
def test_doctor_counts_what_the_group_has_not_taken_and_who_is_in_it(
    saga: Saga, own_kafka: Broker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SAGA_APP_ID", "takers")
    saga("policy", "payment", "--limit", "1")
    takers = Consumer(
        {"bootstrap.servers": own_kafka.address, "group.id": "takers", "enable.auto.commit": False}
    )
    try:
        takers.subscribe([PAYMENT])
        until(
            lambda: takers.poll(0.1) is None and len(takers.assignment()) == PARTITIONS,
            30,
            lambda: "no member",
        )
        ends = [takers.get_watermark_offsets(TopicPartition(PAYMENT, each))[1] for each in range(PARTITIONS)]
        taken = [TopicPartition(PAYMENT, each, end) for each, end in enumerate(ends)]
        taken[0].offset -= 1
        takers.commit(offsets=taken, asynchronous=False)
        found = listed(saga("doctor", "--json"))
    finally:
        takers.close()
    lag = found[f"lag of {PAYMENT}"]
    assert lag["ok"] and lag["detail"].startswith(f"{PAYMENT}: 1 not taken, the oldest for ")
    assert found["workers"]["detail"].startswith("1 worker")


@pytest.mark.live
def test_doctor_goes_on_where_topics_are_wrong(saga: Saga, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SAGA_PARTITIONS", str(PARTITIONS + 1))
    found = listed(saga("doctor", "--json"))
    assert not found["broker and topics"]["ok"]
    assert found.keys() >= {f"lag of {inbox}" for inbox in INBOXES}, "of the partitions that are there"
    assert "workers" in found
    assert "web" in found


def test_doctor_goes_on_without_a_broker(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SAGA_BROKER", "127.0.0.1:1")
    findings = {each.what: each for each in doctor._findings(Settings.read())}
    assert not findings["broker"].ok
    assert "Connection refused" in findings["broker"].detail
    assert findings["python"].ok
    assert "web" in findings


def test_the_data_directory_must_have_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("SAGA_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(doctor, "LEAST_FREE", 10**18)
    finding = doctor._data_dir(Settings.read())
    assert not finding.ok
    assert "make room" in finding.detail


def test_a_data_directory_that_is_no_folder_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SAGA_DATA_DIR", str(tmp_path / "file" / "data"))
    finding = doctor._data_dir(Settings.read())
    assert not finding.ok
    assert "SAGA_DATA_DIR" in finding.detail


def test_the_pins_are_those_of_setup_cfg_and_they_hold(monkeypatch: pytest.MonkeyPatch):
    pins = packages.pins()
    assert {"faust-streaming", "aiokafka", "confluent-kafka", "rocksdict"} <= pins.keys()
    assert packages.differences(pins) == []

    def missing(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", missing)
    assert packages.pins() == pins


def test_another_version_and_a_package_that_is_missing_are_named():
    found = packages.differences({"click": "0.0.1", "no-such-package-of-ours": "1.0"})
    assert found == [
        f"click is {metadata.version('click')}, not 0.0.1",
        "no-such-package-of-ours is not installed",
    ]
