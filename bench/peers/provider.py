"""A payment provider that answers each call after a fixed time: `python -m bench.peers.provider PORT MILLISECONDS`.

It speaks `saga_app.effects.contract` and takes every payment. It keeps the effects in memory, as a provider of a bench
may that is never killed.
"""

import asyncio
import json
import sys
from typing import Final

from aiohttp import web

#: What is true of an effect after a call about it, if it was there before, and if it was not.
AFTER: Final = {"do": ("done", "done"), "prevent": ("done", "refused"), "undo": ("undone", "refused")}


class SlowProvider:
    """Facts only grow: what is refused or undone stays so."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._effects: dict[str, str] = {}

    def application(self) -> web.Application:
        app = web.Application()
        app.add_routes([web.post("/{step}/{action}", self._answer), web.get("/effects", self._count)])
        return app

    async def _answer(self, request: web.Request) -> web.Response:
        call = json.loads(await request.read())
        effect, action = call["effect"], request.match_info["action"]
        await asyncio.sleep(self._seconds)
        before = self._effects.get(effect)
        there, absent = AFTER[action]
        outcome = absent if before is None else there if before == "done" else before
        self._effects[effect] = outcome
        return web.json_response({"outcome": outcome, "reference": f"slow-{effect}"})

    async def _count(self, request: web.Request) -> web.Response:
        """No ledger: the number of effects by their outcome is all that the bench asks for."""
        found = list(self._effects.values())
        return web.json_response({outcome: found.count(outcome) for outcome in set(found)})


def main() -> None:
    port, milliseconds = map(int, sys.argv[1:])
    application = SlowProvider(milliseconds / 1000).application()
    web.run_app(application, host="127.0.0.1", port=port, access_log=None, print=None)


if __name__ == "__main__":
    main()
