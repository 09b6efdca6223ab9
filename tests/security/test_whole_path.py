"""A shop whose broker trusts nobody: every part comes with its own user, who may do what the page lists and no more."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from saga_app import topics
from tests.live.orders import orders, supplies
from tests.live.scene import Scene
from tests.security.conftest import Saga
from tests.security.guarded import Guarded


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


def said_by(saga: Saga, words: str, settings: dict[str, str], code: int = 0) -> str:
    done = saga(*words.split(), **settings)
    assert done.returncode == code, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def test_every_part_works_with_its_own_acls_and_shows_no_password(
    guarded: Guarded, saga: Saga, scene: Scene, tmp_path: Path
):
    said = []

    def run(words: str, user: str) -> str:
        settings = guarded.with_password(user) | {"SAGA_WEB_URL": f"http://127.0.0.1:{worker.port}"}
        said.append(said_by(saga, words, settings))
        return said[-1]

    # A worker that has logged in with a password, and is killed while orders are under way.
    worker = scene.worker("w1", **guarded.with_password("worker")).start().ready()
    scene.shop.send(supplies())
    run("receive MUG:100 --warehouse main", "shop")
    run("deposit ada 250.00", "shop")
    run("policy payment --limit 2000", "shop")
    run("place --order-id by-hand --customer ada --line MUG:2:12.50 --country GB", "shop")
    scene.feed(orders(300), until_ended=60)
    worker.kill()
    said.append(worker.log.read_text("utf-8"))
    # With a certificate now, and then with a password that every login sends as it is, all of it logged.
    worker.environment.update(guarded.with_certificate("worker"))
    for name in ("SAGA_SASL_USERNAME", "SAGA_SASL_PASSWORD"):
        del worker.environment[name]
    worker.start().ready()
    scene.endings.wait_for(301, 60)
    assert len(set(scene.endings.ended.values())) > 3, "orders are refused for every reason"
    assert worker.end() == 0
    plain = guarded.with_password("worker", guarded.plain_password) | {"SAGA_SASL_MECHANISM": "PLAIN"}
    worker.environment.update(plain)
    worker.level = "debug"
    worker.start().ready()
    scene.shop.raw(topics.CHECKOUT, b'{"order_id": "wrong", "amount": "5,00"}', b"wrong")
    scene.shop.flush()
    scene.log.wait_until_quiet()

    run("orderbook --once", "orderbook")
    assert "by-hand" in run("orders --q by-hand", "orderbook")
    run("orders --lag", "orderbook")
    run("rebuild-orders", "orderbook")
    (letter,) = map(json.loads, run("dead-letters --json", "operator").splitlines())
    (tmp_path / "corrected.json").write_text('{"order_id": "wrong", "amount": "5.00"}')
    run(f"replay {letter['id']} --payload {tmp_path}/corrected.json", "operator")
    scene.endings.wait_for(302, 60)
    run("audit", "operator")
    run("history by-hand", "operator")
    run("topics --alter", "operator")
    run("doctor", "operator")
    run("settings --json", "operator")
    scene.prove(dead_letters=1)
    said.append(worker.log.read_text("utf-8"))
    for secret in [*guarded.passwords.values(), guarded.plain_password]:
        assert secret not in "".join(said)
    assert "SaslHandShakeRequest" in said[-1], (
        "the log has what aiokafka sends, so it could have had the password"
    )
