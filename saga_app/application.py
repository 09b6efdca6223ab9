"""Puts the application together: the only place that knows all rooms."""

from collections.abc import Callable

from aiohttp import web

import agents
import tables
from saga_app import commands
from saga_app.core.decider import Service
from saga_app.effects.configured import configured
from saga_app.effects.dispatcher import Dispatcher, dispatcher_of
from saga_app.effects.reading import EffectsReading
from saga_app.engine.durability import Point
from saga_app.engine.engine import Engine
from saga_app.engine.faust.app import SagaApp
from saga_app.engine.faust.cli import fit_commands
from saga_app.engine.ports import Log
from saga_app.health.read import HealthWatch
from saga_app.monitoring import endpoints
from saga_app.monitoring.counts import Counts
from saga_app.settings import Settings, SettingsError
from saga_app.web import routes
from saga_app.web.connections import BoundedRunner


def create_app(
    settings: Settings, passing: Callable[[str, Point], None] = lambda topic, point: None
) -> SagaApp:
    """The Faust application with its agents and tables; nothing is started and nothing is connected.

    `passing` is told each point of a round that is passed, with the inbox: tests stop workers there.
    """
    services = [Service(agent.TOPIC, agent.DECIDER) for agent in agents.ALL]
    counts = Counts()
    engine = Engine(settings, services, counts, passing, follow=lambda log: _dispatcher(settings, log))
    health = HealthWatch(settings, lambda: _effects(engine))
    keyed_by_order = frozenset(table.name for table in tables.ALL if table.keyed_by_order)

    def attach(server: web.Application, app: SagaApp) -> web.AppRunner:
        endpoints.attach(server, app, counts, health)
        try:
            routes.attach(server, settings, lambda: app.should_stop, health)
        except SettingsError as error:
            # Only a worker has pages, so other commands need not know how visitors log in.
            raise SystemExit(f"saga: {error}") from None
        return BoundedRunner(server)

    app = SagaApp(settings, engine, keyed_by_order, site=attach)
    for table in tables.ALL:
        app.Table(name=table.name, partitions=settings.partitions, help=table.help)
    names = {agent.TOPIC: agent.TOPIC.removesuffix("_events") for agent in agents.ALL}
    for agent in agents.ALL:
        topic = app.topic(
            agent.TOPIC, partitions=settings.partitions, value_type=bytes, value_serializer="raw"
        )
        app.agent(topic, name=names[agent.TOPIC])(engine.agent(agent.TOPIC, agent.listen))
    # `faust -A saga_app place ...` is `saga place ...`; none has the name of a command of Faust's own.
    fit_commands({name: topic for topic, name in names.items()}, commands.main.all_commands())
    return app


def _effects(engine: Engine) -> EffectsReading | None:
    dispatcher = dispatcher_of(engine)
    return None if dispatcher is None else dispatcher.reading()


def _dispatcher(settings: Settings, log: Log) -> Dispatcher:
    """The dispatcher, with the providers of the settings; only a worker that starts makes them."""
    return Dispatcher(log, configured(settings), settings.app_id, most_calls=settings.provider_calls)
