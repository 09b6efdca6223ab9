"""One event about no order, to try an endpoint."""

import asyncio

from saga_app.times import now, written
from saga_app.webhooks.deliveries import WebhookDelivery
from saga_app.webhooks.endpoints import WebhookEndpoint
from saga_app.webhooks.post import Poster, TriedDelivery


def send_test(endpoint: WebhookEndpoint) -> TriedDelivery:
    """Posts an event about no order, once."""
    at = now()
    outcome = (
        '{"version":0,"order_id":"webhook-test","state":"COMPLETED","currency":"GBP","amount":"0.00",'
        f'"ended_at":"{written(at)}"}}'
    )
    event = WebhookDelivery(
        endpoint=endpoint.name,
        id=f"webhook-test:{at}",
        type="order.completed",
        order_id="webhook-test",
        outcome=outcome,
        first_at=at,
        next_at=at,
    )

    async def post() -> TriedDelivery:
        poster = Poster(endpoint)
        try:
            return await poster.post(event)
        finally:
            await poster.close()

    return asyncio.run(post())
