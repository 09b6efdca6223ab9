"""The process of `saga webhooks run`: every endpoint at once, until a signal."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from confluent_kafka import KafkaException

from saga_app.kafka import topic_admin
from saga_app.kafka.broker_errors import in_words
from saga_app.kafka.reachable import require_broker
from saga_app.settings import Settings, SettingsError
from saga_app.signals import until_signal
from saga_app.topics import ORDER_OUTCOMES, Topic, webhook_deliveries
from saga_app.webhooks.board import DeliveryBoard, follow
from saga_app.webhooks.endpoints import WebhookEndpoint, read_endpoints
from saga_app.webhooks.figures import WebhookFigures
from saga_app.webhooks.runner import EndpointRunner
from saga_app.webhooks.writer import DeliveryWriter

_LOG: Final = logging.getLogger(__name__)
#: Seconds until the topic is followed again after the broker went away.
_RETRY: Final = 2.0


def run(settings: Settings) -> None:
    """Posts outcomes until SIGTERM or SIGINT.

    Raises `SettingsError`, `TopicsWrong` and `BrokerUnreachable` at the start; later the broker may go away.
    """
    endpoints = [each for each in read_endpoints(settings) if not each.is_disabled]
    require_topics(settings)
    asyncio.run(until_signal(lambda stop: _run(settings, endpoints, stop)))


def require_topics(settings: Settings) -> None:
    """Makes the topic of deliveries if it is missing. Raises `TopicsWrong` if that or another one is wrong."""
    require_broker(settings)
    topic_admin.ensure(settings, [webhook_deliveries(settings.partitions, settings.replication)])
    if topic_admin.check(settings, [Topic(ORDER_OUTCOMES, settings.partitions, {})]).missing:
        raise topic_admin.TopicsWrong(
            f"topic {ORDER_OUTCOMES} is not on {settings.broker}; create it: saga topics --create"
        )


async def _run(settings: Settings, endpoints: Sequence[WebhookEndpoint], stop: asyncio.Event) -> None:
    board, caught_up = DeliveryBoard(), asyncio.Event()
    figures = WebhookFigures([each.name for each in endpoints], board)
    if settings.webhooks_port:
        try:
            figures.serve(settings.webhooks_port, settings.webhooks_bind)
        except OSError as error:
            raise SettingsError(f"SAGA_WEBHOOKS_PORT is {settings.webhooks_port}: {error}") from error
    writer = DeliveryWriter(settings, board)
    following = asyncio.create_task(_follow(settings, board, caught_up))
    stopping = asyncio.create_task(stop.wait())
    begun = asyncio.create_task(caught_up.wait())
    try:
        await asyncio.wait({stopping, begun, following}, return_when=asyncio.FIRST_COMPLETED)
        if caught_up.is_set():
            _LOG.info("webhooks: posting to %s", ", ".join(each.name for each in endpoints))
            runners = [EndpointRunner(settings, each, board, writer, figures) for each in endpoints]
            await asyncio.gather(*(each.run(stop) for each in runners))
    finally:
        for task in (following, stopping, begun):
            task.cancel()
        await asyncio.gather(following, stopping, begun, return_exceptions=True)
        await asyncio.to_thread(writer.close)


async def _follow(settings: Settings, board: DeliveryBoard, caught_up: asyncio.Event) -> None:
    """Follows the topic; after the broker went away it goes on where it was."""
    positions: dict[int, int] = {}
    while True:
        try:
            await follow(settings, board, caught_up, positions)
        except (KafkaException, ConnectionError, TimeoutError) as error:
            words = in_words(error) if isinstance(error, KafkaException) else str(error)
            _LOG.warning("webhooks: the deliveries cannot be read: %s", words)
            await asyncio.sleep(_RETRY)
