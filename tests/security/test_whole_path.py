"""The whole path of orders on a guarded broker: each part has its own user, with the ACLs of the page alone."""

import json
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from confluent_kafka import Producer

from harness.log import until
from harness.orders import orders, supplies
from harness.scene import Scene
from harness.worker import WorkerProcess
from saga_app import topics
from tests.security.guarded import Guarded, Saga

pytestmark = pytest.mark.slow("a broker with users, and every part of the shop on it")


@pytest.fixture
def scene(guarded: Guarded, saga: Saga, tmp_path: Path) -> Iterator[Scene]:
    """Topics that the operator has made, and instruments that look in past the guards."""
    made = saga("topics", "--create", "--check", **guarded.with_password("operator"))
    assert made.returncode == 0, made.stderr
    scene = Scene(guarded.open, tmp_path, "saga")
    try:
        yield scene
    finally:
        scene.close()


class Party:
    """Runs commands, each as the user that it is for, and keeps all that is said."""

    def __init__(self, guarded: Guarded, saga: Saga, worker: WorkerProcess) -> None:
        self.said: list[str] = []
        self._guarded = guarded
        self._saga = saga
        self._web = f"http://127.0.0.1:{worker.port}"

    def run(self, user: str, words: str, code: int = 0) -> str:
        """The standard output of a command that must succeed, or end with this exit code."""
        done = self.ends(user, words)
        assert done.returncode == code, f"{words}: {self.said[-1]}"
        return done.stdout

    def ends(self, user: str, words: str) -> CompletedProcess[str]:
        """A command and its end."""
        settings = self._guarded.with_password(user) | {"SAGA_WEB_URL": self._web}
        done = self._saga(*words.split(), **settings)
        self.said.append(done.stdout + done.stderr)
        return done


@pytest.fixture
def worker(guarded: Guarded, scene: Scene) -> WorkerProcess:
    """It comes with its password; the instruments' address is not known to it."""
    return scene.worker("w1", **guarded.with_password("worker"))


@pytest.fixture
def party(guarded: Guarded, saga: Saga, worker: WorkerProcess) -> Party:
    return Party(guarded, saga, worker)


def come_back_with_a_certificate(guarded: Guarded, worker: WorkerProcess) -> None:
    worker.environment.update(guarded.with_certificate("worker"))
    for name in ("SAGA_SASL_USERNAME", "SAGA_SASL_PASSWORD"):
        del worker.environment[name]
    worker.start().ready()


def come_back_with_a_login_that_is_the_password(guarded: Guarded, worker: WorkerProcess) -> None:
    """The mechanism PLAIN sends it as it is, and at this level everything that is sent is logged."""
    plain = guarded.with_password("worker", guarded.plain_password) | {"SAGA_SASL_MECHANISM": "PLAIN"}
    worker.environment.update(plain)
    worker.level = "debug"
    worker.start().ready()


def leave_a_gap(scene: Scene) -> None:
    """The marker of a transaction, before many other records: an audit asks for the batches around it."""
    bank = Producer({"bootstrap.servers": scene.broker, "transactional.id": "bank"})
    bank.init_transactions(30)
    bank.begin_transaction()
    deposit = b'{"type": "FundsDeposited", "deposit_id": "1", "customer_id": "gap", "amount": "1.00"}'
    bank.produce(topics.PAYMENT, deposit, partition=0)
    bank.commit_transaction(30)


def sell(scene: Scene, party: Party) -> None:
    """Some by hand, as the shop; many past the guards."""
    scene.shop.send(supplies())
    party.run("shop", "receive MUG:100 --warehouse main")
    party.run("shop", "deposit ada 250.00")
    party.run("shop", "policy payment --limit 2000")
    party.run("shop", "place --order-id by-hand --customer ada --line MUG:2:12.50 --country GB")
    scene.feed(orders(300), until_ended=60)


def mend_a_dead_letter(scene: Scene, party: Party, folder: Path) -> None:
    scene.shop.raw(topics.CHECKOUT, b'{"order_id": "wrong", "amount": "5,00"}', b"wrong")
    scene.shop.flush()
    scene.log.wait_until_quiet()
    (letter,) = map(json.loads, party.run("operator", "dead-letters --json").splitlines())
    (folder / "corrected.json").write_text('{"order_id": "wrong", "amount": "5.00"}')
    party.run("operator", f"replay {letter['id']} --payload {folder}/corrected.json")
    scene.endings.wait_for(302, 60)


def look_back(party: Party) -> None:
    party.run("orderdb", "orderdb run --once")
    assert "by-hand" in party.run("orderdb", "orders --q by-hand")
    party.run("orderdb", "orders --lag")
    party.run("orderdb", "orderdb rebuild")
    for words in ("audit", "history by-hand", "topics --alter", "settings --json"):
        party.run("operator", words)
    # A copier counts as silent ten seconds behind its last sign.
    until(lambda: party.ends("operator", "doctor").returncode == 1, 60, lambda: party.said[-1])
    wrong = [line for line in party.run("operator", "doctor", code=1).splitlines() if "PROBLEM" in line]
    assert len(wrong) == 1 and "nobody copies to the order database" in wrong[0]


def test_every_part_works_with_its_own_acls_and_shows_no_password(
    guarded: Guarded, scene: Scene, worker: WorkerProcess, party: Party, tmp_path: Path
):
    worker.start().ready()
    leave_a_gap(scene)
    sell(scene, party)
    worker.kill()
    come_back_with_a_certificate(guarded, worker)
    scene.endings.wait_for(301, 60)
    assert len(set(scene.endings.ended.values())) > 3, "orders are refused for every reason"
    assert worker.end() == 0
    come_back_with_a_login_that_is_the_password(guarded, worker)
    mend_a_dead_letter(scene, party, tmp_path)
    look_back(party)
    scene.prove(dead_letters=1)

    logged = worker.log.read_text("utf-8")
    assert "SaslHandShakeRequest" in logged, (
        "what aiokafka sends is logged, so it could have been the password"
    )
    for secret in (*guarded.passwords.values(), guarded.plain_password):
        assert secret not in logged and secret not in "".join(party.said)
