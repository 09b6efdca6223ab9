"""Routes of dead letters: list, show, replay, dismiss."""

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request, Security

from saga_app.api.access import Caller
from saga_app.api.bodies import read_fields
from saga_app.api.models import (
    Dismissal,
    LetterDocument,
    LetterPage,
    Replay,
    Replayed,
)
from saga_app.api.orders import LARGEST_PAGE, PAGE
from saga_app.api.parts import Parts
from saga_app.api.problems import Problem, ProblemField, responses
from saga_app.api.schemas import body_of
from saga_app.core.errors import Fault, Rejected
from saga_app.dead_letters import actions
from saga_app.dead_letters.format import LetterId
from saga_app.dead_letters.letter import bytes_as_json
from saga_app.orderdb import queries
from saga_app.orderdb.queries.orders import Listed
from saga_app.redaction import has_card_number
from saga_app.times import written
from saga_app.tokens import TokenScope

LETTERS: Final = "/v1/dead-letters"
LETTER: Final = LETTERS + "/{letter_id}"
LetterPath = Annotated[
    str,
    Path(
        description="TOPIC:PARTITION:OFFSET of the original.",
        pattern=r"^[a-z_]+:[0-9]+:[0-9]+$",
        max_length=80,
    ),
]


def router(parts: Parts) -> APIRouter:
    """The routes."""
    routes = APIRouter(tags=["dead letters"])
    operate_scope = Security(parts.rules.caller, scopes=[TokenScope.OPERATE])
    read_scope = Security(parts.rules.caller, scopes=[TokenScope.READ])

    @routes.get(LETTERS, response_model=LetterPage, responses=responses(404))
    async def list_dead_letters(
        by: Annotated[Caller, read_scope],
        reason: Annotated[str, Query(max_length=40)] = "",
        settled: Annotated[bool, Query(description="Those too that were sent again or dismissed.")] = False,
        before: Annotated[str, Query(description="The last letter of the page before.", max_length=80)] = "",
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = PAGE,
    ) -> LetterPage:
        """List dead letters, newest first, from the order database."""
        last = place(before, "before") if before else None
        found = await parts.database.query(
            lambda each: queries.dead_letters.page(each, limit + 1, reason, last, settled=settled)
        )
        following = None
        if len(found) > limit:
            given = {"reason": reason, "settled": "true" if settled else "", "limit": limit}
            asked = {name: value for name, value in given.items() if value}
            following = f"{LETTERS}?{urlencode({**asked, 'before': found[limit - 1]['id']})}"
        return LetterPage(dead_letters=[_document(each) for each in found[:limit]], next=following)

    @routes.get(LETTER, response_model=LetterDocument, responses=responses(404))
    async def get_dead_letter(letter_id: LetterPath, by: Annotated[Caller, read_scope]) -> LetterDocument:
        """Show a dead letter with its bytes."""
        wanted = place(letter_id)
        found = await parts.database.query(lambda each: queries.dead_letters.one(each, wanted))
        if found is None:
            raise Problem(HTTPStatus.NOT_FOUND, "not_found", f"{wanted} is not in the order database")
        return _document(found)

    @routes.post(
        LETTER + "/replay",
        response_model=Replayed,
        responses=responses(404, 408, 409, 413, 415),
        openapi_extra=body_of(Replay, required=False),
    )
    async def replay_dead_letter(
        request: Request, letter_id: LetterPath, by: Annotated[Caller, operate_scope]
    ) -> Replayed:
        """Send the record of a dead letter again, and settle the letter."""
        force = (await read_fields(request, Replay)).force
        settings = replace(parts.settings, actor=by.actor)
        (sent_to,) = await parts.kafka(actions.replay, settings, [place(letter_id)], force=force)
        return Replayed(sent_to=list(map(str, sent_to)))

    @routes.post(
        LETTER + "/dismiss",
        status_code=HTTPStatus.NO_CONTENT,
        responses=responses(404, 408, 413, 415),
        openapi_extra=body_of(Dismissal),
    )
    async def dismiss_dead_letter(
        request: Request, letter_id: LetterPath, by: Annotated[Caller, operate_scope]
    ) -> None:
        """Settle a dead letter without sending it again."""
        note = (await read_fields(request, Dismissal)).note
        if has_card_number([note]):
            raise Rejected(Fault.CARD_NUMBER, "the note holds a card number; leave it out")
        settings = replace(parts.settings, actor=by.actor)
        await parts.kafka(actions.dismiss, settings, [place(letter_id)], note)

    return routes


def place(text: str, parameter: str = "letter_id") -> LetterId:
    """The place of a record. Raises `Problem`."""
    found = LetterId.parse(text)
    if found is None:
        wrong = ProblemField(parameter=parameter, detail="is no place of a record, TOPIC:PARTITION:OFFSET")
        detail = f"{parameter}: {wrong.detail}"
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", detail, [wrong])
    return found


def _document(row: Listed) -> LetterDocument:
    return LetterDocument.model_validate(
        {
            **{name: row[name] for name in ("id", "reason", "detail", "replay_of")},
            **{name: written(row[name]) for name in ("time", "sent")},
            **bytes_as_json("key", row["key"]),
            **bytes_as_json("value", row["value"]),
            "replayed": [written(each["time"]) for each in row["replays"]],
            "dismissed": [each["note"] for each in row["dismissals"]],
        }
    )
