"""Puts the application together: the only place that knows all rooms."""

import os
import signal
from collections import Counter
from collections.abc import Callable

from aiohttp import web

import agents
import tables
from saga_app import commands, topics
from saga_app.core.decider import Service
from saga_app.engine.engine import Engine
from saga_app.engine.faust.app import SagaApp
from saga_app.engine.faust.cli import fit_commands
from saga_app.engine.round import Point
from saga_app.health.read import HealthWatch
from saga_app.monitoring import endpoints
from saga_app.monitoring.counts import Counts
from saga_app.settings import Settings, SettingsError
from saga_app.web import routes


def create_app(settings: Settings) -> SagaApp:
    """The Faust application with its agents and tables; nothing is started and nothing is connected."""
    services = [Service(agent.TOPIC, agent.DECIDER) for agent in agents.ALL]
    counts = Counts()
    health = HealthWatch(settings)
    engine = Engine(settings, services, counts, stop_at(os.environ.get("SAGA_CRASH_AT", "")))
    keyed_by_order = frozenset(table.name for table in tables.ALL if table.keyed_by_order)

    def attach(server: web.Application, app: SagaApp) -> None:
        endpoints.attach(server, app, counts, health)
        routes.attach(server, settings, lambda: app.should_stop, health)

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
    fit_commands({name: topic for topic, name in names.items()}, commands.main.commands)
    return app


def stop_at(where: str) -> Callable[[str, Point], None]:
    """For tests: `TOPIC/POINT:N` ends the process with SIGKILL when that point is passed for the Nth time."""
    if not where:
        return lambda topic, point: None
    place, _, count = where.partition(":")
    topic, _, point = place.partition("/")
    if topic not in topics.INBOXES or point not in list(Point) or not (count or "1").isdecimal():
        raise SettingsError(
            f"SAGA_CRASH_AT is {where!r}; it is TOPIC/POINT:N, POINT one of {', '.join(Point)}"
        )
    passed: Counter[str] = Counter()

    def passing(topic: str, point: Point) -> None:
        passed[f"{topic}/{point}"] += 1
        if passed[place] == int(count or 1) and place == f"{topic}/{point}":
            os.kill(os.getpid(), signal.SIGKILL)

    return passing
