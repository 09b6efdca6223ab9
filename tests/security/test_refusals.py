"""A refused client gets one line that names the setting, and does not go on in doubt."""

import secrets
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.worker import WorkerProcess
from saga_app.engine.exits import Exit
from tests.security import acls
from tests.security.authority import Authority, KeyAndCertificate
from tests.security.guarded import Guarded, Saga

pytestmark = pytest.mark.slow("a broker with users, and thirty processes that it refuses")

Ended = subprocess.CompletedProcess[str]
#: Ways to be refused, and what the answer names.
WAYS = {
    "another password": "SAGA_SASL_PASSWORD",
    "another user": "SAGA_SASL_USERNAME",
    "another mechanism": "SAGA_SASL_MECHANISM",
    "another authority": "SAGA_TLS_CA",
    "another host name": "the host that SAGA_BROKER names",
    "another's certificate": "SAGA_TLS_CERT",
    "no certificate": "SAGA_TLS_CERT",
    "plaintext to TLS": "SAGA_SECURITY=plaintext",
    "TLS to plaintext": "SAGA_SECURITY=ssl",
}


def wrong(guarded: Guarded, other: KeyAndCertificate) -> dict[str, dict[str, str]]:
    """The settings of each way; `other` is signed by an authority that the broker does not know."""
    user, certified = guarded.with_password("operator"), guarded.with_certificate("operator")
    elsewhere = guarded.scram.replace("127.0.0.1", "localhost")
    return {
        "another password": {**user, "SAGA_SASL_PASSWORD": "wrong"},
        "another user": {**user, "SAGA_SASL_USERNAME": "nobody"},
        "another mechanism": {**user, "SAGA_SASL_MECHANISM": "SCRAM-SHA-256"},
        "another authority": {**user, "SAGA_TLS_CA": str(other.certificate)},
        "another host name": {**user, "SAGA_BROKER": elsewhere},
        "another's certificate": {
            **certified,
            "SAGA_TLS_CERT": str(other.certificate),
            "SAGA_TLS_KEY": str(other.key),
        },
        "no certificate": {**certified, "SAGA_TLS_CERT": "", "SAGA_TLS_KEY": ""},
        "plaintext to TLS": {"SAGA_BROKER": guarded.scram},
        "TLS to plaintext": {**certified, "SAGA_BROKER": guarded.open},
    }


@pytest.fixture(scope="module")
def answers(guarded: Guarded, saga: Saga, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ended]:
    """How `saga topics` ends for each way, side by side: where there is no answer it waits for one."""
    other = Authority(tmp_path_factory.mktemp("other")).sign("worker")
    ways = wrong(guarded, other)
    with ThreadPoolExecutor(4) as side_by_side:
        return dict(zip(ways, side_by_side.map(lambda way: saga("topics", **ways[way]), ways), strict=True))


@pytest.mark.parametrize("way", WAYS)
def test_a_command_that_is_refused_says_which_setting_it_is(
    guarded: Guarded, answers: dict[str, Ended], way: str
):
    done = answers[way]
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("saga: ") and WAYS[way] in line
    assert guarded.passwords["operator"] not in line


COMMANDS = (
    "audit",
    "history 1",
    "dead-letters",
    "replay --all --dry-run",
    "place --order-id 1 --amount 5",
    "cancel 1",
    "deposit ada 1.00",
    "receive MUG:1",
    "policy payment --limit 10",
    "topics --create",
    "orderdb run",
    "orderdb run --once",
    "orderdb rebuild",
    "doctor",
)


def test_every_command_tells_a_wrong_password_in_one_line(guarded: Guarded, saga: Saga):
    password = secrets.token_hex(16)
    settings = guarded.with_password("operator", password)
    with ThreadPoolExecutor(4) as side_by_side:
        ended = list(side_by_side.map(lambda words: saga(*words.split(), **settings), COMMANDS))
    for words, done in zip(COMMANDS, ended, strict=True):
        said = done.stdout + done.stderr
        assert done.returncode == 1, words
        told = [each for each in said.splitlines() if "SAGA_SASL_PASSWORD" in each]
        assert len(told) == 1 and "Traceback" not in said and password not in said, f"{words}: {said}"


@pytest.fixture
def worker(guarded: Guarded, saga: Saga, tmp_path: Path) -> Iterator[WorkerProcess]:
    """A worker that would be taken; its topics are there."""
    made = saga("topics", "--create", **guarded.with_password("operator"))
    assert made.returncode == 0, made.stderr
    worker = WorkerProcess(guarded.open, tmp_path, **guarded.with_password("worker"))
    yield worker
    worker.close()


def test_a_worker_with_a_wrong_password_ends_with_a_code_of_its_own(worker: WorkerProcess):
    worker.environment["SAGA_SASL_PASSWORD"] = "wrong"
    assert worker.start().wait_for_end() == Exit.BROKER_REFUSED
    assert "SAGA_SASL_PASSWORD" in worker.last_words()
    assert "Traceback" not in worker.text()


def test_a_worker_without_acls_says_that_they_are_missing(guarded: Guarded, worker: WorkerProcess):
    """Topics that it may not see are missing to it, and it may not make them."""
    guarded.password("stranger", secrets.token_hex(16))
    worker.environment.update(guarded.with_password("stranger"))
    assert worker.start().wait_for_end() == Exit.TOPICS_WRONG
    assert "lacks an ACL; docs/how-to/secure-kafka.md" in worker.last_words()


def test_a_worker_that_may_not_join_its_group_says_so(guarded: Guarded, worker: WorkerProcess):
    guarded.password("loner", secrets.token_hex(16))
    rows = [each for each in acls.listed() if each.user == "worker" and each.name != "saga"]
    guarded.grant(each._replace(user="loner") for each in rows)
    worker.environment.update(guarded.with_password("loner"))
    assert worker.start().wait_for_end() == Exit.BROKER_REFUSED
    assert "lacks an ACL; docs/how-to/secure-kafka.md" in worker.last_words()


@pytest.mark.usefixtures("worker")
def test_a_user_that_may_only_sell_cannot_read_what_is_sold(guarded: Guarded, saga: Saga):
    """A topic that a user may not see does not exist for that user."""
    done = saga("audit", **guarded.with_password("shop"))
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "saga-accounts-changelog" in line and "missing" in line


def test_a_worker_whose_password_is_changed_says_so(guarded: Guarded, worker: WorkerProcess):
    """It keeps its connections as long as the broker does; then it is refused, ends, and ends at once when started."""
    # An idle worker: what it had on its way while the broker is down would end it, for another reason.
    worker.environment["SAGA_ORDER_RETENTION"] = "0"
    worker.start().ready()
    old = guarded.passwords["worker"]
    guarded.password("worker", secrets.token_hex(16))
    guarded.broker.restart()
    worker.wait_for("the broker refuses us: SASL authentication error", 60)
    worker.close()
    worker.environment["SAGA_SASL_PASSWORD"] = old
    assert worker.start().wait_for_end() == Exit.BROKER_REFUSED
    worker.environment["SAGA_SASL_PASSWORD"] = guarded.passwords["worker"]
    worker.start().ready()
    assert worker.end() == 0
