"""A checkout saga on Apache Kafka with Faust: pay, reserve and ship an order, or undo it all."""

from typing import Any

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """`saga_app.app` for `faust -A saga_app`: built on first use and kept, so importing the core imports no Faust."""
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from saga_app.application import create_app
    from saga_app.settings import Settings, SettingsError

    try:
        globals()["app"] = create_app(Settings.read())
    except SettingsError as error:
        # Faust would print a traceback of 40 lines.
        raise SystemExit(f"saga: {error}") from None
    return globals()["app"]
