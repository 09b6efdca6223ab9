"""The same client for code without an event loop, such as a view of Django: its loop runs in a thread."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

from saga_app.client.async_client import AnyOrder, AsyncClient
from saga_app.client.results import OrderEnding

Result = TypeVar("Result")


class Client:
    """Runs a client for event loops. Many threads may use it at the same time; see `AsyncClient` for its methods."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="saga-client", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._run(self._client.__aenter__())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._run(self._client.__aexit__(*error))
        finally:
            self._stop()

    def place(self, order: AnyOrder) -> str:
        """Places an order; returns its id when the broker has it."""
        return self._run(self._client.place(order))

    def cancel(self, order_id: str, note: str | None = None) -> None:
        """Asks for the cancellation of an order."""
        self._run(self._client.cancel(order_id, note))

    def wait(self, order_id: str, seconds: float = 30.0) -> OrderEnding:
        """Waits for the ending of an order."""
        return self._run(self._client.wait(order_id, seconds))

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
