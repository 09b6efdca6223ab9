"""Attaches the pages to the web server of a worker, or of `saga pages`.

The pages need packages that workers do without, so they are imported with the first request.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from saga_app import urls
from saga_app.health.read import HealthWatch, load_database_packages
from saga_app.settings import Settings
from saga_app.web.access import AccessRules, Handler

FILES: Final = Path(__file__).parent / "static"
_EXTRA: Final = ("jinja2", "markupsafe", "sqlalchemy", "alembic", "aiosqlite", "asyncpg", "greenlet")


def attach(
    application: web.Application,
    settings: Settings,
    stops: Callable[[], bool],
    health: HealthWatch,
    *,
    has_tables: bool = True,
) -> AccessRules:
    """Adds routes, checks and headers, and returns the rules; `stops` is true when the process is about to end.

    Without `has_tables` the addresses of the tables say that only workers have them.
    """
    rules = AccessRules(settings)
    pages = _LazyPages(settings, rules, stops, health, has_tables=has_tables)
    application.middlewares.append(rules.middleware)
    application.middlewares.append(pages.no_page)
    # `/orders` leads to `/orders/`.
    application.middlewares.append(web.normalize_path_middleware(append_slash=True, merge_slashes=False))
    application.on_response_prepare.append(rules.prepare)
    for file in sorted(FILES.iterdir()):
        application.router.add_get(urls.STATIC + file.name, partial(_static, file))
    for path in (*urls.PAGES, *map(urls.live, (*urls.LIVE_PAGES, urls.HEALTH))):
        application.router.add_get(path, pages.respond)
    for page, actions in urls.ACTIONS.items():
        for action in actions:
            application.router.add_post(page + action, pages.respond)
    if rules.visitors.log_in:
        application.router.add_get(urls.LOGIN, pages.respond)
        application.router.add_post(urls.LOGIN, pages.respond)
        application.router.add_post(urls.LOGOUT, pages.respond)
    if not has_tables:
        application.router.add_get("/table/{rest:.*}", pages.respond)
    application.on_cleanup.append(pages.close)
    return rules


async def _static(file: Path, request: web.Request) -> web.StreamResponse:
    return web.FileResponse(file)


class _LazyPages:
    """Imports the pages with the first request, in a thread: SQLAlchemy alone takes half a second."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._arguments, self._options = arguments, options
        self._loading = asyncio.Lock()
        self._pages: Any = None

    async def respond(self, request: web.Request) -> web.StreamResponse:
        try:
            pages = await self._load()
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package not in _EXTRA:
                raise
            return web.Response(
                status=503,
                text=f"The pages need the package {package}; in the folder of this project: pip install '.[orders]'\n"
                f"The tables are at {urls.TABLES}, without it.\n",
            )
        response: web.StreamResponse = await pages.respond(request)
        return response

    @web.middleware
    async def no_page(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """A browser that asks for an address of nobody gets a page with the menu; programs get aiohttp's one line."""
        try:
            return await handler(request)
        except web.HTTPNotFound:
            is_nobodys = request.match_info.http_exception is not None
            if not is_nobodys or "text/html" not in request.headers.get("Accept", ""):
                raise
        return await self.respond(request)

    async def close(self, application: web.Application) -> None:
        """Closes the connections of the database."""
        if self._pages is not None:
            await self._pages.close()

    async def _load(self) -> Any:
        async with self._loading:
            if self._pages is None:
                await asyncio.to_thread(load_database_packages)
                module = await asyncio.to_thread(import_module, "saga_app.web.pages")
                self._pages = module.Pages(*self._arguments, **self._options)
            return self._pages
