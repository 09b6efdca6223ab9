"""A shop's client: place, cancel, and wait for the ending, over Kafka or over HTTP.

See docs/how-to/connect-your-shop.md.

async with HttpClient("http://127.0.0.1:6080") as saga:
    order_id = await saga.place({"order_id": 4711, "amount": "25.00"})
    ending = await saga.wait(order_id)

with Client(KafkaClient()) as saga:
    saga.cancel("4711")
"""

from saga_app.client.async_client import AnyOrder, AsyncClient
from saga_app.client.over_http import HttpClient
from saga_app.client.over_kafka import KafkaClient
from saga_app.client.plain import Client
from saga_app.client.results import ApiError, OrderEnding, OrderOpen, RecordRefused, TryAgain
from saga_app.core.errors import Rejected

__all__ = [
    "AnyOrder",
    "ApiError",
    "AsyncClient",
    "Client",
    "HttpClient",
    "KafkaClient",
    "OrderEnding",
    "OrderOpen",
    "RecordRefused",
    "Rejected",
    "TryAgain",
]
