"""The dispatcher over lists: which calls are made, when, and what is written down of them."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest

from saga_app import wire
from saga_app.core.numbers import Generation, version_at
from saga_app.core.outside import Action
from saga_app.core.records import Outcome, StepAnswered, StepName
from saga_app.core.rows import JournalRow, OutsideEffect, State
from saga_app.effects import calls
from saga_app.effects import dispatcher as dispatching
from saga_app.effects.breaker import FAILURES, FIRST_PAUSE
from saga_app.effects.dispatcher import (
    LONGEST_DELAY,
    LONGEST_PENDING,
    LOST_AFTER,
    AskedEffect,
    Dispatcher,
    delay,
)
from saga_app.effects.limited import Limited
from saga_app.effects.ports import Answer, Call, Effect, NoAnswer
from saga_app.engine.ports import DeliveryTimedOut, GivenUp
from saga_app.kafka.messages import Offsets, Outgoing
from tests.support.examples import order
from tests.support.memory import MemoryStore

GENERATION = Generation(1)
BEGAN = 1_700_000_000_000


class ListedLog:
    """A log that keeps what was written."""

    def __init__(self) -> None:
        self.records: list[StepAnswered] = []
        self.asked = 0
        self.fault: Exception | None = None

    async def append(self, records: Sequence[Outgoing], generation: Generation) -> Offsets:
        assert generation == GENERATION
        self.asked += 1
        await asyncio.sleep(0)
        if self.fault is not None and (records or isinstance(self.fault, GivenUp)):
            raise self.fault
        for record in records:
            answered = wire.decode(record.value)
            assert isinstance(answered, StepAnswered)
            self.records.append(answered)
        return {}


class ScriptedProvider:
    """Answers as it is told, and keeps the calls."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.calls: list[Call] = []
        self.held: asyncio.Event | None = None

    async def do(self, call: Call) -> Answer:
        self.calls.append(call)
        if self.held is not None:
            await self.held.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    prevent = undo = capture = do

    async def event(self, body: bytes, headers: Mapping[str, str]) -> StepAnswered | None:
        raise NotImplementedError

    def ledger(self, since: datetime) -> AsyncIterator[Effect]:
        raise NotImplementedError


class Bench:
    """A dispatcher, its log, its provider and its clock."""

    def __init__(self, *answers: Answer | Exception, most_calls: int = 64) -> None:
        self.log, self.provider, self.now = ListedLog(), ScriptedProvider(*answers), BEGAN
        providers = {"stripe": self.provider}
        self.dispatcher = Dispatcher(
            self.log, providers, "saga", lambda: self.now, tick=0.01, most_calls=most_calls
        )
        self.dispatcher.start(GENERATION)

    def asks(self, order_id: str = "o1", **fields: Any) -> None:
        self.dispatcher.changed(StepName.PAYMENT, {order_id: asked(order_id, **fields)})

    def turn(self) -> None:
        """Everything that is due is called for."""
        for effect in list(self.dispatcher.take()):
            asyncio.run(self.dispatcher.make(effect))


def asked(order_id: str = "o1", state: State = State.DOING, version: int = 3, **fields: Any) -> JournalRow:
    of = order(order_id, customer_id="c1", payment_method="stripe:pm_1")
    provider = fields.pop("provider", "stripe")
    effect = OutsideEffect(provider, BEGAN - 1_000, of.canonical, **fields)
    return JournalRow(version_at(version), state, of.digest, outside=effect)


def pending(reference: str | None = None, **fields: Any) -> Answer:
    return Answer(Outcome.PENDING, reference, **fields)


@pytest.mark.parametrize(
    ("state", "action"),
    [
        (State.DOING, Action.DO),
        (State.PREVENTING, Action.PREVENT),
        (State.UNDOING, Action.UNDO),
        (State.CAPTURING, Action.CAPTURE),
    ],
)
def test_a_row_asks_for_one_call_and_its_answer_is_a_record_of_the_step(state: State, action: Action) -> None:
    bench = Bench(Answer(Outcome.DONE, "pi_1"))
    bench.asks(state=state)
    bench.turn()
    (call,), (record,) = bench.provider.calls, bench.log.records
    assert (call.action, call.effect, call.age) == (action, f"saga:payment:o1:{BEGAN - 1_000}", 1_000)
    assert (record.step, record.key, record.version) == (StepName.PAYMENT, "c1", 3)
    assert (record.outcome, record.reference) == (Outcome.DONE, "pi_1")


def test_the_key_is_equal_at_every_attempt() -> None:
    bench = Bench(TimeoutError())
    for tries in range(3):
        bench.asks(tries=tries, version=3 + tries)
        bench.now += 60_000
        bench.turn()
    assert len({call.key("create") for call in bench.provider.calls}) == 1
    assert len(bench.provider.calls) == 3


@pytest.mark.parametrize("error", [TimeoutError(), ConnectionError(), ValueError("its own bug")])
def test_an_exception_is_unknown(error: Exception) -> None:
    bench = Bench(error)
    bench.asks()
    bench.turn()
    assert [(each.outcome, each.code) for each in bench.log.records] == [
        (Outcome.UNKNOWN, type(error).__name__)
    ]


@pytest.mark.parametrize(
    "answer",
    [Answer(Outcome.DONE), Answer(Outcome.DONE, "no spaces"), Answer(Outcome.DONE, "x" * 201)],
    ids=["no reference", "a reference with a space", "a long reference"],
)
def test_an_answer_that_breaks_the_rules_of_the_port_is_unknown(answer: Answer) -> None:
    bench = Bench(answer)
    bench.asks()
    bench.turn()
    assert [each.outcome for each in bench.log.records] == [Outcome.UNKNOWN]


def test_a_code_is_made_to_fit_and_a_card_number_in_a_detail_is_hidden() -> None:
    bench = Bench(pending(code="card declined!", detail="card 4111111111111111"))
    bench.asks()
    bench.turn()
    assert bench.log.records[0].code == "card_declined_"
    assert "4111" not in (bench.log.records[0].detail or "")


@pytest.mark.parametrize("code", ["4111111111111111", "4111#1111#1111#1111", "x" * 47 + " 4111111111111111x"])
def test_no_answer_is_refused_for_its_code(code: str) -> None:
    bench = Bench(Answer(Outcome.DONE, "pi_1", code=code))
    bench.asks()
    bench.turn()
    assert [each.outcome for each in bench.log.records] == [Outcome.DONE]
    assert "4111" not in (bench.log.records[0].code or "")


def test_a_reference_may_look_like_a_card_number() -> None:
    bench = Bench(Answer(Outcome.DONE, "4111111111111111"))
    bench.asks()
    bench.turn()
    assert bench.log.records[0].reference == "4111111111111111"


def test_a_row_is_called_for_by_one_call_at_a_time() -> None:
    bench = Bench(pending())
    bench.asks()
    assert len(list(bench.dispatcher.take())) == 1
    bench.asks(state=State.PREVENTING, version=4)
    assert not list(bench.dispatcher.take())


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "answer",
    [
        *(pending(wait=wait) for wait in (math.inf, -math.inf, math.nan, None, "7", 1e300)),
        *(NoAnswer("http_503", wait=wait) for wait in (math.inf, math.nan, 999_999_999)),
        NoAnswer(503),  # type: ignore[arg-type]
        Unspeakable(),
        None,
    ],
    ids=repr,
)
def test_a_strange_answer_ends_no_worker_and_is_asked_for_again_within_ten_minutes(answer: Any) -> None:
    bench = Bench(answer)
    bench.asks(reference="pi_1")
    bench.turn()
    assert len(bench.log.records) == 1
    bench.asks(reference="pi_1", tries=1, version=4)
    bench.now += dispatching.LONGEST_DELAY
    bench.turn()
    assert len(bench.provider.calls) == 2


def test_an_error_of_our_own_about_one_order_ends_no_worker(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(pending())
    bench.asks()
    monkeypatch.setattr(calls, "call", lambda *_: 1 // 0)
    bench.turn()
    monkeypatch.undo()
    assert "a call for order o1 failed" in caplog.text
    bench.now += LOST_AFTER
    bench.turn()
    assert len(bench.log.records) == 1


def test_an_order_that_its_adapter_cannot_handle_stops_no_other() -> None:
    bench = Bench(*[KeyError("shipping")] * FAILURES * 2, Answer(Outcome.DONE, "pi_1"))
    for number in range(FAILURES * 2 + 1):
        bench.asks(f"o{number}")
    bench.turn()
    assert not bench.dispatcher.reading().open
    outcomes = [each.outcome for each in bench.log.records]
    assert outcomes == [Outcome.UNKNOWN] * FAILURES * 2 + [Outcome.DONE]


def test_a_revoke_before_the_first_step_of_a_call_leaves_the_breaker_able_to_try() -> None:
    bench = Bench(ConnectionError())
    for number in range(FAILURES):
        bench.asks(f"o{number}")
    bench.turn()
    bench.now += FIRST_PAUSE
    assert len(list(bench.dispatcher.take())) == 1
    bench.dispatcher.stop()
    bench.dispatcher.start(GENERATION)
    bench.asks()
    assert len(list(bench.dispatcher.take())) == 1


def test_no_more_calls_are_made_at_once_than_are_allowed() -> None:
    bench = Bench(pending(), most_calls=2)
    for number in range(5):
        bench.asks(f"o{number}")
    assert len(list(bench.dispatcher.take())) == 2


def test_an_answer_that_changes_no_row_was_lost_and_is_asked_for_again() -> None:
    bench = Bench(Answer(Outcome.DONE, "pi_1"))
    bench.asks()
    bench.turn()
    bench.now += LOST_AFTER - 1
    bench.turn()
    assert len(bench.provider.calls) == 1
    bench.now += 1
    bench.turn()
    assert len(bench.provider.calls) == 2


def test_an_answer_that_the_broker_did_not_take_is_asked_for_again_soon() -> None:
    bench = Bench(Answer(Outcome.DONE, "pi_1"))
    bench.asks()
    bench.log.fault = DeliveryTimedOut("payment_events")
    bench.turn()
    bench.log.fault = None
    bench.now += dispatching.FIRST_DELAY
    bench.turn()
    assert len(bench.log.records) == 1


def test_nobody_is_called_without_the_lease() -> None:
    bench = Bench(Answer(Outcome.DONE, "pi_1"))
    bench.asks()
    bench.log.fault = GivenUp("generation 1")
    bench.turn()
    assert not bench.provider.calls


def test_a_provider_that_wants_to_be_left_alone_is() -> None:
    bench = Bench(pending(wait=40.0))
    bench.asks(reference="pi_1")
    bench.turn()
    bench.asks(reference="pi_1", tries=1, version=4)
    bench.now += 39_999
    bench.turn()
    assert len(bench.provider.calls) == 1
    bench.now += 1
    bench.turn()
    assert len(bench.provider.calls) == 2


def test_what_is_pending_is_asked_for_every_30_seconds_at_least_and_an_old_effect_less_often() -> None:
    effect = AskedEffect(StepName.PAYMENT, "o1", asked(tries=19))
    assert LONGEST_PENDING / 2 <= delay(effect, Outcome.PENDING, 0) <= LONGEST_PENDING
    assert delay(effect, Outcome.UNKNOWN, 0) >= 300_000
    assert delay(effect, Outcome.PENDING, 86_400_000) > LONGEST_PENDING
    assert delay(AskedEffect(StepName.PAYMENT, "o1", asked()), Outcome.PENDING, 0) == 0


def test_an_outage_writes_few_records_and_asks_by_one_call_at_a_time() -> None:
    bench = Bench(ConnectionError())
    for number in range(50):
        bench.asks(f"o{number}")
    bench.turn()
    assert len(bench.log.records) == FAILURES - 1
    assert bench.dispatcher.reading().open == ("stripe",)
    calls = len(bench.provider.calls)
    bench.turn()
    assert len(bench.provider.calls) == calls, "it is asked while the breaker is open"
    bench.now += FIRST_PAUSE
    assert len(list(bench.dispatcher.take())) == 1


def test_all_go_on_when_a_provider_answers_again() -> None:
    bench = Bench(*[ConnectionError()] * 50, Answer(Outcome.DONE, "pi_1"))
    for number in range(50):
        bench.asks(f"o{number}")
    bench.turn()
    written = len(bench.log.records)
    for _ in range(60):
        bench.now += 60_000
        bench.turn()
    done = {each.order_id for each in bench.log.records[written:] if each.outcome is Outcome.DONE}
    assert done == {f"o{number}" for number in range(50)}
    assert not bench.dispatcher.reading().open


def test_an_unknown_that_a_provider_answers_opens_no_breaker() -> None:
    bench = Bench(Answer(Outcome.UNKNOWN, code="ask_people"))
    for number in range(2 * FAILURES):
        bench.asks(f"o{number}")
    bench.turn()
    assert len(bench.log.records) == 2 * FAILURES
    assert not bench.dispatcher.reading().open


def test_a_restart_finds_the_rows_that_ask() -> None:
    bench = Bench(Answer(Outcome.DONE, "pi_1"))
    store = MemoryStore()
    rows = {"o1": asked("o1"), "o2": asked("o2", tries=9), "o3": asked("o3")._replace(state=State.DONE)}
    store.rows.update({key.encode(): row.encode() for key, row in rows.items()})
    bench.dispatcher.stop()
    bench.dispatcher.load(StepName.PAYMENT, store)
    bench.turn()
    assert not bench.provider.calls, "a call before the partitions are ours"
    bench.dispatcher.start(GENERATION)
    bench.now += LONGEST_PENDING
    bench.turn()
    assert {call.order.order_id for call in bench.provider.calls} == {"o1", "o2"}


def test_a_row_that_asks_no_more_is_called_for_no_more() -> None:
    bench = Bench(pending())
    bench.asks()
    bench.dispatcher.changed(StepName.PAYMENT, {"o1": asked()._replace(state=State.REFUSED)})
    bench.turn()
    assert not bench.provider.calls and not len(bench.dispatcher)


def test_an_effect_waits_for_a_provider_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(pending())
    bench.asks("o1", provider="other")
    bench.asks("o2", provider="other")
    bench.turn()
    assert not bench.provider.calls
    assert (
        bench.dispatcher.reading().in_words()
        == "2 effects wait for other, which SAGA_PROVIDERS does not name"
    )
    assert len([each for each in caplog.messages if "waits for provider other" in each]) == 1


def test_conflicts_are_counted_from_the_disk_and_from_rounds_until_a_person_settles_them() -> None:
    bench = Bench(pending())
    store = MemoryStore()
    odd = asked("odd")._replace(state=State.DONE, conflict="done:pi_2")
    store.rows[b"odd"] = odd.encode()
    bench.dispatcher.stop()
    bench.dispatcher.load(StepName.PAYMENT, store)
    bench.dispatcher.start(GENERATION)
    void = JournalRow(version_at(9), State.VOID, "content", conflict="done:pi_3")
    bench.dispatcher.changed(StepName.PAYMENT, {"void": void})
    assert bench.dispatcher.reading().conflicts == 2
    assert "2 effects are in conflict" in bench.dispatcher.reading().in_words()
    bench.dispatcher.changed(StepName.PAYMENT, {"odd": odd._replace(conflict=None)})
    assert bench.dispatcher.reading().conflicts == 1
    bench.dispatcher.stop()
    assert bench.dispatcher.reading().conflicts == 0


def _running(scene: Callable[[Bench], Any]) -> Bench:
    """The dispatcher runs while the scene goes on."""
    bench = Bench(Answer(Outcome.DONE, "pi_1"))

    async def run() -> None:
        bench.provider.held = asyncio.Event()
        task = asyncio.create_task(bench.dispatcher.run())
        try:
            async with asyncio.timeout(20):
                await scene(bench)
        finally:
            task.cancel()

    asyncio.run(run())
    return bench


async def _until(true: Callable[[], object]) -> None:
    while not true():
        await asyncio.sleep(0.001)


def test_a_revoke_drops_calls_and_waits_for_none() -> None:
    async def scene(bench: Bench) -> None:
        bench.asks()
        await _until(lambda: bench.provider.calls)
        bench.dispatcher.stop()
        await bench.dispatcher.rested()
        assert bench.provider.held is not None
        bench.provider.held.set()
        await _until(lambda: not bench.dispatcher._tasks)

    assert not _running(scene).log.records


def test_a_call_is_made_as_soon_as_a_row_asks_for_it() -> None:
    async def scene(bench: Bench) -> None:
        assert bench.provider.held is not None
        bench.provider.held.set()
        bench.asks()
        await _until(lambda: bench.log.records)

    assert len(_running(scene).log.records) == 1


def test_a_call_that_takes_too_long_is_given_up() -> None:
    async def late() -> None:
        provider = ScriptedProvider(pending())
        provider.held = asyncio.Event()
        call = calls.call("saga", StepName.PAYMENT, asked(), BEGAN)
        with pytest.raises(TimeoutError):
            await Limited(provider, 0.01).do(call)

    asyncio.run(late())


def test_an_authorisation_is_seen_to_run_out_until_it_is_captured_or_let_go() -> None:
    bench = Bench(Answer(Outcome.DONE, "pi_1"))
    at = BEGAN // 1000
    bench.asks("late", state=State.DONE, capture_before=at + 3_600)
    bench.asks("soon", state=State.CAPTURING, capture_before=at + 60)
    bench.asks("far", state=State.DONE, capture_before=at + 500_000, provider="other")
    reading = bench.dispatcher.reading()
    assert reading.capture_before == {"stripe": at + 60, "other": at + 500_000}
    assert "an authorisation at stripe runs out in 1 min" in reading.in_words()
    assert "other" not in reading.in_words().replace("another", "")
    bench.asks("soon", state=State.CAPTURED, capture_before=at + 60)
    assert bench.dispatcher.reading().capture_before["stripe"] == at + 3_600
    bench.asks("late", state=State.UNDOING, capture_before=at + 3_600)
    assert "stripe" not in bench.dispatcher.reading().capture_before


def test_authorisations_are_known_after_a_restart() -> None:
    bench = Bench(Answer(Outcome.DONE, "pi_1"))
    store = MemoryStore()
    store.rows[b"o1"] = asked(state=State.DONE, capture_before=BEGAN // 1000 + 60).encode()
    bench.dispatcher.load(StepName.PAYMENT, store)
    assert bench.dispatcher.reading().capture_before == {"stripe": BEGAN // 1000 + 60}
    assert len(bench.dispatcher) == 0, "nothing is asked for"
    bench.dispatcher.stop()
    assert not bench.dispatcher.reading().capture_before


def test_a_provider_that_is_in_conflict_is_asked_again_seldom() -> None:
    bench = Bench(Answer(Outcome.UNDONE, "pi_1"))
    row = asked(state=State.CAPTURING, reference="pi_1")._replace(conflict="undone:pi_1")
    bench.dispatcher.changed(StepName.PAYMENT, {"o1": row})
    bench.turn()
    bench.now += LOST_AFTER
    bench.turn()
    assert len(bench.provider.calls) == 1
    bench.now += LONGEST_DELAY
    bench.turn()
    assert len(bench.provider.calls) == 2
