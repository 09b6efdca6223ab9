"""`saga webhooks run` on a broker: every event comes, whatever is killed; a slow endpoint delays no other."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from harness.log import until
from harness.ports import free_port
from harness.process import LoggedProcess
from harness.scene import Scene
from harness.worker import environment
from saga_app import topics
from saga_app.core.numbers import version_at
from saga_app.core.outcome import OutcomePut
from saga_app.core.rows import OrderRow, Status
from saga_app.kafka.order_outcomes import event_id, outcome_record
from saga_app.webhooks import deliveries
from tests.live.commands import SAGA, CommandResult, saga
from tests.support.examples import order
from tests.webhooks.receiver import WebhookReceiver, written_endpoints


def tell(scene: Scene, count: int, start: int = 0) -> set[str]:
    """Writes the outcomes of so many orders, as a worker does; their ids."""
    producer = Producer({"bootstrap.servers": scene.broker, "partitioner": "murmur2_random", "linger.ms": 1})
    ids = set()
    for number in range(start, start + count):
        row = OrderRow(
            version_at(number), Status.COMPLETED, version_at(0), 0, 1, order(f"o{number}").canonical, 1
        )
        record = outcome_record(OutcomePut(f"o{number}", row.version, row))
        partition = topics.partition_of(f"o{number}", topics.DEFAULT_PARTITIONS)
        producer.produce(record.topic, record.value, record.key, partition, headers=list(record.headers))
        ids.add(event_id(f"o{number}", row.version))
    assert producer.flush(20) == 0
    return ids


class WebhookProcess(LoggedProcess):
    """`saga webhooks run`, which may be killed and started again."""

    def __init__(self, scene: Scene, file: Path, name: str = "webhooks") -> None:
        super().__init__(scene.folder / f"{name}.log")
        self.env = environment(
            scene.broker,
            scene.folder / "nothing",
            free_port(),
            SAGA_APP_ID=scene.app_id,
            SAGA_WEBHOOKS=str(file),
        )

    def start(self) -> "WebhookProcess":
        self.run([SAGA, "webhooks", "run"], self.env)
        return self


@pytest.fixture
def made() -> Iterator[Callable[..., WebhookReceiver]]:
    """Makes receivers, and closes them at the end."""
    receivers: list[WebhookReceiver] = []

    def make(**options: object) -> WebhookReceiver:
        receivers.append(WebhookReceiver(**options))  # type: ignore[arg-type]
        return receivers[-1]

    yield make
    for each in receivers:
        each.close()


@pytest.fixture
def running(scene: Scene) -> Iterator[Callable[..., WebhookProcess]]:
    """Starts processes, and ends them with the test."""
    started: list[WebhookProcess] = []

    def start(file: Path, name: str = "webhooks") -> WebhookProcess:
        started.append(WebhookProcess(scene, file, name).start())
        return started[-1]

    yield start
    for each in started:
        each.close()


def command(scene: Scene, file: Path, *words: str) -> CommandResult:
    return saga(scene, "webhooks", *words, SAGA_WEBHOOKS=str(file))


@pytest.mark.promise("webhooks")
def test_every_event_comes_though_the_process_is_killed_and_a_slow_endpoint_delays_no_other(
    scene: Scene, made: Callable[..., WebhookReceiver], running: Callable[..., WebhookProcess]
) -> None:
    """One endpoint takes all, one refuses each event at first, one answers after a minute; one kill -9 under load."""
    good, slow = made(), made(delay=60)
    flaky = made(answer=lambda event, tries: 200 if tries > 1 else 503)
    file = written_endpoints(scene.folder, good=good.url, flaky=flaky.url, slow=slow.url)
    process = running(file)
    ids = tell(scene, 200)
    until(lambda: len(good.taken) > 50, 40, process.text)
    process.kill()
    ids |= tell(scene, 100, 200)
    process.start()
    until(lambda: good.taken.keys() == ids, 60, process.text)
    until(lambda: flaky.taken.keys() == ids, 60, process.text)
    assert not (good.wrong or flaky.wrong or slow.taken)
    assert process.end() == 0, process.text()
    waiting = command(scene, file, "failed", "--waiting", "--endpoint", "good")
    assert waiting.code == 0 and not waiting.out, waiting
    lags = {
        each["endpoint"]: each
        for each in map(json.loads, command(scene, file, "list", "--json").out.splitlines())
    }
    assert (lags["good"]["lag"], lags["good"]["waiting"], lags["flaky"]["failed"]) == (0, 0, 0), lags
    doctor = saga(scene, "doctor", "--json", SAGA_WEBHOOKS=str(file))
    told = {each["what"]: each["detail"] for each in map(json.loads, doctor.out.splitlines())}
    assert told["webhooks good"] == "0 to come, 0 waiting, 0 failed"


def test_what_an_endpoint_never_takes_is_listed_and_sent_again_with_the_same_id(
    scene: Scene, made: Callable[..., WebhookReceiver], running: Callable[..., WebhookProcess]
) -> None:
    answers = {"status": 410}
    gone = made(answer=lambda event, tries: answers["status"])
    file = written_endpoints(scene.folder, gone=gone.url)
    process = running(file)
    ids = tell(scene, 3)
    until(lambda: gone.tried.keys() == ids, 40, process.text)
    until(lambda: len(command(scene, file, "failed", "--json").out.splitlines()) == 3, 20, process.text)
    answers["status"] = 200
    done = command(scene, file, "resend", "gone", "o1:1")
    assert done.code == 0 and "1 will be tried again" in done.out, done
    until(lambda: gone.taken.keys() == {"o1:1"}, 20, process.text)
    assert command(scene, file, "resend", "gone", "--all").code == 0
    until(lambda: gone.taken.keys() == ids, 20, process.text)
    assert command(scene, file, "resend", "gone", "--order", "o2").code == 0
    until(lambda: gone.taken["o2:2"] == 2, 20, process.text)
    until(lambda: not command(scene, file, "failed", "--waiting", "--json").out, 20, process.text)
    nobody = command(scene, file, "resend", "gone", "--order", "nobody")
    assert nobody.code == 1 and "not there" in nobody.error
    test = command(scene, file, "send-test", "gone")
    assert test.code == 0 and "taken: 200" in test.out, test
    assert process.end() == 0, process.text()


@pytest.mark.slow("ten kills and two processes under load; one kill is quick")
def test_two_processes_share_the_partitions_and_ten_kills_lose_nothing(
    scene: Scene, made: Callable[..., WebhookReceiver], running: Callable[..., WebhookProcess]
) -> None:
    flaky = made(answer=lambda event, tries: 503 if hash(event) % 3 == 0 and tries == 1 else 200, delay=0.01)
    good = made(delay=0.005)
    file = written_endpoints(scene.folder, good=good.url, flaky=flaky.url)
    both = [running(file, f"webhooks-{number}") for number in range(2)]
    ids: set[str] = set()
    for number in range(10):
        ids |= tell(scene, 200, number * 200)
        time.sleep(3)
        both[number % 2].kill()
        both[number % 2].start()

    def logs() -> str:
        return "\n".join(each.text()[-2000:] for each in both)

    until(lambda: good.taken.keys() == ids and flaky.taken.keys() == ids, 180, logs)
    assert [each.end() for each in both] == [0, 0], logs()


def test_the_waits_of_deliveries_are_those_that_the_page_tells() -> None:
    assert (deliveries.FIRST_WAIT, deliveries.LONGEST_WAIT, deliveries.TRIED_FOR) == (
        5_000,
        4 * 3_600_000,
        3 * 86_400_000,
    )
