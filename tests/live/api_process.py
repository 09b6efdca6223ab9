"""`saga api` and `saga orderdb run` on a scene, started, killed and stopped by their own pids only."""

import json
import time
from typing import Any, NamedTuple, Self

import aiohttp

from harness.ports import free_port
from harness.process import LoggedProcess
from harness.scene import Scene
from harness.worker import environment
from tests.live.commands import SAGA


class ApiReply(NamedTuple):
    """Status, headers and JSON of an answer."""

    status: int
    headers: dict[str, str]
    json: dict[str, Any]


class OwnProcess(LoggedProcess):
    """A `saga` command that stays."""

    def __init__(self, scene: Scene, *words: str, **settings: str) -> None:
        super().__init__(scene.folder / f"{words[0]}.log")
        self.words = words
        more = {
            "SAGA_APP_ID": scene.app_id,
            "SAGA_DB_URL": f"sqlite:///{scene.folder}/orders.db",
            "SAGA_OPERATOR_LOG": str(scene.folder / "operators.log"),
            **settings,
        }
        self.environment = environment(scene.broker, scene.folder / "nothing", free_port(), **more)

    def start(self) -> Self:
        return self.run([SAGA, *self.words], self.environment)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.close()


class ApiProcess(OwnProcess):
    """The API at `url`."""

    def __init__(self, scene: Scene, **settings: str) -> None:
        self.port = free_port()
        super().__init__(scene, "api", **{"SAGA_API_PORT": str(self.port), **settings})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def ready(self, session: aiohttp.ClientSession, seconds: float = 60) -> None:
        """Until it takes orders."""
        end = time.monotonic() + seconds
        while True:
            try:
                answer = await ask(session, "GET", f"{self.url}/readyz")
                if answer.status == 200:
                    return
                why = str(answer.json)
            except aiohttp.ClientError as error:
                why = str(error)
            assert self.process.poll() is None, self.text()[-2000:]
            assert time.monotonic() < end, f"{why}\n{self.text()[-2000:]}"


async def ask(
    session: aiohttp.ClientSession, method: str, url: str, body: Any = None, **headers: str
) -> ApiReply:
    """One request; `_` in the name of a header is written as `-`."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    data = None if body is None else json.dumps(body).encode()
    if data is not None:
        given["Content-Type"] = "application/json"
    async with session.request(method, url, data=data, headers=given) as response:
        text = await response.read()
        return ApiReply(response.status, dict(response.headers), json.loads(text) if text else {})


def operators(scene: Scene) -> list[dict[str, Any]]:
    """The lines of the operator log."""
    path = scene.folder / "operators.log"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
