"""The application: all routes of one process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI

from saga_app import __version__
from saga_app.api import documentation, events, letters, orders, probes, problems, provider_events, supply
from saga_app.api.access import AccessMiddleware
from saga_app.api.parts import Parts
from saga_app.api.schemas import openapi
from saga_app.effects.configured import close
from saga_app.orderdb.queries import reading

OPENAPI: Final = "/openapi.json"


def create_app(parts: Parts) -> FastAPI:
    """The application; it connects when it starts, and gives its connections up when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        parts.outcomes.start(await _copied(parts))
        try:
            yield
        finally:
            await parts.publisher.close()
            await parts.outcomes.close()
            await parts.database.close()
            parts.health.close()
            for provider in parts.providers.values():
                await close(provider)

    app = FastAPI(
        title="checkout-saga",
        version=__version__,
        lifespan=lifespan,
        openapi_url=OPENAPI,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    problems.install(app)
    for router in (
        orders.router(parts),
        events.router(parts),
        supply.router(parts),
        letters.router(parts),
        provider_events.router(parts),
        probes.router(parts),
        documentation.router(),
    ):
        app.include_router(router)
    app.mount(documentation.STATIC, documentation.static_files())
    app.add_middleware(AccessMiddleware, settings=parts.settings)
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]
    return app


async def _copied(parts: Parts) -> dict[Any, int]:
    """The positions of the order database: endings behind them are not in it, so they are read from the topic."""
    try:
        return await parts.database.query(reading.positions)
    except Exception:
        # It is not there, or does not answer. Endings from now on are heard all the same.
        return {}
