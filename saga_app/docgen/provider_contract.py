"""The contract of the HTTP provider as OpenAPI, made from the types themselves."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml
from pydantic.json_schema import models_json_schema

import saga_app
from saga_app.core.outside import Action
from saga_app.core.route import STEPS
from saga_app.effects import contract

DOCUMENT: Final = "docs/reference/provider.yaml"
_SCHEMAS: Final = "#/components/schemas/"
#: By verb: what the service does, and what it answers in the end.
VERBS: Final[Mapping[Action, tuple[str, str]]] = {
    Action.DO: (
        "Make the effect happen.",
        "`done` with a reference; `refused` if it will never be; what is known if the effect was asked for before.",
    ),
    Action.PREVENT: (
        "Make sure that the effect does not happen, or find that it has.",
        "`refused` once it is sealed: a `do` that is still under way must find that too. `done` if it has happened.",
    ),
    Action.UNDO: (
        "Take back what has happened.",
        "`undone` once all of it is taken back. `refused` if it never happened, and then it is sealed.",
    ),
    Action.CAPTURE: (
        "Take the money that `do` has authorised, all of it; only asked for a payment with `authorise`.",
        "`captured` once it is taken. `undone` or `refused` if there is no authorisation: people are called.",
    ),
}
_DESCRIPTION: Final = (
    "The saga asks this of a service that has the effects of a step. Every call may come any number of times, from two "
    "workers at once, late, and after other calls about the same effect: remember each effect under its name, durably, "
    "before you answer. An answer is a fact about the effect, and not the result of the call. Any answer but 200 says "
    "nothing about the effect, and the call is made again: after 429 and 5xx not before `Retry-After`. 4xx calls "
    "people too, since the caller is wrong. `saga provider-check` tries a service."
)


def files() -> Iterator[tuple[str, str]]:
    """Path from the root and content of the file."""
    yield DOCUMENT, yaml.safe_dump(openapi(), sort_keys=False, allow_unicode=True, width=120)


def openapi() -> dict[str, Any]:
    """OpenAPI 3.1."""
    models = (contract.HttpCall, contract.HttpAnswer, contract.HttpEffect, contract.Ledger)
    _, schemas = models_json_schema(
        [(model, "validation") for model in models], ref_template=_SCHEMAS + "{model}"
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Provider of the effects of a step",
            "version": saga_app.__version__,
            "description": _DESCRIPTION,
        },
        "security": [{}, {"token": []}],
        "paths": {
            **{f"/{{step}}/{action}": {"post": _verb(action)} for action in Action},
            "/{step}/effects/{effect}": {"get": _look()},
            "/effects": {"get": _ledger()},
        },
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": dict(sorted(schemas["$defs"].items())),
        },
    }


def _verb(action: Action) -> dict[str, Any]:
    does, answers = VERBS[action]
    key = f"The name of the effect, a colon and `{action}`. If you keep answers by it, keep none that is `pending`."
    return {
        "operationId": str(action),
        "summary": does,
        "parameters": [_step(), _parameter("Idempotency-Key", "header", key)],
        "requestBody": {"required": True, "content": _json("HttpCall")},
        "responses": {
            "200": {"description": answers, "content": _json("HttpAnswer")},
            "4XX": {
                "description": "The caller is wrong: nothing is known of the effect, and people are called."
            },
            "429": _not_now("Too many calls."),
            "5XX": _not_now("Not now: nothing is known of the effect."),
        },
    }


def _look() -> dict[str, Any]:
    return {
        "operationId": "look",
        "summary": "What is true of this effect now. It changes nothing, and seals nothing.",
        "parameters": [_step(), _parameter("effect", "path", "The name of the effect.")],
        "responses": {
            "200": {"description": "The effect.", "content": _json("HttpEffect")},
            "404": {"description": "Nobody has asked for this effect."},
        },
    }


def _ledger() -> dict[str, Any]:
    return {
        "operationId": "ledger",
        "summary": "Every effect of every step that was first asked for since then, for `saga reconcile`.",
        "parameters": [
            _parameter("since", "query", "A time in RFC 3339.", format="date-time"),
            _parameter("after", "query", "`next` of the page before.", required=False),
        ],
        "responses": {"200": {"description": "A page, oldest first.", "content": _json("Ledger")}},
    }


def _step() -> dict[str, Any]:
    steps = [str(step.name) for step in STEPS]
    return {"name": "step", "in": "path", "required": True, "schema": {"enum": steps}}


def _parameter(name: str, place: str, help: str, *, required: bool = True, **schema: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": required,
        "description": help,
        "schema": {"type": "string", **schema},
    }


def _json(model: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _SCHEMAS + model}}}


def _not_now(help: str) -> dict[str, Any]:
    header = {"description": "Seconds, or a date.", "schema": {"type": "string"}}
    return {"description": help, "headers": {"Retry-After": header}}
