"""`saga webhooks run` under faults: an endpoint that takes each event, some of them only at the second try."""

from collections import defaultdict
from pathlib import Path
from typing import Final
from zlib import crc32

from harness.log import BrokerOffsets, everything
from saga_app import topics
from saga_app.kafka.headers import headers_of
from saga_app.kafka.order_outcomes import heard
from tests.chaos.doors.door import ChaosDoor
from tests.chaos.watch import OrderWatch
from tests.webhooks.receiver import WebhookReceiver, written_endpoints

#: One event of so many is not taken at the first try.
REFUSED: Final = 10


class WebhooksDoor(ChaosDoor):
    """The sender; its endpoint remembers the id of each event that it took."""

    name = "webhooks"
    promise = ("D3", "each outcome told")

    def __init__(
        self, folder: Path, log: BrokerOffsets, watch: OrderWatch, seed: str, settings: dict[str, str]
    ) -> None:
        self._shop = WebhookReceiver(answer=_answer)
        file = written_endpoints(folder, shop=self._shop.url)
        own = {**settings, "SAGA_WEBHOOKS": str(file)}
        super().__init__(folder, log, watch, ["webhooks", "run"], own)

    @property
    def done(self) -> int:
        return len(self._shop.taken)

    @property
    def is_busy(self) -> bool:
        return self.done < self.watch.count

    @property
    def is_quiet(self) -> bool:
        return self.done >= self.watch.count

    def breaches(self) -> list[str]:
        """Each outcome of the topic was taken, under its one id; nothing else was, and each signature was right."""
        ids: defaultdict[str, set[str]] = defaultdict(set)
        for message in everything(self.log.broker, topics.ORDER_OUTCOMES, topics.DEFAULT_PARTITIONS):
            outcome = heard(message.key(), message.value(), headers_of(message))
            if outcome is not None and outcome.value is not None:
                ids[outcome.order_id].add(outcome.id)
        told = {each for found in ids.values() for each in found}
        taken = set(self._shop.taken)
        return [
            *(f"order {order} has {len(found)} events" for order, found in ids.items() if len(found) > 1),
            *(f"order {order} ended, and has no event" for order in self.watch.ended if order not in ids),
            *(f"event {each} was not taken" for each in sorted(told - taken)),
            *(f"event {each} is not in the topic" for each in sorted(taken - told)),
            *(f"an event came that is not as it was signed: {each}" for each in self._shop.wrong),
        ]

    def open(self) -> None:
        """Orders of everybody end."""

    def close_load(self) -> None:
        """Nobody places orders for it alone."""

    def close(self) -> None:
        super().close()
        self._shop.close()


def _answer(event: str, tries: int) -> int:
    return 503 if tries == 1 and crc32(event.encode()) % REFUSED == 0 else 200
