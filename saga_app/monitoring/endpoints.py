"""`/livez`, `/readyz` and `/metrics` on the worker's web server."""

from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from saga_app import urls
from saga_app.effects.dispatcher import dispatcher_of
from saga_app.engine.faust.app import SagaApp
from saga_app.health.read import HealthWatch
from saga_app.monitoring import metrics
from saga_app.monitoring.counts import Counts
from saga_app.monitoring.effects import EffectsCollector
from saga_app.monitoring.health import health
from saga_app.monitoring.system import SystemCollector
from saga_app.settings import Settings
from saga_app.times import now

#: The start of this process, in milliseconds since 1970.
STARTED: Final = now()


def attach(server: web.Application, app: SagaApp, counts: Counts, watch: HealthWatch) -> None:
    """Adds the routes of a worker."""

    async def ready(request: web.Request) -> web.Response:
        found = health(app)
        return web.json_response(found.as_json(), status=200 if found.ready else 503)

    server.router.add_get(urls.IS_READY, ready)
    of_worker = metrics.WorkerCollector(app.engine, counts, lambda: health(app))
    of_effects = EffectsCollector(lambda: dispatcher_of(app.engine))
    _attach_metrics(server, app.settings, watch, of_worker, of_effects)


def attach_without_worker(server: web.Application, settings: Settings, watch: HealthWatch) -> None:
    """Adds the routes of `saga pages`; it is ready when it is alive."""
    _attach_metrics(server, settings, watch)


def _attach_metrics(
    server: web.Application, settings: Settings, watch: HealthWatch, *collectors: Collector
) -> None:
    registry = metrics.registry(*collectors, SystemCollector(watch.latest, settings.data_dir))

    async def alive(request: web.Request) -> web.Response:
        """An answer proves that the process and its main loop run."""
        return web.json_response({"alive": True, "started": STARTED})

    async def measured(request: web.Request) -> web.Response:
        await watch.fresh()
        return web.Response(body=metrics.text(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    server.router.add_get(urls.IS_ALIVE, alive)
    server.router.add_get(urls.METRICS, measured)
