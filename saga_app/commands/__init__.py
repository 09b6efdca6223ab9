"""The commands of `saga`; `faust -A saga_app` has the same ones. `index` has their list."""

from saga_app.commands.program import main

__all__ = ["main"]
