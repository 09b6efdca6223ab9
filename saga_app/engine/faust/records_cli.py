"""`faust models` and `faust model`: our records, as Faust shows its own; `faust send -V NAME` checks one."""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import click
from faust.utils import terminal

from saga_app import wire
from saga_app.core.errors import Rejected
from saga_app.core.route import RECORD_TYPES

#: Values of a field that are all named.
_MOST_VALUES: Final = 6
RECORDS: Final = {model.__name__: model for model in RECORD_TYPES}


@click.command()
@click.option("--builtins/--no-builtins", default=False, help="No effect: no record is built into Faust.")
@click.pass_context
def models(context: click.Context, builtins: bool) -> None:
    """List the records; `faust -A saga_app model NAME` shows one."""
    rows = [(name, (record.__doc__ or "").splitlines()[0]) for name, record in RECORDS.items()]
    _show(context, "Models", ("name", "help"), rows)


@click.command()
@click.argument("name")
@click.pass_context
def model(context: click.Context, name: str) -> None:
    """Show the fields of a record; with `faust --json`, its JSON Schema."""
    schema = known(name).model_json_schema()
    if _wants_json(context):
        click.echo(json.dumps(schema, indent=2))
        return
    required = schema.get("required", ())
    rows = [
        (field, _type(part), "*" if field in required else repr(part.get("default")))
        for field, part in schema["properties"].items()
    ]
    _show(context, name, ("field", "type", "default"), rows)


def known(name: str) -> type[Any]:
    """The record of this name; `BadParameter` if there is none."""
    if name not in RECORDS:
        raise click.BadParameter(f"there is no record {name!r}; `faust -A saga_app models` lists them")
    record: type[Any] = RECORDS[name]
    return record


def checks_values(send: Callable[..., Any]) -> Callable[..., Any]:
    """Lets `faust send -V NAME` send a value only if it is such a record; keys have no types here."""
    # The application may be made again: the callback stays one.
    faust: Any = getattr(send, "of_faust", send)

    def checked(*arguments: Any, **options: Any) -> Any:
        if options.get("key_type") is not None:
            raise click.UsageError("--key-type has no effect here: a key is plain text, given with --key")
        if (name := options.get("value_type")) is not None:
            options |= {"value_type": None, "value": _value(name, options["value"] or "")}
        return faust(*arguments, **options)

    checked.of_faust = faust  # type: ignore[attr-defined]
    return checked


def _value(name: str, text: str) -> str:
    """The JSON of a record, with its type, which people may leave out where they name it."""
    known(name)
    try:
        record = wire.decode(json.dumps({"type": name, **wire.parse(text.encode())}, default=str).encode())
    except Rejected as rejection:
        raise click.UsageError(f"this is no {name}: {rejection.detail}") from None
    if type(record).__name__ != name:
        raise click.UsageError(f"this is a {record.type}, not a {name}")
    return wire.encode(record).decode()


def _type(part: dict[str, Any]) -> str:
    """A part of a JSON Schema in a few words."""
    if "$ref" in part:
        return str(part["$ref"]).rpartition("/")[2]
    if "anyOf" in part:
        return " or ".join(dict.fromkeys(_type(each) for each in part["anyOf"] if each.get("type") != "null"))
    if part.get("type") == "array":
        return f"list of {_type(part.get('items', {}))}"
    values = part.get("enum", [part["const"]] if "const" in part else [])
    if len(values) > _MOST_VALUES:
        return f"one of {len(values)} values, as {values[0]!r}"
    return " or ".join(map(repr, values)) or str(part.get("format") or part.get("type") or "any")


def _show(
    context: click.Context, title: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> None:
    if _wants_json(context):
        click.echo(json.dumps([dict(zip(heads, row, strict=True)) for row in rows]))
    else:
        click.echo(terminal.table([heads, *rows], title=title, target=click.get_text_stream("stdout")).table)


def _wants_json(context: click.Context) -> bool:
    return bool(getattr(context.find_root().obj, "json", False))
