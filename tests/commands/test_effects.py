"""`saga effects` lists what providers are asked for; `saga resolve` sends what a person found, by the real rules."""

import json
from typing import Any

import pytest

from harness.log import everything
from saga_app import topics
from saga_app.core.numbers import version_at
from saga_app.core.order import Order
from saga_app.core.records import Reason, StepName
from saga_app.core.route import DEFAULT
from saga_app.core.rows import JournalRow, OrderRow, OutsideEffect, State, Status
from saga_app.engine.ports import row_record
from saga_app.kafka.chunks import chunks
from saga_app.kafka.headers import actor_of
from saga_app.kafka.sender import Sender
from saga_app.settings import Settings
from saga_app.times import now
from tests.commands.dead_letter_topic import PARTITIONS, Saga
from tests.support.examples import CAPTURED_LATER, order

pytestmark = pytest.mark.live

PAYMENTS = topics.changelog("saga", "payments")
ORDERS = topics.changelog("saga", "orders")


def written(made: Order, state: State, age: int, **fields: Any) -> None:
    """The rows that workers write of an order whose payment is outside; `age` in seconds since it was asked for."""
    conflict = fields.pop("conflict", None)
    effect = OutsideEffect("till", now() - age * 1000, made.canonical, **fields)
    turned = {"reason": Reason.REQUESTED, "step": StepName.CHECKOUT} if state is State.PREVENTING else {}
    row = JournalRow(version_at(7), state, made.digest, outside=effect, conflict=conflict, **turned)  # type: ignore[arg-type]
    placed = OrderRow(version_at(5), Status.OPEN, version_at(5), 0, now(), made.canonical)
    Sender(Settings.read()).post(
        [
            row_record(changelog, topics.partition_of(key, PARTITIONS), made.order_id.encode(), each.encode())
            for changelog, key, each in (
                (PAYMENTS, made.customer_id or "", row),
                (ORDERS, made.order_id, placed),
            )
        ]
    )


def bought(order_id: str) -> Order:
    return order(order_id=order_id, customer_id=f"c-{order_id}", payment_method="till:fine")


@pytest.fixture
def shop(saga: Saga) -> Saga:
    """Four orders: young, in doubt, in conflict, and paid."""
    written(bought("young"), State.DOING, 10, tries=2, code="timeout")
    written(bought("old"), State.PREVENTING, 900, reference="p-2")
    written(bought("odd"), State.DONE, 900, reference="p-3", conflict="done:p-4")
    written(bought("paid"), State.DONE, 900, reference="p-5")
    return saga


def held(order_id: str) -> Order:
    """An order whose money is authorised, and taken when it is shipped."""
    return bought(order_id).model_copy(update={"route": CAPTURED_LATER})


def names(saga: Saga, *words: str) -> list[str]:
    return saga("effects", "-o", "name", *words).stdout.split()


def test_effects_that_are_asked_for_or_in_conflict_are_listed_the_oldest_first(shop: Saga) -> None:
    result = shop("effects")
    assert result.exit_code == 1 and "2 need a person: docs/how-to/settle-doubt.md" in result.stderr
    listed = {line.split()[0]: line for line in result.stdout.splitlines()[1:]}
    assert list(listed)[-1] == "young" and set(listed) == {"young", "old", "odd"}
    assert "asked to do it" in listed["young"] and "timeout" in listed["young"]
    assert "asked to prevent it" in listed["old"] and "15 min" in listed["old"]
    assert "done, but its provider said: done p-4" in listed["odd"]


def test_filters_choose(shop: Saga) -> None:
    assert names(shop, "--in-doubt") == ["old"]
    assert names(shop, "--conflicts") == ["odd"]
    assert names(shop, "--step", "shipping") == []
    assert sorted(names(shop, "--asked-before", "1m")) == ["odd", "old"]
    wrong = shop("effects", "--provider", "tille")
    assert (
        wrong.exit_code == 1
        and "no order and no setting names a provider 'tille'; there are till" in wrong.stderr
    )
    assert sorted(names(shop, "--all")) == ["odd", "old", "paid", "young"]
    result = shop("effects", "young", "--json")
    assert result.exit_code == 0
    (found,) = map(json.loads, result.stdout.splitlines())
    assert (found["provider"], found["state"], found["tries"], found["in_doubt"]) == (
        "till",
        "DOING",
        2,
        False,
    )


def test_states_choose_also_what_has_ended(shop: Saga) -> None:
    assert names(shop, "--state", "preventing") == ["old"]
    assert sorted(names(shop, "--state", "done", "--state", "DOING")) == ["odd", "paid", "young"]
    assert names(shop, "--state", "done", "--conflicts") == ["odd"]
    assert names(shop, "--state", "undone") == []


def test_a_list_is_bounded_and_says_how_many_it_leaves_out(shop: Saga) -> None:
    result = shop("effects", "--all", "--limit", "1")
    assert len(result.stdout.splitlines()) == 2 and "3 younger ones: --limit 4" in result.stderr
    # Those beyond the limit count: nobody must take the exit code for all well.
    assert result.exit_code == 1 and "2 need a person" in result.stderr


def test_the_effects_of_one_order_are_read_from_its_own_partitions_alone(
    shop: Saga, monkeypatch: pytest.MonkeyPatch
) -> None:
    places: list[tuple[str, int]] = []

    def read(config: Any, topic: str, partition: int, *rest: Any) -> Any:
        places.append((topic, partition))
        return chunks(config, topic, partition, *rest)

    monkeypatch.setattr("saga_app.effects.journals.chunks", read)
    assert names(shop, "paid", "--all") == ["paid"]
    keys = [("orders", "paid"), *((step.journal, step.key(bought("paid"))) for step in DEFAULT)]
    assert places == [
        (topics.changelog("saga", table), topics.partition_of(key, PARTITIONS)) for table, key in keys
    ]


def test_an_order_that_is_not_there_has_no_list(shop: Saga) -> None:
    result = shop("effects", "nobody")
    assert result.exit_code == 1 and "order nobody is not there" in result.stderr


def test_a_resolution_says_what_follows_and_sends_one_record_of_this_person(shop: Saga) -> None:
    inbox = everything(Settings.read().broker, topics.PAYMENT, PARTITIONS)
    asked = shop("resolve", "old", "payment", "--refused", "--note", "case 88")
    assert asked.exit_code == 1 and "PREVENTING becomes REFUSED" in asked.stderr and "--yes" in asked.stderr
    told = shop("resolve", "old", "payment", "--refused", "--note", "case 88", "--yes")
    assert told.exit_code == 0, told.output
    (message,) = everything(Settings.read().broker, topics.PAYMENT, PARTITIONS)[len(inbox) :]
    assert json.loads(message.value()) == {
        "type": "StepAnswered",
        "order_id": "old",
        "step": "payment",
        "key": "c-old",
        "outcome": "refused",
        "reference": "p-2",
        "code": "person",
        "detail": "case 88",
    }
    assert message.partition() == topics.partition_of("c-old", PARTITIONS)
    assert actor_of(message.headers())


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("paid", "payment", "--done", "p-5"), "nothing would change: payment of order paid is DONE"),
        (("paid", "payment", "--refused"), "this contradicts the journal"),
        (("paid", "inventory", "--refused"), "order paid has not come to inventory"),
        (("nobody", "payment", "--refused"), "order nobody is not there"),
    ],
)
def test_what_would_change_nothing_is_not_sent(shop: Saga, words: tuple[str, ...], why: str) -> None:
    result = shop("resolve", *words, "--note", "n", "--yes")
    assert result.exit_code == 1 and why in result.stderr


def test_one_of_three_outcomes_is_said(shop: Saga) -> None:
    for words in ((), ("--refused", "--undone")):
        assert shop("resolve", "old", "payment", *words, "--note", "n").exit_code == 2


def test_a_conflict_is_settled(shop: Saga) -> None:
    told = shop(
        "resolve", "odd", "payment", "--done", "p-3", "--settles", "--note", "p-4 is paid back", "--yes"
    )
    assert told.exit_code == 0, told.output
    assert "DONE becomes DONE" not in told.output and "the conflict is settled" in told.output


def test_an_authorisation_that_runs_out_within_a_day_is_listed_and_needs_a_person(saga: Saga) -> None:
    in_seconds = now() // 1000
    written(held("soon"), State.DONE, 60, reference="p-1", capture_before=in_seconds + 3_600)
    written(held("later"), State.DONE, 60, reference="p-2", capture_before=in_seconds + 500_000)
    written(held("taken"), State.CAPTURED, 60, reference="p-3", capture_before=in_seconds + 60)
    result = saga("effects", "soon")
    assert result.exit_code == 1 and "1 need a person" in result.stderr
    (line,) = result.stdout.splitlines()[1:]
    assert "authorised" in line and "p-1" in line
    assert [saga("effects", each, "-o", "name").stdout for each in ("later", "taken")] == ["", ""]
    (found,) = map(json.loads, saga("effects", "later", "--all", "--json").stdout.splitlines())
    assert found["capture_before"] is not None


def test_a_capture_that_is_not_possible_any_more_is_settled_with_where_the_money_is(saga: Saga) -> None:
    written(held("gone"), State.CAPTURING, 900, reference="p-1", conflict="undone:p-1")
    written(held("asked"), State.CAPTURING, 900, reference="p-1")
    words = ("payment", "--captured", "p-2", "--note", "paid again", "--yes")
    told = saga("resolve", "gone", *words, "--settles")
    assert told.exit_code == 0, told.output
    assert "CAPTURING becomes CAPTURED" in told.output and "the conflict is settled" in told.output
    assert "the order is completed" in told.output
    again = saga("resolve", "asked", *words)
    assert again.exit_code == 1 and "this contradicts the journal" in again.stderr
    right = saga("resolve", "asked", "payment", "--captured", "p-1", "--note", "seen", "--yes")
    assert right.exit_code == 0 and "CAPTURING becomes CAPTURED" in right.output
