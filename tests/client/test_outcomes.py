"""Outcomes that are heard from the topics: endings, refusals, forgeries, and who is told."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from saga_app import topics, wire
from saga_app.client.outcomes import MOST_REMEMBERED, OutcomeFollower
from saga_app.client.over_kafka import KafkaClient
from saga_app.client.results import OrderEnding, OrderOpen, RecordRefused, Refusal
from saga_app.core.errors import Fault, Rejected
from saga_app.core.numbers import Offset, version_at
from saga_app.core.outcome import OutcomePut
from saga_app.core.records import Reason, Record, StepName
from saga_app.core.rows import OrderRow, Status
from saga_app.dead_letters.format import LetterId, dead_letter
from saga_app.kafka.messages import Message
from saga_app.kafka.order_outcomes import outcome_record
from saga_app.settings import Settings
from tests.orderdb.batches import FakeMessage
from tests.support.examples import placed

PLACE = LetterId(topics.CHECKOUT, 3, 7)


def message(record: Record, offset: int = 5, headers: Any = ()) -> FakeMessage:
    return FakeMessage(topics.CHECKOUT, offset, wire.encode(record), headers=headers)


def letter(fault: Fault = Fault.DIFFERENT_CONTENT) -> FakeMessage:
    original = Message(Offset(PLACE.offset), 1, b"o1", b"{}")
    made = dead_letter(PLACE.topic, PLACE.partition, original, Rejected(fault, "why"))
    return FakeMessage(made.topic, 0, made.value, made.key or b"", headers=made.headers)


def ended(order_id: str = "o1", version: int = 5, **fields: Any) -> FakeMessage:
    """The outcome of an order, which completed unless the fields say more."""
    row = OrderRow(
        version_at(version),
        Status.CANCELLED if fields else Status.COMPLETED,
        Offset(0),
        0,
        1_000 + version,
        placed(order_id).order.canonical,
        1_000 + version,
        **fields,
    )
    record = outcome_record(OutcomePut(order_id, row.version, row))
    return FakeMessage(
        topics.ORDER_OUTCOMES, version, record.value, record.key or b"", headers=record.headers
    )


def heard(follower: OutcomeFollower, *messages: FakeMessage) -> None:
    """The follower reads these."""
    found = [follower._outcome(each) for each in messages]
    follower.take([each for each in found if each is not None])


def run(test: Callable[[OutcomeFollower], Awaitable[None]], settings: Settings | None = None) -> None:
    async def begin() -> None:
        await test(OutcomeFollower(settings or Settings()))

    asyncio.run(begin())


def test_all_who_wait_for_an_order_are_told_and_nobody_else():
    async def test(follower: OutcomeFollower) -> None:
        with follower.watch("o1") as one, follower.watch("o1") as two, follower.watch("o2") as other:
            heard(follower, message(placed("o1")), ended("o1"))
            assert await one.outcome(1) == await two.outcome(1) == OrderEnding("o1", Status.COMPLETED, 1_005)
            assert await other.outcome(0.01) is None
        assert follower.waiting == 0

    run(test)


def test_a_cancellation_has_its_reason_and_step():
    async def test(follower: OutcomeFollower) -> None:
        with follower.watch("o1") as watch:
            heard(follower, ended(reason=Reason.OUT_OF_STOCK, step=StepName.INVENTORY))
            found = await watch.outcome(1)
        assert found == OrderEnding("o1", Status.CANCELLED, 1_005, Reason.OUT_OF_STOCK, StepName.INVENTORY)

    run(test)


def test_an_ending_that_was_heard_before_counts_and_of_repeats_the_first():
    async def test(follower: OutcomeFollower) -> None:
        heard(follower, ended(), ended())
        with follower.watch("o1") as watch:
            assert await watch.outcome(1) == OrderEnding("o1", Status.COMPLETED, 1_005)

    run(test)


def test_an_id_that_is_used_again_has_the_newer_ending():
    async def test(follower: OutcomeFollower) -> None:
        heard(follower, ended(version=5), ended(version=9))
        with follower.watch("o1") as watch:
            assert await watch.outcome(1) == OrderEnding("o1", Status.COMPLETED, 1_009)

    run(test)


@pytest.mark.parametrize("is_first", [True, False])
def test_a_dead_letter_ends_the_wait_for_its_record_before_or_after_the_place_is_known(is_first: bool):
    async def test(follower: OutcomeFollower) -> None:
        with follower.watch("o1") as watch:
            if is_first:
                heard(follower, letter())
            watch.of_record(PLACE)
            if not is_first:
                heard(follower, letter())
            assert await watch.outcome(1) == Refusal(PLACE, "different_content", "why")

    run(test)


def test_all_who_wait_for_one_record_hear_that_it_became_a_dead_letter():
    async def test(follower: OutcomeFollower) -> None:
        with follower.watch("o1") as one, follower.watch("o1") as two:
            with follower.watch("o1") as gone:
                for watch in (one, two, gone):
                    watch.of_record(PLACE)
            heard(follower, letter())
            assert await one.outcome(1) == await two.outcome(1) == Refusal(PLACE, "different_content", "why")
        assert not follower._places

    run(test)


def test_an_ending_of_an_order_that_was_placed_before_the_client_opened_ends_no_wait():
    async def test() -> None:
        client = KafkaClient(Settings())
        follower = client._outcomes

        async def send(record: Record) -> LetterId:
            heard(follower, FakeMessage(topics.CHECKOUT, 9, wire.encode(record), b"o1"))
            return PLACE

        client._send = send  # type: ignore[method-assign]
        heard(follower, ended())
        for _ in range(2):
            await client.place({"order_id": "o1", "amount": "5"})
            with pytest.raises(OrderOpen):
                await client.wait("o1", 0.01)
        heard(follower, letter())
        with pytest.raises(RecordRefused):
            await client.wait("o1", 1)

    asyncio.run(test())


def test_a_forged_ending_is_not_believed_where_services_must_sign(tmp_path: Any):
    keys = tmp_path / "keys"
    keys.write_text(f"new {'ab' * 32}\n")
    settings = Settings(signing_keys_file=str(keys), signed_since="1970-01-01")

    async def test(follower: OutcomeFollower) -> None:
        with follower.watch("o1") as watch:
            heard(follower, ended())
            assert await watch.outcome(0.01) is None

    run(test, settings)


def test_what_is_no_record_ends_nothing():
    async def test(follower: OutcomeFollower) -> None:
        texts = (b'{"type":"OrderCompleted","order_id":"o1"}', b"{}", b"", None)
        with follower.watch("o1") as watch:
            for topic in (topics.CHECKOUT, topics.ORDER_OUTCOMES):
                heard(follower, *(FakeMessage(topic, 1, text, b"o1") for text in texts))
            heard(follower, FakeMessage(topics.DEAD_LETTERS, 1, b"x", headers=[("saga-reason", b"x")]))
            assert await watch.outcome(0.01) is None

    run(test)


def test_the_order_that_was_placed_first_under_an_id_is_known_by_its_digest():
    async def test(follower: OutcomeFollower) -> None:
        large = placed("large", lines=[{"sku": f"SKU-{number}", "quantity": 1} for number in range(500)])
        first, second = placed("o1"), placed("o1", amount="41.00")
        typeless = FakeMessage(topics.CHECKOUT, 1, b'{"order_id": 7, "amount": 5}', b"7")
        cancelled = FakeMessage(
            topics.CHECKOUT, 1, b'{"order_id": "8", "type": "CancellationRequested"}', b"8"
        )
        heard(
            follower,
            *(
                FakeMessage(topics.CHECKOUT, 1, wire.encode(each), each.order_id.encode())
                for each in (first, second, large)
            ),
            typeless,
            cancelled,
        )
        assert follower.digest("o1") == first.order.digest != second.order.digest
        assert follower.digest("large") == large.order.digest
        assert follower.digest("7") == placed("7", amount="5").order.digest
        assert follower.digest("8") is None and follower.digest("none") is None

    run(test)


def test_no_more_endings_are_remembered_than_the_memory_allows():
    async def test(follower: OutcomeFollower) -> None:
        for number in range(MOST_REMEMBERED + 10):
            follower.take([(OrderEnding(f"o{number}", Status.COMPLETED, number), number)])
        with follower.watch("o0") as forgotten, follower.watch("o10") as kept:
            assert await forgotten.outcome(0.01) is None and await kept.outcome(1) is not None

    run(test)
