"""The group membership: what renews the lease, what keeps a member in the group, and errors that nobody asks for.

Answers aiokafka#1187, rh#517, faust#138 (a member without partitions leaves the group for good) and faust#434,
faust#532, faust#629, aiokafka#1154 (an error of the coordinator is parked and never raised). The lease answers
`docs/reference/faust.md#d8`: Faust's heartbeats say nothing about whether this worker may still send.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import errors
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.protocol.group import HeartbeatRequest, LeaveGroupRequest
from aiokafka.structs import TopicPartition
from aiokafka.util import create_future

from saga_app.engine.faust import consumer as override
from saga_app.engine.faust.consumer import RebalanceListener, SagaConsumerThread
from tests.engine.faust.parts import in_a_loop, our_app, our_consumer, stock_app, stock_consumer

GENERATION = 3
REBALANCE_IN_PROGRESS = 27
HEARTBEAT = HeartbeatRequest("group", GENERATION, "member")


def coordinator(answer: Callable[[], Any], **options: Any) -> Any:
    """aiokafka's coordinator, with its heartbeats; requests are answered here."""
    made = GroupCoordinator.__new__(GroupCoordinator)

    async def send(request: Any) -> Any:
        return answer()

    made.__dict__.update(
        {
            "group_id": "group",
            "generation": GENERATION,
            "member_id": "member",
            "coordinator_id": 0,
            "_send_req": send,
            "_subscription": SubscriptionState(),
            "_heartbeat_interval_ms": 10,
            "_session_timeout_ms": 10_000,
            "_retry_backoff_ms": 10,
            "_max_poll_interval": 0.05,
            "_pending_exception": None,
            "_error_consumed_fut": None,
            "_closing": create_future(),
            "_coordination_task": create_future(),
            "_group_instance_id": None,
            **options,
        }
    )
    made.request_rejoin = lambda: None
    return made


def following(folder: Path, made: Any) -> SagaConsumerThread:
    """Our consumer thread, listening to that coordinator's heartbeats."""
    app = our_app(folder)
    consumer, _ = our_consumer(app)
    thread = consumer._thread
    thread._consumer = SimpleNamespace(_coordinator=made, _subscription=made._subscription)
    thread._follow_heartbeats()
    return thread  # type: ignore[no-any-return]


def answered(code: int) -> Callable[[], Any]:
    return lambda: SimpleNamespace(error_code=code)


# --- the lease


@in_a_loop
async def test_a_heartbeat_without_error_renews_the_lease(tmp_path: Path) -> None:
    made = coordinator(answered(0))
    thread = following(tmp_path, made)
    assert not thread.app.engine.lease.holds(GENERATION), "no round starts before the first heartbeat"
    await made._do_heartbeat()
    assert thread.app.engine.lease.holds(GENERATION)


@pytest.mark.parametrize("code", [REBALANCE_IN_PROGRESS, 16, 22, 25])
@in_a_loop
async def test_a_heartbeat_that_was_answered_with_an_error_does_not_renew_the_lease(
    tmp_path: Path, code: int
) -> None:
    made = coordinator(answered(code))
    thread = following(tmp_path, made)
    await made._send_req(HEARTBEAT)
    assert not thread.app.engine.lease.holds(GENERATION)


@in_a_loop
async def test_other_answers_do_not_renew_the_lease(tmp_path: Path) -> None:
    made = coordinator(answered(0))
    thread = following(tmp_path, made)
    await made._send_req(LeaveGroupRequest("group", "member"))
    assert not thread.app.engine.lease.holds(GENERATION)


@in_a_loop
async def test_the_lease_counts_from_before_the_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(override, "uptime", lambda: now[0])

    def late() -> Any:
        now[0] += 3
        return SimpleNamespace(error_code=0)

    made = coordinator(late)
    thread = following(tmp_path, made)
    lease = thread.app.engine.lease
    lease.clock = lambda: now[0]
    await made._do_heartbeat()
    now[0] = 1000 + lease.longest
    assert lease.holds(GENERATION)
    now[0] += 0.1
    assert not lease.holds(GENERATION)


@in_a_loop
async def test_a_member_silent_for_longer_than_the_session_joins_the_group_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer says yes, but a coordinator that still loads its groups says so to everybody."""
    now = [1000.0]
    monkeypatch.setattr(override, "uptime", lambda: now[0])
    made = coordinator(answered(0))
    asked = []
    made.request_rejoin = lambda: asked.append(now[0])
    thread = following(tmp_path, made)
    thread.app.engine.lease.clock = lambda: now[0]
    await made._do_heartbeat()
    assert asked == []
    now[0] += thread.app.engine.lease.session + 1
    await made._do_heartbeat()
    assert asked == [now[0]]
    assert not thread.app.engine.lease.holds(GENERATION)


@in_a_loop
async def test_a_heartbeat_of_an_earlier_generation_does_not_renew_the_lease(tmp_path: Path) -> None:
    made = coordinator(answered(0))
    thread = following(tmp_path, made)
    await made._do_heartbeat()
    made.generation = GENERATION + 1
    assert not thread.app.engine.lease.holds(GENERATION)
    assert not thread.app.engine.lease.holds(GENERATION + 1)


@in_a_loop
async def test_stock_aiokafka_calls_a_heartbeat_good_that_said_the_group_rebalances() -> None:
    assert await coordinator(answered(REBALANCE_IN_PROGRESS))._do_heartbeat() is True


@in_a_loop
async def test_stock_faust_sends_without_asking_whether_it_is_still_a_member(tmp_path: Path) -> None:
    """No code between `send` and the broker looks at the group: a worker that was replaced publishes on."""
    producer = stock_app(tmp_path).producer
    sent: list[str] = []

    async def send(topic: str, *record: Any, **options: Any) -> None:
        sent.append(topic)

    producer._producer = SimpleNamespace(_sender=SimpleNamespace(sender_task=None), send=send)
    await producer.send("t", b"k", b"v", 0, None, None)
    assert sent == ["t"]


# --- a member without partitions: aiokafka#1187, rh#517, faust#138


async def beat(made: Any) -> list[str]:
    """aiokafka's own heartbeats for eight poll intervals; whether the member left."""
    left: list[str] = []

    async def leave() -> None:
        left.append("left")
        made.member_id = ""

    async def known() -> None: ...

    made._maybe_leave_group = leave
    made.ensure_coordinator_known = known
    beating = asyncio.ensure_future(made._heartbeat_routine())
    await asyncio.wait([beating], timeout=8 * made._max_poll_interval)
    beating.cancel()
    return left


@in_a_loop
async def test_a_member_without_partitions_stays_in_the_group(tmp_path: Path) -> None:
    made = coordinator(answered(0))
    following(tmp_path, made)
    assert await beat(made) == []
    assert made._subscription.fetcher_idle_time < made._max_poll_interval


@in_a_loop
async def test_stock_faust_never_polls_without_partitions_and_leaves_the_group(tmp_path: Path) -> None:
    consumer, _ = stock_consumer(stock_app(tmp_path))
    made = coordinator(answered(0))
    polled: list[str] = []

    async def getmany(active_partitions: Any, timeout: float) -> Any:
        polled.append("polled")
        with made._subscription.fetch_context():
            return {}

    async def asleep(seconds: float) -> None:
        await asyncio.sleep(0.005)

    consumer._getmany = getmany
    consumer.sleep = asleep
    consumer.resume_flow()

    async def fetch() -> None:
        while True:
            await consumer._wait_next_records(1.0)

    fetching = asyncio.ensure_future(fetch())
    assert await beat(made) == ["left"]
    fetching.cancel()
    assert polled == []


@in_a_loop
async def test_stock_aiokafka_does_not_join_again_where_nobody_polls() -> None:
    made = coordinator(answered(0), _performed_join_prepare=True, _heartbeat_task=None)
    joined: list[str] = []

    async def rejoin(subscription: Any) -> bool:
        joined.append("joined")
        return True

    made._do_rejoin_group = rejoin
    made._subscription._last_fetch_ended -= 1
    assert await made.ensure_active_group(SimpleNamespace(active=True), SimpleNamespace(tps=set())) is None
    assert joined == []


# --- errors that aiokafka parks: faust#434, faust#532, faust#629, aiokafka#1154


@in_a_loop
async def test_stock_faust_never_asks_aiokafka_for_the_error_that_it_has_parked(tmp_path: Path) -> None:
    consumer, _ = stock_consumer(stock_app(tmp_path))
    made = coordinator(answered(0))
    made._subscription.register_fetch_waiters(set())
    waiting = asyncio.ensure_future(made._push_error_to_user(errors.GroupAuthorizationFailedError("group")))
    await asyncio.sleep(0)

    async def fetched_records(*args: Any, **kwargs: Any) -> dict[Any, Any]:
        return {}

    subscriptions = made._subscription
    fetcher = SimpleNamespace(_closed=False, _subscriptions=subscriptions, fetched_records=fetched_records)
    aiokafka = SimpleNamespace(_fetcher=fetcher, _closed=False, _coordinator=made)
    assert await consumer._thread._fetch_records(aiokafka, set()) == {}
    assert made._pending_exception is not None and not waiting.done(), "the group's task waits for ever"

    # aiokafka's own `getmany` begins with this:
    with pytest.raises(errors.GroupAuthorizationFailedError):
        made.check_errors()
    await waiting


# --- aiokafka itself fetches nothing


@in_a_loop
async def test_aiokafka_fetches_nothing_from_the_partitions_that_our_readers_read(tmp_path: Path) -> None:
    app = our_app(tmp_path)
    consumer, _ = our_consumer(app)
    paused: list[TopicPartition] = []
    consumer._thread._consumer = SimpleNamespace(
        pause=lambda *places: paused.extend(places), _coordinator=SimpleNamespace(generation=GENERATION)
    )
    told: list[int] = []

    async def assigned(places: Any, generation: int) -> None:
        told.append(generation)

    consumer._thread.on_partitions_assigned = assigned
    place = TopicPartition("payment_events", 0)
    await RebalanceListener(consumer._thread).on_partitions_assigned({place})
    assert paused == [place]
    assert told == [GENERATION]
