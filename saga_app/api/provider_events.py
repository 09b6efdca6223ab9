"""The door for events of providers (webhooks): an event is verified, the provider is asked, and its answer is sent.

An event proves nothing but that something has changed: events come late, twice and in another order. So what goes into
the inbox is what the provider says now, and the rules of effects outside decide what it means.
"""

import logging
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel

from saga_app.api.bodies import read_bytes
from saga_app.api.parts import MOST_EVENTS, Parts
from saga_app.api.problems import Problem, later, responses
from saga_app.core.fields import PROVIDER
from saga_app.effects.ports import NoAnswer

_LOG: Final = logging.getLogger(__name__)
EVENTS: Final = "/v1/providers/{name}/events"
#: Who sent the record.
ACTOR: Final = "provider:{name}"


class TakenEvent(BaseModel):
    """`known`: the event is about an effect of ours, and what its provider says now is in the inbox."""

    known: bool


def router(parts: Parts) -> APIRouter:
    """The route; it has no token, as a provider signs its events."""
    routes = APIRouter(tags=["providers"])

    @routes.post(
        EVENTS,
        response_model=TakenEvent,
        responses=responses(400, 404, 408, 413),
        openapi_extra={
            "requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}
        },
    )
    async def provider_event(
        request: Request, name: str = Path(pattern=f"^{PROVIDER}$", max_length=32)
    ) -> TakenEvent:
        """Take an event of a provider, which signs it. It sends the event again unless the answer is 200."""
        provider = parts.providers.get(name)
        if provider is None:
            raise Problem(
                HTTPStatus.NOT_FOUND,
                "unknown_provider",
                f"SAGA_PROVIDERS of this API has no provider {name!r}",
            )
        body = await read_bytes(request)
        if parts.events.locked():
            raise later("busy", f"{MOST_EVENTS} events are being asked about")
        async with parts.events:
            try:
                record = await provider.event(body, request.headers)
            except ValueError as error:
                raise Problem(HTTPStatus.BAD_REQUEST, "not_an_event", str(error)) from None
            except (NoAnswer, TimeoutError, OSError) as error:
                _LOG.warning("provider %s sent an event and does not answer: %s", name, type(error).__name__)
                raise later("no_answer", f"{name} does not answer now") from None
            except Exception:
                # Whatever is wrong with one event, the provider sends it again; a worker asks without it.
                _LOG.exception("an event of provider %s cannot be asked about", name)
                raise later("no_answer", f"{name} cannot be asked about this now") from None
            if record is None:
                return TakenEvent(known=False)
            await parts.publisher.send(record, actor=ACTOR.format(name=name))
        return TakenEvent(known=True)

    return routes
