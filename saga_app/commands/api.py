"""`saga api` and `saga api-token`: orders over HTTP, and who may."""

from dataclasses import replace
from typing import Any, Final

import click

from saga_app.commands.needs_database import needs_database
from saga_app.commands.program import SagaGroup
from saga_app.commands.render.output import CommandFailed, as_json, one_line_errors, show
from saga_app.operator_log import log_action, log_to_stderr
from saga_app.settings import Settings, SettingsError
from saga_app.text import printable
from saga_app.times import now, written
from saga_app.tokens import TokenFile, TokenScope

_EXTRA: Final = ("fastapi", "starlette", "uvicorn", "h11")
_DAY: Final = 24 * 3600 * 1000


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), metavar="N", help="Instead of SAGA_API_PORT.")
@one_line_errors
@needs_database
def api(port: int | None) -> None:
    """Take orders over HTTP, until Ctrl-C or SIGTERM.

    \b
    saga api
    saga api --port 6081

    It needs the broker and the order database only; run as many as you like. It listens on SAGA_API_BIND and
    SAGA_API_PORT, has /docs, /livez and /readyz, and answers those who wait before it ends. Beyond 127.0.0.1 it needs
    SAGA_API_TOKENS: see `saga api-token`.
    """
    settings = Settings.read()
    if port is not None:
        settings = replace(settings, api_port_text=str(port))
    try:
        from saga_app.api import process
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRA:
            raise
        raise CommandFailed(
            f"the API needs the package {package}; in the folder of this project: pip install '.[api,orders]'"
        ) from error
    process.check(settings)
    log_to_stderr()
    try:
        listener = process.listening(settings)
    except OSError as error:
        raise CommandFailed(
            f"{settings.api_bind}:{settings.api_port}: {error.strerror}; another process may have this port: choose "
            "another with --port or SAGA_API_PORT"
        ) from error
    process.serve(settings, listener, click.echo)


@click.group("api-token", cls=SagaGroup)
def api_token() -> None:
    """Make, list and revoke the tokens of API and pages.

    \b
    saga api-token new shop --scope order --scope read
    saga api-token list
    saga api-token revoke shop

    SAGA_API_TOKENS names the file. It has hashes and no token, and whoever runs notices when it changes.
    """


@api_token.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice([scope.value for scope in TokenScope]),
    help="read: ask, and see pages. order: place and cancel. operate: money, stock, rules, letters, also on pages. "
    "May be repeated.",
)
@click.option(
    "--days", type=click.IntRange(1, 3650), metavar="N", help="It ends after so long. [default: never]"
)
@as_json
@one_line_errors
def new(name: str, scopes: tuple[str, ...], days: int | None, as_json: bool) -> None:
    """Make a token and print it; it cannot be shown again. NAME stands in records and in the operator log.

    \b
    saga api-token new shop --scope order --scope read
    """
    settings, tokens = _file()
    until = None if days is None else now() + days * _DAY
    secret = tokens.add(name, frozenset(map(TokenScope, scopes)), until)
    log_action(settings, "api-token new", name=name, scopes=sorted(scopes))
    show({"name": name, "token": secret}, secret, as_json=as_json)


@api_token.command("list")
@as_json
@one_line_errors
def list_tokens(as_json: bool) -> None:
    """List the tokens: name, scopes, end.

    \b
    saga api-token list
    """
    _, tokens = _file()
    for each in tokens.read():
        until = None if each.until is None else written(each.until)
        machine: dict[str, Any] = {"name": each.name, "scopes": sorted(each.scopes), "until": until}
        end = "never ends" if until is None else f"{'ended' if each.has_ended() else 'ends'} {until}"
        people = f"{printable(each.name):<20}  {', '.join(sorted(each.scopes)):<22}  {end}"
        show(machine, people, as_json=as_json)


@api_token.command()
@click.argument("name")
@one_line_errors
def revoke(name: str) -> None:
    """Revoke the token NAME: every API refuses it from its next request on.

    \b
    saga api-token revoke shop
    """
    settings, tokens = _file()
    tokens.revoke(name)
    log_action(settings, "api-token revoke", name=name)
    click.echo(f"{name} is revoked")


def _file() -> tuple[Settings, TokenFile]:
    settings = Settings.read()
    if not settings.api_tokens_file:
        raise SettingsError("SAGA_API_TOKENS is not set: it names the file of the tokens")
    return settings, TokenFile(settings.api_tokens_file)
