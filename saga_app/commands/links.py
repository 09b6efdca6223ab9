"""Where more is told."""

from saga_app.settings import Settings


def order_page(order_id: str, settings: Settings) -> str:
    """The address at which a worker shows this order."""
    return f"{settings.canonical_url}/orders/{order_id}/"
