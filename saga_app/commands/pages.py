"""`saga pages`: the pages as a process of its own."""

import asyncio
import signal
from dataclasses import replace

import click

from saga_app.commands.render.output import CommandFailed, one_line_errors
from saga_app.health.read import HealthWatch
from saga_app.operator_log import log_to_stderr
from saga_app.settings import Settings


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), metavar="N", help="Instead of SAGA_WEB_PORT.")
@one_line_errors
def pages(port: int | None) -> None:
    """Serve the pages without being a worker, until Ctrl-C or SIGTERM.

    \b
    saga pages
    saga pages --port 6060

    It needs the broker and the order database only, so the pages are there when all workers are gone. Workers serve the
    same pages. It listens on SAGA_WEB_BIND and SAGA_WEB_PORT, has /livez and /metrics, and no tables: only workers have
    those.
    """
    settings = Settings.read()
    if port is not None:
        settings = replace(settings, web_port_text=str(port))
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    # Imported here, because they make every command start more slowly.
    from aiohttp import web

    from saga_app.monitoring import endpoints
    from saga_app.web import routes
    from saga_app.web.connections import BoundedRunner

    log_to_stderr()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    application, health = web.Application(), HealthWatch(settings)
    endpoints.attach_without_worker(application, settings, health)
    routes.attach(application, settings, stop.is_set, health, has_tables=False)
    runner = BoundedRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.web_bind, settings.web_port).start()
        click.echo(f"pages at http://{settings.web_bind}:{settings.web_port}/, until Ctrl-C")
        await stop.wait()
    except OSError as error:
        raise CommandFailed(
            f"{settings.web_bind}:{settings.web_port}: {error.strerror}; a worker may have this port: choose another "
            "with --port or SAGA_WEB_PORT"
        ) from error
    finally:
        await runner.cleanup()
