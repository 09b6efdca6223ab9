"""Errors as problem details (RFC 9457): what is wrong, every wrong field, and whether to come back."""

import logging
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from confluent_kafka import KafkaException
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException

from saga_app.api.placing import OtherContent
from saga_app.client.publisher import QueueFull
from saga_app.client.results import RecordRefused
from saga_app.core.errors import Fault, Rejected
from saga_app.dead_letters.actions import LetterMissing
from saga_app.dead_letters.replay import NotReplayable
from saga_app.kafka.broker_errors import in_words as kafka_words
from saga_app.kafka.sender import DeliveryUnknown
from saga_app.kafka.topic_admin import BrokerUnreachable, TopicsWrong
from saga_app.orderdb.database import DatabaseWrong, in_words, is_down
from saga_app.wire import FieldsRejected, masked
from saga_app.wrong_fields import WrongField

_LOG: Final = logging.getLogger(__name__)
MEDIA_TYPE: Final = "application/problem+json"
#: Seconds after which a caller should come back, where nothing better is known.
COME_BACK: Final = 5
_OF_FAULT: Final = {
    Fault.UNREADABLE: HTTPStatus.BAD_REQUEST,
    Fault.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Fault.DIFFERENT_CONTENT: HTTPStatus.CONFLICT,
    Fault.CONTRADICTION: HTTPStatus.CONFLICT,
    Fault.UNKNOWN_ORDER: HTTPStatus.NOT_FOUND,
}


class ProblemField(BaseModel):
    """A wrong field of the body, by JSON Pointer, or a wrong parameter, by name."""

    pointer: str | None = Field(None, examples=["/lines/0/quantity"])
    parameter: str | None = None
    detail: str = Field(examples=["must be a whole number"])


class ProblemDetails(BaseModel):
    """RFC 9457. `code` is for programs: it stays the same when the sentence becomes a better one."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
    errors: list[ProblemField] = []


class Problem(Exception):
    """An answer that is an error."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        errors: Sequence[ProblemField] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = HTTPStatus(status)
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = headers or {}

    def response(self) -> JSONResponse:
        """The answer."""
        details = ProblemDetails(
            title=self.status.phrase,
            status=self.status,
            code=self.code,
            detail=self.detail,
            errors=list(self.errors),
        )
        return JSONResponse(
            details.model_dump(exclude_none=True),
            status_code=self.status,
            headers={"Cache-Control": "no-store", **self.headers},
            media_type=MEDIA_TYPE,
        )


def later(code: str, detail: str, seconds: int = COME_BACK) -> Problem:
    """The caller should send the same again after so many seconds."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, code, detail, headers={"Retry-After": str(seconds)})


def problem_of(error: Exception) -> Problem:
    """The answer to an error. One that nobody expects goes to the log, and says nothing to the caller."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, Rejected):
        return _of_rejected(error)
    if isinstance(error, RecordRefused):
        status = _OF_FAULT.get(Fault(error.reason), HTTPStatus.CONFLICT) if error.reason in {*Fault} else 409
        return Problem(status, error.reason, error.detail)
    if isinstance(error, OtherContent):
        return Problem(HTTPStatus.CONFLICT, Fault.DIFFERENT_CONTENT, str(error))
    if isinstance(error, NotReplayable):
        return Problem(HTTPStatus.CONFLICT, "not_replayable", str(error))
    if isinstance(error, LetterMissing):
        return Problem(HTTPStatus.NOT_FOUND, "not_found", str(error))
    if isinstance(error, RequestValidationError):
        return _of_parameters(error)
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        headers = dict(error.headers or {})
        return Problem(status, status.phrase.lower().replace(" ", "_"), str(error.detail), headers=headers)
    return _unavailable(error)


def install(app: FastAPI) -> None:
    """Every error of this application becomes a problem."""

    async def respond(request: Request, error: Exception) -> JSONResponse:
        return problem_of(error).response()

    for kind in (HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, respond)
    # Starlette looks for the handler of the nearest class; that of `Exception` is for errors which end the request.
    for kind in _EXPECTED:
        app.add_exception_handler(kind, respond)


_EXPECTED: Final[tuple[type[Exception], ...]] = (
    Problem,
    Rejected,
    RecordRefused,
    OtherContent,
    NotReplayable,
    LetterMissing,
    QueueFull,
    DeliveryUnknown,
    BrokerUnreachable,
    TopicsWrong,
    KafkaException,
    TimeoutError,
    DatabaseWrong,
    SQLAlchemyError,
    OSError,
)


def _unavailable(error: Exception) -> Problem:
    match error:
        case QueueFull():
            return later("queue_full", str(error), 1)
        case DeliveryUnknown():
            return later("delivery_unknown", str(error))
        case BrokerUnreachable() | TopicsWrong():
            return later("kafka_unavailable", str(error))
        case KafkaException():
            return later("kafka_unavailable", kafka_words(error))
        case DatabaseWrong():
            return later("order_database_unavailable", str(error))
        case TimeoutError():
            return later("kafka_unavailable", str(error) or "Kafka does not answer")
    if is_down(error):
        return later("order_database_unavailable", in_words(error))
    _LOG.error("a request failed", exc_info=error)
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "failed", "This request failed; the log of the API says why."
    )


def _of_rejected(error: Rejected) -> Problem:
    status = _OF_FAULT.get(error.fault, HTTPStatus.UNPROCESSABLE_ENTITY)
    errors = [_field(each) for each in error.fields] if isinstance(error, FieldsRejected) else []
    return Problem(status, error.fault, error.detail, errors)


def _field(wrong: WrongField) -> ProblemField:
    pointer = "".join(f"/{str(each).replace('~', '~0').replace('/', '~1')}" for each in wrong.path)
    return ProblemField(pointer=pointer, detail=wrong.why)


def _of_parameters(error: RequestValidationError) -> Problem:
    found: list[ProblemField] = []
    for each in error.errors():
        # Where it stands (query, path, header), its name, and the place in a list.
        name = masked(str(each["loc"][1] if len(each["loc"]) > 1 else each["loc"]))
        found.append(ProblemField(parameter=name, detail=each["msg"]))
    detail = "; ".join(f"{each.parameter}: {each.detail}" for each in found)
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", detail, found)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer with, for OpenAPI; those of every route are among them."""
    every = (400, 401, 403, 421, 422, 429, 500, 503)
    schema = {"$ref": f"#/components/schemas/{ProblemDetails.__name__}"}
    found: dict[int | str, dict[str, Any]] = {}
    for status in sorted({*every, *statuses}):
        found[status] = {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        if status in (429, 503):
            found[status]["headers"] = {
                "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}
            }
    return found
