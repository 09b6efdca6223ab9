"""The commands of `saga`; `faust -A saga_app` has the same ones. `index` lists them; each is imported when it is used."""

from saga_app.commands.program import main

__all__ = ["main"]
