"""The rule about kills: the service is killed while it answers, started again, and must still say what it said."""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import aiohttp

from saga_app.core.outside import Action
from saga_app.core.records import Outcome
from saga_app.effects.check.kit import FACTS, Broken, Kit
from saga_app.effects.contract import HttpAnswer, HttpCall

#: Seconds for a service to start.
START: Final = 30.0
#: Seconds from a call to the kill: before it is there, while it is decided, while it is answered, after it.
DELAYS: Final = (0.0, 0.001, 0.002, 0.004, 0.008, 0.016, 0.05)
#: What each verb that every service has says of an effect after a kill, however far it got before.
TOLD: Final = {Action.DO: Outcome.DONE, Action.PREVENT: Outcome.REFUSED, Action.UNDO: Outcome.UNDONE}


class ServiceProcess:
    """The service under test, as a process of its own that a command starts. It ends with the `async with`."""

    def __init__(self, command: Sequence[str], kit: Kit) -> None:
        self._command = command
        self._kit = kit
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "ServiceProcess":
        if await self._answers():
            raise Broken(
                f"something answers at {self._kit.address} already: with --start this check starts the service"
            )
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()

    async def start(self) -> None:
        """Returns when it answers; `Broken` if it does not."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(START):
                while self._process.returncode is None:
                    if await self._answers():
                        return
                    await asyncio.sleep(0.05)
        ended = self._process.returncode
        raise Broken(
            f"{' '.join(self._command)} {'does not answer' if ended is None else f'ended with {ended}'}"
        )

    async def _answers(self) -> bool:
        try:
            await self._kit.get("/effects", {"since": self._kit.began.isoformat()})
        except (aiohttp.ClientError, OSError):
            return False
        return True

    async def kill(self) -> None:
        """SIGKILL to the process and all that it has started."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        self._process = None


async def what_is_told_survives_a_kill(kit: Kit, service: ServiceProcess) -> None:
    for action in TOLD:
        for delay in DELAYS:
            call = (await kit.done())[0] if action is Action.UNDO else kit.call()
            calls = [asyncio.create_task(_last(kit, call, action)) for _ in range(3)]
            await asyncio.sleep(delay)
            await service.kill()
            before = [answer for answer in await asyncio.gather(*calls) if answer is not None]
            await service.start()
            told = [each for each in before if each.outcome in FACTS]
            if told and await kit.look(call.effect) is None:
                raise Broken(
                    f"after a kill during {action} nobody knows of an effect that was {told[0].outcome}"
                )
            after = await kit.settle(call, action)
            _holds(action, before, after)
            found = [each for each in await kit.ledger() if each.effect == call.effect]
            if len(found) != 1 or found[0].outcome is not after.outcome:
                raise Broken(
                    f"after a kill during {action} the ledger has {[str(each.outcome) for each in found]}"
                )


async def _last(kit: Kit, call: HttpCall, action: Action) -> HttpAnswer | None:
    """The answer, if there was one before the kill."""
    try:
        return await kit.ask(call, action)
    except (aiohttp.ClientError, OSError, TimeoutError):
        return None


def _holds(action: Action, before: Sequence[HttpAnswer], after: HttpAnswer) -> None:
    if after.outcome is not TOLD[action]:
        raise Broken(f"after a kill during {action} it is {after.outcome}, and not {TOLD[action]}")
    for each in before:
        if each.outcome is after.outcome and each.reference != after.reference:
            raise Broken(f"after a kill during {action} it is {after.reference}, and was {each.reference}")
