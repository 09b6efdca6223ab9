"""Attaches the pages to the worker's web server; what they need beyond a worker's packages is imported when asked."""

import asyncio
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from saga_app.settings import Settings
from saga_app.web.access import Guard

STATIC: Final = Path(__file__).parent / "static"
_EXTRA: Final = ("jinja2", "markupsafe", "sqlalchemy", "alembic", "aiosqlite", "asyncpg", "greenlet")


def attach(application: web.Application, settings: Settings, stops: Callable[[], bool]) -> None:
    """Adds routes, checks and headers; `stops` says whether the worker is about to end."""
    guard = Guard(settings)
    application.middlewares.append(guard.middleware)
    # `/orders` is `/orders/`.
    application.middlewares.append(web.normalize_path_middleware(append_slash=True, merge_slashes=False))
    application.on_response_prepare.append(guard.prepare)
    site = _Site(settings, guard, stops)
    application.router.add_static("/static/", STATIC)
    for path in (
        "/",
        "/orders/",
        "/orders/{name}/",
        "/stock/",
        "/stock/{name}/",
        "/accounts/",
        "/accounts/{name}/",
        "/dead-letters/",
        "/dead-letters/{name}/",
        "/topology/",
        "/records/{topic}/{partition}/{offset}/",
        "/live/",
        "/live/orders/{name}/",
    ):
        application.router.add_get(path, site.answer)
    for path in (
        "/orders/{name}/cancel",
        "/orders/{name}/nudge",
        "/dead-letters/{name}/dry-run",
        "/dead-letters/{name}/replay",
    ):
        application.router.add_post(path, site.answer)
    application.on_cleanup.append(site.close)


class _Site:
    """Loads the pages with the first request, in a thread: SQLAlchemy alone takes half a second."""

    def __init__(self, settings: Settings, guard: Guard, stops: Callable[[], bool]) -> None:
        self._make = (settings, guard, stops)
        self._loading = asyncio.Lock()
        self._pages: Any = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        try:
            pages = await self._load()
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in _EXTRA:
                raise
            return web.Response(
                status=503,
                text=f"The pages need the package {package}; in the folder of this project: pip install '.[orders]'\n"
                "The tables are at /table/, without it.\n",
            )
        answer: web.StreamResponse = await pages.answer(request)
        return answer

    async def close(self, application: web.Application) -> None:
        """Gives up the database's connections."""
        if self._pages is not None:
            await self._pages.close()

    async def _load(self) -> Any:
        async with self._loading:
            if self._pages is None:
                module = await asyncio.to_thread(import_module, "saga_app.web.pages")
                self._pages = module.Pages(*self._make)
            return self._pages
