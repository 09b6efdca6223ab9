"""Dead letters are sent again while a worker runs: corrected, to their right place, too early, and twice."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness.log import until
from harness.scene import TABLES, Scene
from saga_app import topics
from saga_app.commands import main
from saga_app.kafka.headers import SENT_ON
from saga_app.local.endings import COMPLETED, EndingsReader

Saga = Callable[..., Result]


@pytest.fixture
def saga(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Saga:
    """Runs a command on the scene's broker."""
    for name in ("SAGA_PARTITIONS", "SAGA_WEB_URL", "SAGA_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SAGA_BROKER", scene.broker)
    monkeypatch.setenv("SAGA_APP_ID", scene.app_id)
    return lambda *arguments, **options: CliRunner().invoke(main, list(arguments), **options)


def letters(saga: Saga, *options: str) -> dict[str, dict[str, Any]]:
    """The dead letters by id."""
    result = saga("dead-letters", "--json", *options)
    assert result.exit_code == 0, result.stderr
    return {each["id"]: each for each in map(json.loads, result.stdout.splitlines())}


def the_letter(scene: Scene, saga: Saga, *options: str) -> str:
    """The id of the one dead letter that is there when all is quiet."""
    scene.log.wait_until_quiet()
    (found,) = letters(saga, *options)
    return found


def ended(scene: Scene, order_id: str) -> str:
    """How the order ends."""
    until(
        lambda: bool(scene.endings.poll(0.05)) and order_id in scene.endings.ended,
        60,
        lambda: f"{order_id} is open",
    )
    return scene.endings.ended[order_id]


@pytest.mark.promise("a dead letter sent again")
def test_a_bad_order_is_corrected_and_completes(scene: Scene, saga: Saga) -> None:
    """Whoever follows the topics sees one letter and one ending: the note of the replay is neither."""
    follower = EndingsReader({"bootstrap.servers": scene.broker}, topics.DEFAULT_PARTITIONS)
    scene.worker("w1").start().ready()
    scene.shop.raw(topics.CHECKOUT, b'{"order_id": "fixed", "amount": "5,00"}', b"fixed")
    scene.shop.flush()
    letter = the_letter(scene, saga, "--order", "fixed")
    assert saga("replay", letter).exit_code == 1, "as it is it would only be refused again"
    corrected = '{"order_id": "fixed", "amount": "5.00"}'
    result = saga("replay", letter, "--payload", "-", input=corrected)
    assert result.exit_code == 0, result.stderr
    assert ended(scene, "fixed") == "COMPLETED"
    scene.log.wait_until_quiet()
    assert letters(saga, "--settled")[letter]["replays"][0]["sent_to"][0].startswith("checkout_events:")
    assert follower.dead_lettered() == 1
    assert follower.ended == {"fixed": COMPLETED}
    follower.close()
    scene.prove(dead_letters=1)


@pytest.mark.slow("another way to send a letter again")
def test_a_dead_letter_takes_effect_when_it_is_sent_again(scene: Scene, saga: Saga) -> None:
    """A deposit in another inbox, and an order that was sent on once already: all by one filter, and only once."""
    scene.worker("w1").start().ready()
    deposit = {"type": "FundsDeposited", "deposit_id": "d", "customer_id": "ada", "amount": "30.00"}
    scene.shop.raw(topics.SHIPPING, json.dumps(deposit).encode(), b"ada")
    order = {"order_id": "misrouted_record", "customer_id": "ada", "amount": "30.00"}
    wrong = (
        topics.partition_of("misrouted_record", topics.DEFAULT_PARTITIONS) + 1
    ) % topics.DEFAULT_PARTITIONS
    scene.shop.raw(
        topics.CHECKOUT,
        json.dumps(order).encode(),
        b"misrouted_record",
        partition=wrong,
        headers=[(SENT_ON, b"1")],
    )
    scene.shop.flush()
    scene.log.wait_until_quiet()
    assert {each["reason"] for each in letters(saga).values()} == {"unexpected_record", "wrong_partition"}
    for reason in ("unexpected_record", "wrong_partition"):
        assert saga("replay", "--reason", reason, "--since", "1h").exit_code == 0
        scene.log.wait_until_quiet()
    assert ended(scene, "misrouted_record") == "COMPLETED"
    scene.log.wait_until_quiet()
    rows = scene.log.rows(TABLES)
    assert scene.ledger().rows("accounts")["ada:GBP"] | {"version": 0} == {
        "version": 0,
        "deposited": "30.00",
        "balance": "0.00",
    }
    assert saga("replay", "--all").stdout == "letters sent again: 0, not sent: 0\n"
    assert saga("replay", "--all", "--force").exit_code == 0
    scene.log.wait_until_quiet()
    assert scene.log.rows(TABLES) == rows, "sent a second time, something has changed"
    scene.prove(dead_letters=2)


@pytest.mark.slow("another way to send a letter again")
def test_a_record_that_fails_again_is_a_dead_letter_that_says_so_and_can_be_sent_again(
    scene: Scene, saga: Saga
) -> None:
    """An ending that comes before its order."""
    scene.worker("w1").start().ready()
    ending = b'{"type":"OrderCancelled","order_id":"early","reason":"over_limit","step":"payment"}'
    scene.shop.raw(topics.CHECKOUT, ending, b"early")
    scene.shop.flush()
    first = the_letter(scene, saga)
    assert "refused as unknown_order" in saga("replay", first).stdout
    second = the_letter(scene, saga)
    assert letters(saga)[second]["replay_of"] == first
    # An order that nothing can be paid for yet: over the limit, it ends cancelled; the ending changes nothing.
    scene.shop.send([{"order_id": "early", "amount": "5000.00"}])
    assert ended(scene, "early") == "over_limit"
    assert saga("replay", second).exit_code == 0
    scene.log.wait_until_quiet()
    assert letters(saga, "--settled").keys() == {first, second}
    scene.ledger().check(dead_letters=2)


@pytest.mark.slow("another way to send a letter again")
def test_a_corrected_policy_holds_in_all_partitions(scene: Scene, saga: Saga) -> None:
    scene.worker("w1").start().ready()
    scene.shop.policy(topics.PAYMENT, policy_id="p", limit="-1")
    scene.log.wait_until_quiet()
    (letter,) = letters(saga)
    corrected = json.dumps({"type": "PolicyChanged", "policy_id": "p", "limit": "10.00"})
    assert saga("replay", letter, "--payload", "-", input=corrected).exit_code == 0
    scene.log.wait_until_quiet()
    count = 2 * topics.DEFAULT_PARTITIONS
    scene.shop.send({"order_id": f"o-{each}", "amount": "10.00"} for each in range(count))
    assert {ended(scene, f"o-{each}") for each in range(count)} == {"over_limit"}
    scene.log.wait_until_quiet()
    scene.ledger().check(dead_letters=1)
