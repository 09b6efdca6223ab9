"""`/livez` and `/readyz`."""

from http import HTTPStatus
from typing import Final

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from saga_app import urls
from saga_app.api.models import Alive, Readiness, dump
from saga_app.api.parts import Parts

_NO_ANSWER: Final = "no answer yet"


def router(parts: Parts) -> APIRouter:
    """The routes. They say nothing about orders, so they need no token."""
    routes = APIRouter(tags=["health"])

    @routes.get(urls.IS_ALIVE, response_model=Alive)
    async def is_alive() -> Alive:
        """The process and its loop run."""
        return Alive()

    @routes.get(
        urls.IS_READY,
        response_model=Readiness,
        responses={503: {"model": Readiness, "description": "No order can be taken."}},
    )
    async def is_ready() -> JSONResponse:
        """Orders can be taken and waited for. The order database is only told about."""
        found = await readiness(parts)
        status = HTTPStatus.OK if found.ready else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse(dump(found), status, {"Cache-Control": "no-store"})

    return routes


async def readiness(parts: Parts) -> Readiness:
    """As it is now."""
    if parts.stops:
        return Readiness(ready=False, why="it is about to end")
    readings = await parts.health.fresh()
    fault = _NO_ANSWER if readings is None else readings.kafka_fault
    if not fault and readings is not None and readings.kafka is not None:
        fault = readings.kafka.wrong_topics
    fault = fault or parts.outcomes.fault
    if fault:
        return Readiness(ready=False, why=fault)
    return Readiness(ready=True, why=readings.database_fault if readings else "")
