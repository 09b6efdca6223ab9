"""The metrics of `saga webhooks run`, for Prometheus."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from saga_app.webhooks.board import DeliveryBoard

PREFIX: Final = "saga_webhooks"


class WebhookFigures:
    """Counts tries; asks the board how much waits and how much has failed."""

    def __init__(self, endpoints: list[str], board: DeliveryBoard) -> None:
        self.registry = CollectorRegistry()
        self._tries = Counter(
            f"{PREFIX}_tries", "Tries, by what came of them", ["endpoint", "result"], registry=self.registry
        )
        waiting = Gauge(
            f"{PREFIX}_waiting", "Deliveries to be tried again", ["endpoint"], registry=self.registry
        )
        failed = Gauge(
            f"{PREFIX}_failed", "Deliveries that were given up", ["endpoint"], registry=self.registry
        )
        for name in endpoints:
            for result in ("taken", "not_taken"):
                self._tries.labels(name, result)
            waiting.labels(name).set_function(lambda name=name: _sum(board.waiting, name))  # type: ignore[misc]
            failed.labels(name).set_function(lambda name=name: _sum(board.failed, name))  # type: ignore[misc]

    def tried(self, endpoint: str, *, is_taken: bool) -> None:
        self._tries.labels(endpoint, "taken" if is_taken else "not_taken").inc()

    def serve(self, port: int, address: str) -> None:
        """Serves `/metrics`. Raises `OSError` if the port is taken."""
        start_http_server(port, address, self.registry)


def _sum(queues: dict, endpoint: str) -> int:  # type: ignore[type-arg]
    return sum(len(found) for (name, _), found in list(queues.items()) if name == endpoint)
