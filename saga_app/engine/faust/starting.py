"""The first connections of Faust's own clients. The broker may go away between the look at the topics and these."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from aiokafka.errors import KafkaError

from saga_app.engine.exits import Exit, Fatal

if TYPE_CHECKING:
    from saga_app.engine.faust.app import SagaApp


@contextmanager
def connecting(app: "SagaApp") -> Iterator[None]:
    """Ends a worker with one clear line where stock Faust ends it with code 1 and 300 lines of tracebacks.

    What is no worker, such as `faust send`, has its error.
    """
    try:
        yield
    except KafkaError as error:
        if app.client_only or app.producer_only:
            raise
        raise Fatal(
            Exit.BROKER_UNREACHABLE,
            f"{app.settings.broker} answered a moment ago and does not any more ({error}); is the broker running?",
        ) from error
