"""Steps, dispatchers and adapters that trust a provider too much, or themselves."""

from typing import Any

import pytest

from saga_app.core import outside, outside_step, participant
from saga_app.core.decider import Decision, Position
from saga_app.core.machine import Transition
from saga_app.core.outside import OutsideInput, OutsideOutput, OutsideTransition
from saga_app.core.outside_step import OutsideStep
from saga_app.core.records import Outcome, Reason, StepAnswered, StepName, StepRequest
from saga_app.core.rows import JournalRow, OutsideEffect, State
from saga_app.effects import calls, dispatcher
from saga_app.effects.dispatcher import Dispatcher
from saga_app.effects.ports import Answer, Call
from saga_app.engine.durability import Durability
from tests.simulation.adapters import Intents, Keyed, fact
from tests.simulation.remote import NotFound, ProviderRequest, ThingStatus


def _transition(
    patch: pytest.MonkeyPatch, state: State | None, kind: OutsideInput, transition: OutsideTransition
) -> None:
    """Another transition, in steps that are made before and after."""
    for name in ("MACHINE", "PIVOT_MACHINE", "CAPTURE_MACHINE"):
        machine = getattr(outside_step, name)
        patch.setitem(machine, state, {**machine[state], kind: transition})


def it_calls_before_the_row_is_durable(patch: pytest.MonkeyPatch) -> None:
    """A row is watched from when it is durable."""
    make_durable = Durability.make_durable

    async def hasty(self: Durability, spans: Any, sends: Any) -> None:
        for span in spans:
            self.applied(span.partition, self.states[span.partition].changed())
        await make_durable(self, spans, sends)

    patch.setattr(Durability, "make_durable", hasty)


def a_time_out_is_a_refusal(patch: pytest.MonkeyPatch) -> None:
    """An exception says nothing."""
    ask = Dispatcher._ask

    async def sure(self: Dispatcher, call: Call, effect: Any) -> Any:
        answer, record, has_answered = await ask(self, call, effect)
        if has_answered:
            return answer, record, has_answered
        refused = answer._replace(outcome=Outcome.REFUSED)
        return refused, calls.answered(call, refused, effect.row.version), True

    patch.setattr(Dispatcher, "_ask", sure)


def each_attempt_has_a_key_of_its_own(patch: pytest.MonkeyPatch) -> None:
    """A key is the same at every attempt."""
    call = calls.call

    def another(app_id: str, step: Any, row: JournalRow, now: int) -> Call:
        made = call(app_id, step, row, now)
        return made._replace(effect=f"{made.effect}:{made.tries}")

    patch.setattr(calls, "call", another)


def an_action_under_way_is_refused_at_once(patch: pytest.MonkeyPatch) -> None:
    """Whoever turns round while a provider is asked must find out first: PREVENTING."""
    back = OutsideTransition(State.REFUSED, OutsideOutput.SEND_BACK)
    _transition(patch, State.DOING, OutsideInput.UNDO, back)


def it_is_sent_back_before_it_is_undone(patch: pytest.MonkeyPatch) -> None:
    """An order is never told cancelled while its money is not known to be back."""
    back = OutsideTransition(State.UNDONE, OutsideOutput.SEND_BACK)
    _transition(patch, State.DONE, OutsideInput.UNDO, back)


def an_effect_that_should_be_prevented_stays(patch: pytest.MonkeyPatch) -> None:
    """An effect that is found done when it should be prevented is undone."""
    back = OutsideTransition(State.REFUSED, OutsideOutput.SEND_BACK)
    _transition(patch, State.PREVENTING, OutsideInput.DONE, back)


def the_reference_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """A later call knows what an earlier one learned."""
    asked_anew = OutsideEffect.asked_anew
    patch.setattr(OutsideEffect, "asked_anew", lambda self: asked_anew(self)._replace(reference=None))


def an_answer_counts_for_a_later_question(patch: pytest.MonkeyPatch) -> None:
    """An answer that says nothing counts for the row that asked, and for no later one."""
    answered = OutsideStep.answered

    def gullible(self: OutsideStep, record: StepAnswered, row: JournalRow | None, at: Position) -> Decision:
        update = {} if row is None else {"version": row.version}
        return answered(self, record.model_copy(update=update), row, at)

    patch.setattr(OutsideStep, "answered", gullible)


def an_answer_about_another_thing_counts(patch: pytest.MonkeyPatch) -> None:
    """An answer is about one reference at the provider."""
    answered = OutsideStep.answered

    def careless(self: OutsideStep, record: StepAnswered, row: JournalRow | None, at: Position) -> Decision:
        if row is not None and row.outside is not None and row.outside.reference is not None:
            record = record.model_copy(update={"reference": row.outside.reference})
        return answered(self, record, row, at)

    patch.setattr(OutsideStep, "answered", careless)


def an_answer_of_an_earlier_order_counts(patch: pytest.MonkeyPatch) -> None:
    """The segment says which of the orders that ever had this id is meant."""
    answered = OutsideStep.answered

    def careless(self: OutsideStep, record: StepAnswered, row: JournalRow | None, at: Position) -> Decision:
        if row is not None and row.outside is not None:
            reference = row.outside.reference or record.reference
            record = record.model_copy(update={"segment": row.segment, "reference": reference})
        return answered(self, record, row, at)

    patch.setattr(OutsideStep, "answered", careless)


def an_undo_is_not_tried_again(patch: pytest.MonkeyPatch) -> None:
    """A call is made again until the row asks no more."""
    watch = Dispatcher._watch

    def once(self: Dispatcher, effect: Any, due: int) -> None:
        is_again = effect.row.state is State.UNDOING and effect.outside.tries
        watch(self, effect, due + (10**12 if is_again else 0))

    patch.setattr(Dispatcher, "_watch", once)


def a_lost_answer_is_not_asked_for_again(patch: pytest.MonkeyPatch) -> None:
    """An answer can get lost like any other record."""
    patch.setattr(dispatcher, "LOST_AFTER", 10**12)


def rows_that_ask_are_forgotten_at_a_restart(patch: pytest.MonkeyPatch) -> None:
    """At an assignment one scan finds the rows that ask."""
    patch.setattr(Dispatcher, "load", lambda self, step, store: None)


def a_declined_payment_is_not_cancelled(patch: pytest.MonkeyPatch) -> None:
    """Refused is said only where no request that is under way can have an effect any more."""
    cancel = Intents._cancel

    async def hopeful(self: Intents, look: ProviderRequest) -> Answer:
        found = await self.send(look)
        if found.status is ThingStatus.FAILED:
            return Answer(Outcome.REFUSED, found.thing)
        return await cancel(self, look)

    patch.setattr(Intents, "_cancel", hopeful)


def to_prevent_it_looks(patch: pytest.MonkeyPatch) -> None:
    """A thing that is not there yet may come: to look is not to prevent."""

    async def look(self: Keyed, call: Call) -> Answer:
        try:
            return fact(await self.send(ProviderRequest("find", call.order.order_id, segment=call.segment)))
        except NotFound:
            return Answer(Outcome.REFUSED)

    patch.setattr(Keyed, "prevent", look)


def a_forgotten_key_is_used(patch: pytest.MonkeyPatch) -> None:
    """With a key that may be forgotten it would be done twice."""
    do = Keyed.do

    async def trusting(self: Keyed, call: Call) -> Answer:
        return await do(self, call._replace(age=0))

    patch.setattr(Keyed, "do", trusting)


def it_is_confirmed_before_its_name_is_kept(patch: pytest.MonkeyPatch) -> None:
    """Nothing is confirmed whose name is not in the row."""
    do = Intents.do

    async def hasty(self: Intents, call: Call) -> Answer:
        answer = await do(self, call)
        if call.reference is not None:
            return answer
        return await do(self, call._replace(reference=answer.reference))

    patch.setattr(Intents, "do", hasty)


def an_undo_leaves_a_begun_payment(patch: pytest.MonkeyPatch) -> None:
    """A payment that a customer began must be prevented, although nobody was asked to do it."""
    back = OutsideTransition(State.VOID, OutsideOutput.SEND_BACK)
    _transition(patch, None, OutsideInput.BEGUN_UNDO, back)


def a_refusal_leaves_a_begun_payment(patch: pytest.MonkeyPatch) -> None:
    """The same where the rule refuses."""
    back = OutsideTransition(State.REFUSED, OutsideOutput.SEND_BACK)
    _transition(patch, None, OutsideInput.BEGUN_REFUSED, back)


def a_key_is_used_for_a_later_order(patch: pytest.MonkeyPatch) -> None:
    """A key names the effect among all that this application ever asks for."""
    call = calls.call

    def shorter(app_id: str, step: Any, row: JournalRow, now: int) -> Call:
        made = call(app_id, step, row, now)
        return made._replace(effect=f"{app_id}:{step}:{made.order.order_id}")

    patch.setattr(calls, "call", shorter)


def a_pending_refund_is_taken_for_done(patch: pytest.MonkeyPatch) -> None:
    """A refund that is on its way is not back."""
    undo = Keyed.undo

    async def hopeful(self: Keyed, call: Call) -> Answer:
        answer = await undo(self, call)
        return answer._replace(outcome=Outcome.UNDONE) if answer.outcome is Outcome.PENDING else answer

    patch.setattr(Keyed, "undo", hopeful)


def the_order_is_not_kept_while_a_provider_is_asked(patch: pytest.MonkeyPatch) -> None:
    """The row keeps the order: an answer carries none, and nothing could be sent on."""
    requested = OutsideStep.requested

    def forgetful(self: OutsideStep, record: StepRequest, row: JournalRow, at: Position) -> Decision:
        decision = requested(self, record, row, at)
        put = decision.journal
        if put is None or not isinstance(put.row, JournalRow) or put.row.outside is None:
            return decision
        gone = put.row._replace(outside=put.row.outside._replace(order=b"{}"))
        return decision._replace(journal=put._replace(row=gone))

    patch.setattr(OutsideStep, "requested", forgetful)


def settings_say_who_has_the_effect(patch: pytest.MonkeyPatch) -> None:
    """The row says for good who has the effect: what one provider was asked for is not undone at another."""
    changed = OutsideStep.requested

    def requested(self: OutsideStep, record: StepRequest, row: JournalRow, at: Position) -> Decision:
        decision = changed(self, record, row, at)
        put = decision.journal
        if put is None or not isinstance(put.row, JournalRow) or put.row.outside is None:
            return decision
        other = "keyed" if put.row.outside.provider == "intents" else "intents"
        moved = put.row._replace(outside=put.row.outside._replace(provider=other))
        return decision._replace(journal=put._replace(row=moved))

    patch.setattr(OutsideStep, "requested", requested)


def a_pending_action_is_taken_for_refused(patch: pytest.MonkeyPatch) -> None:
    """A payment that waits for its customer or a bank may still be taken."""
    answered = calls.answered

    def hurried(call: Call, answer: Answer, version: int | None = None) -> StepAnswered:
        if answer.outcome is Outcome.PENDING and call.reference is not None:
            answer = answer._replace(outcome=Outcome.REFUSED)
        return answered(call, answer, version)

    patch.setattr(calls, "answered", hurried)


def an_answer_goes_to_the_partition_of_its_order(patch: pytest.MonkeyPatch) -> None:
    """An answer carries the key of its step: payment is in partitions by customer."""
    answered = calls.answered

    def mistaken(call: Call, answer: Answer, version: int | None = None) -> StepAnswered:
        return answered(call, answer, version).model_copy(update={"key": call.order.order_id})

    patch.setattr(calls, "answered", mistaken)


def it_is_captured_before_the_pivot(patch: pytest.MonkeyPatch) -> None:
    """A payment that is captured later is only authorised."""
    do = Intents.do

    async def eager(self: Intents, call: Call) -> Answer:
        answer = await do(self, call)
        if answer.outcome is Outcome.DONE and call.captures_later:
            await self.capture(call)
        return answer

    patch.setattr(Intents, "do", eager)


def it_is_captured_twice(patch: pytest.MonkeyPatch) -> None:
    """A capture is of the thing that is held, and no new charge."""

    async def anew(self: Keyed, call: Call) -> Answer:
        order = call.order
        token = (order.payment_method or ":").partition(":")[2]
        book = ProviderRequest("book", order.order_id, None, call.key("capture"), token, call.segment)
        return fact(await self.send(book), later=True)._replace(reference=call.reference)

    patch.setattr(Keyed, "capture", anew)


def it_is_captured_in_part(patch: pytest.MonkeyPatch) -> None:
    """All of the money is captured."""

    async def some(self: Intents, call: Call) -> Answer:
        part = ProviderRequest("capture in part", call.order.order_id, call.reference, segment=call.segment)
        await self.send(part)
        return Answer(Outcome.CAPTURED, call.reference)

    patch.setattr(Intents, "capture", some)


def a_late_done_is_taken_for_a_capture(patch: pytest.MonkeyPatch) -> None:
    """`done` says that the money is authorised, and nothing more."""
    captured = OutsideTransition(State.CAPTURED, OutsideOutput.SEND_ON)
    states = outside.CAPTURE_MACHINE[State.CAPTURING]
    patch.setitem(
        outside.CAPTURE_MACHINE,
        State.CAPTURING,
        {**states, OutsideInput.DONE: captured},
    )


def a_capture_that_is_refused_cancels_the_order(patch: pytest.MonkeyPatch) -> None:
    """Behind the pivot there is only forward: whoever denies the authorisation is in conflict."""
    back = OutsideTransition(State.UNDONE, OutsideOutput.SEND_BACK)
    states, dated = outside.CAPTURE_MACHINE[State.CAPTURING], outside_step._dated

    def turned(changed: JournalRow, *rest: Any) -> JournalRow:
        row = dated(changed, *rest)
        return row._replace(reason=Reason.DECLINED, step=StepName.PAYMENT) if row.reason is None else row

    patch.setattr(outside_step, "_dated", turned)
    patch.setitem(
        outside.CAPTURE_MACHINE,
        State.CAPTURING,
        {**states, OutsideInput.UNDONE: back},
    )


def an_undo_goes_past_the_pivot(patch: pytest.MonkeyPatch) -> None:
    """A shipment that is booked is not undone: the order goes on to its capture."""
    shipped = participant.PIVOT_MACHINE[State.DONE]
    back = Transition(State.UNDONE, participant.StepOutput.SEND_BACK)
    patch.setitem(
        participant.PIVOT_MACHINE,
        State.DONE,
        {**shipped, participant.StepInput.UNDO: back},
    )
