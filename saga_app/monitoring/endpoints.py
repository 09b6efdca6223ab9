"""`/livez`, `/readyz` and `/metrics` on the worker's web server."""

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from saga_app import urls
from saga_app.engine.faust.app import SagaApp
from saga_app.monitoring import metrics
from saga_app.monitoring.counts import Counts
from saga_app.monitoring.health import health


def attach(server: web.Application, app: SagaApp, counts: Counts) -> None:
    """Adds the routes."""
    registry = metrics.registry(app.engine, counts, lambda: health(app))

    async def alive(request: web.Request) -> web.Response:
        """An answer proves that the process and its main loop run."""
        return web.json_response({"alive": True})

    async def ready(request: web.Request) -> web.Response:
        found = health(app)
        return web.json_response(found.as_json(), status=200 if found.ready else 503)

    async def measured(request: web.Request) -> web.Response:
        return web.Response(body=metrics.text(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    server.router.add_get(urls.IS_ALIVE, alive)
    server.router.add_get(urls.IS_READY, ready)
    server.router.add_get(urls.METRICS, measured)
