"""The rules that a service must keep, one function each: its name is the rule, and `Broken` says how it is broken."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

import aiohttp

from saga_app.core.outside import Action
from saga_app.core.records import Outcome
from saga_app.effects.check.kit import Broken, Kit
from saga_app.effects.contract import HttpAnswer, HttpCall

Rule = Callable[[Kit], Awaitable[None]]
#: Calls that come at the same time.
AT_ONCE: Final = 8


async def do_is_done_and_has_a_reference(kit: Kit) -> None:
    await kit.done()


async def a_verb_that_is_repeated_says_the_same(kit: Kit) -> None:
    call, _ = await kit.done()
    for action, outcome in (
        (Action.DO, Outcome.DONE),
        (Action.PREVENT, Outcome.DONE),
        (Action.UNDO, Outcome.UNDONE),
    ):
        for _ in range(3):
            _is(outcome, await kit.settle(call, action), action)


async def a_call_that_does_not_know_the_reference_yet_means_the_same_effect(kit: Kit) -> None:
    call, first = await kit.done()
    again = await kit.settle(
        call.model_copy(update={"reference": None, "tries": 3, "age": 90_000}), Action.DO
    )
    if again.reference != first.reference:
        raise Broken(f"do is done a second time: as {first.reference}, and as {again.reference}")
    await _once(kit, call)


async def do_at_once_is_done_once(kit: Kit) -> None:
    call = kit.call()
    answers = await asyncio.gather(*(kit.settle(call, Action.DO) for _ in range(AT_ONCE)))
    _agree(answers)
    _is(Outcome.DONE, answers[0], Action.DO)
    await _once(kit, call)


async def another_effect_of_the_same_order_is_another_effect(kit: Kit) -> None:
    """An order id may be used again, years later."""
    call, first = await kit.done()
    again = await kit.settle(kit.call(like=call), Action.DO)
    if again.reference == first.reference:
        raise Broken(
            f"two effects have one reference, {first.reference}: the name of an effect tells them apart"
        )


async def prevent_seals(kit: Kit) -> None:
    """A `do` may be under way for long: it must find that it is too late."""
    call = kit.call()
    _is(Outcome.REFUSED, await kit.settle(call, Action.PREVENT), Action.PREVENT)
    _is(Outcome.REFUSED, await kit.settle(call, Action.DO), "do after prevent")
    _is(Outcome.REFUSED, await kit.settle(call, Action.UNDO), "undo after prevent")


async def do_and_prevent_at_once_agree(kit: Kit) -> None:
    for _ in range(AT_ONCE):
        call = kit.call()
        actions = (Action.DO, Action.PREVENT) * 2
        _agree(await asyncio.gather(*(kit.settle(call, action) for action in actions)))


async def undo_of_an_effect_that_never_was_seals_too(kit: Kit) -> None:
    call = kit.call()
    _is(Outcome.REFUSED, await kit.settle(call, Action.UNDO), "undo before do")
    _is(Outcome.REFUSED, await kit.settle(call, Action.DO), "do after undo")


async def an_effect_that_is_undone_stays_so(kit: Kit) -> None:
    call, _ = await kit.done()
    answers = await asyncio.gather(*(kit.settle(call, Action.UNDO) for _ in range(AT_ONCE)))
    for answer in answers:
        _is(Outcome.UNDONE, answer, Action.UNDO)
    for action in (Action.DO, Action.PREVENT):
        _is(Outcome.UNDONE, await kit.settle(call, action), f"{action} after undo")
    await _once(kit, call)


async def an_effect_is_found_as_it_is_now(kit: Kit) -> None:
    call, answer = await kit.done()
    for outcome in (Outcome.DONE, Outcome.UNDONE):
        found = await kit.look(call.effect)
        if found is None:
            raise Broken("GET of an effect that is done is answered with 404")
        if (found.outcome, found.reference) != (outcome, answer.reference):
            raise Broken(
                f"GET says {found.outcome} {found.reference}, and it is {outcome} {answer.reference}"
            )
        if (found.effect, found.order_id, found.segment) != (call.effect, call.order.order_id, call.segment):
            raise Broken("GET has not the effect, order_id and segment of the call")
        await kit.settle(call, Action.UNDO)


async def an_effect_that_nobody_asked_for_is_not_found(kit: Kit) -> None:
    if await kit.look(kit.call().effect) is not None:
        raise Broken("GET of an effect that nobody asked for is not answered with 404")


async def the_ledger_has_each_effect_once(kit: Kit) -> None:
    sealed = kit.call()
    await kit.settle(sealed, Action.PREVENT)
    call, _ = await kit.done()
    await _once(kit, call)
    await _once(kit, sealed, at_least=0)
    if await kit.ledger(kit.began + timedelta(days=3650)):
        raise Broken("the ledger since a time in the future is not empty")


async def a_new_field_of_a_call_is_ignored(kit: Kit) -> None:
    """The next release of the saga may send more."""
    call = kit.call()
    body = call.model_dump_json(exclude_none=True)
    status, text = await kit.post(f"/{kit.step}/do", '{"new_field":{"a":1},' + body[1:], call.effect)
    if status != 200:
        raise Broken(f"a call with a field that is new is answered with status {status}: {text[:200]!r}")


async def what_is_no_call_is_an_error_of_the_caller(kit: Kit) -> None:
    for body in ("", "{}", "[1]", '{"effect":', "\x00"):
        status, _ = await kit.post(f"/{kit.step}/do", body, "check:nothing")
        if not 400 <= status < 500:
            raise Broken(f"the body {body!r} is answered with status {status}, and not with 4xx")


async def without_the_token_nothing_is_told(kit: Kit) -> None:
    if not kit.token:
        return
    call = kit.call()
    for token in ("", "wrong"):
        body = call.model_dump_json(exclude_none=True)
        status, _ = await kit.post(f"/{kit.step}/do", body, call.effect, token=token)
        if status not in (401, 403):
            raise Broken(
                f"a call {'with a wrong' if token else 'without a'} token is answered with status {status}"
            )
    if await kit.look(call.effect) is not None:
        raise Broken("a call with a wrong token has an effect")


RULES: Final[tuple[Rule, ...]] = (
    do_is_done_and_has_a_reference,
    a_verb_that_is_repeated_says_the_same,
    a_call_that_does_not_know_the_reference_yet_means_the_same_effect,
    do_at_once_is_done_once,
    another_effect_of_the_same_order_is_another_effect,
    prevent_seals,
    do_and_prevent_at_once_agree,
    undo_of_an_effect_that_never_was_seals_too,
    an_effect_that_is_undone_stays_so,
    an_effect_is_found_as_it_is_now,
    an_effect_that_nobody_asked_for_is_not_found,
    the_ledger_has_each_effect_once,
    a_new_field_of_a_call_is_ignored,
    what_is_no_call_is_an_error_of_the_caller,
    without_the_token_nothing_is_told,
)


async def what_is_authorised_is_captured_once(kit: Kit) -> None:
    call, first = await _authorised(kit)
    answers = await asyncio.gather(*(kit.settle(call, Action.CAPTURE) for _ in range(AT_ONCE)))
    _agree([first.model_copy(update={"outcome": Outcome.CAPTURED}), *answers])
    for action in (Action.DO, Action.PREVENT, Action.CAPTURE):
        _is(Outcome.CAPTURED, await kit.settle(call, action), f"{action} after capture")
    await _once(kit, call)


async def an_authorisation_that_is_let_go_is_not_captured(kit: Kit) -> None:
    call, _ = await _authorised(kit)
    _is(Outcome.UNDONE, await kit.settle(call, Action.UNDO), Action.UNDO)
    _is(Outcome.UNDONE, await kit.settle(call, Action.CAPTURE), "capture after undo")


async def what_was_never_authorised_is_not_captured(kit: Kit) -> None:
    call = kit.call().model_copy(update={"authorise": True})
    _is(Outcome.REFUSED, await kit.settle(call, Action.PREVENT), Action.PREVENT)
    _is(Outcome.REFUSED, await kit.settle(call, Action.CAPTURE), "capture after prevent")


#: For a service of payments that are authorised, and captured later.
CAPTURE_RULES: Final[tuple[Rule, ...]] = (
    what_is_authorised_is_captured_once,
    an_authorisation_that_is_let_go_is_not_captured,
    what_was_never_authorised_is_not_captured,
)


async def _authorised(kit: Kit) -> tuple[HttpCall, HttpAnswer]:
    call = kit.call().model_copy(update={"authorise": True})
    answer = await kit.settle(call, Action.DO)
    _is(Outcome.DONE, answer, "do with `authorise`")
    return call.model_copy(update={"reference": answer.reference}), answer


async def broken(rule: Rule, kit: Kit) -> str | None:
    """How the service breaks a rule; None if it keeps it."""
    try:
        await rule(kit)
    except Broken as error:
        return str(error)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return f"no answer: {type(error).__name__} {error}".strip()
    return None


def sentence(rule: Callable[..., Awaitable[None]]) -> str:
    """The rule in words."""
    return rule.__name__.replace("_", " ")


def _is(outcome: Outcome, answer: HttpAnswer, what: str) -> None:
    if answer.outcome is not outcome:
        raise Broken(f"{what} is answered with {answer.outcome}, and not with {outcome}")


def _agree(answers: list[HttpAnswer]) -> None:
    told = {(answer.outcome, answer.reference) for answer in answers}
    if len(told) > 1:
        raise Broken(
            f"calls at once are answered differently: {', '.join(sorted(' '.join(map(str, each)) for each in told))}"
        )


async def _once(kit: Kit, call: HttpCall, at_least: int = 1) -> None:
    found = [each for each in await kit.ledger() if each.order_id == call.order.order_id]
    if not at_least <= len(found) <= 1:
        raise Broken(f"the ledger has {len(found)} effects of an order with one")
    if found and (found[0].effect, found[0].segment) != (call.effect, call.segment):
        raise Broken("the ledger has not the effect and segment of the call")
