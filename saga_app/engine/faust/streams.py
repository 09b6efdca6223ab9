"""The streams of agents: iterating one is iterating the inbox buffer to which the reader brings its batches.

Stock Faust has two queues between a fetch and an agent, and spends 50 to 200 us on each record in between. A stream
still subscribes to its topic when it is made, and Faust starts, stops and lists its agent as ever.
"""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from faust import Stream

if TYPE_CHECKING:
    from saga_app.engine.faust.app import SagaApp


class InboxStream(Stream):  # type: ignore[misc]
    """Faust's; but the stream of an inbox gives what lies on its inbox buffer."""

    app: "SagaApp"

    def __aiter__(self) -> AsyncIterator[Any]:
        buffer = self.app.engine.buffers.get(str(self.channel))
        return super().__aiter__() if buffer is None else buffer
