"""Starts and stops a local Kafka of several brokers: each is a `Broker`, and each is a controller too.

Everything is in one folder: `cluster.json` with the ports of all, and one broker's folder for each.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from saga_app.local import config
from saga_app.local.broker import START_WITHIN, Broker
from saga_app.local.errors import LocalKafkaError
from saga_app.local.home import Seat, new_cluster_id
from saga_app.local.process import ManagedServer, until
from saga_app.private_files import private_folder

#: Seconds in which brokers that stop together must have ended. The last ones wait in vain for a majority of
#: controllers, and are killed; a killed broker keeps every acknowledged record.
STOP_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class ClusterLayout:
    """The content of `cluster.json`: brokers find each other by their ports, so these stay the same."""

    cluster: str
    ports: Sequence[int]
    controllers: Sequence[int]


class Cluster(ManagedServer):
    """`size` brokers in one folder; every method may be called again when it has already been done."""

    def __init__(
        self, folder: Path | str, size: int = 3, *, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self.folder = Path(folder).resolve()
        self.size = size
        self._file = self.folder / "cluster.json"
        self._say = say
        self.brokers: list[Broker] = []
        if (layout := self._layout()) is not None:
            self._make_brokers(layout)

    @property
    def address(self) -> str:
        """Hosts and ports for clients, separated by commas. Raises LocalKafkaError before the first start."""
        if not self.brokers:
            raise LocalKafkaError(f"The brokers in {self.folder} have no address yet: call start() first.")
        return ",".join(broker.address for broker in self.brokers)

    def has_address(self, address: str) -> bool:
        """True if the cluster has this address, or had it when it last ran."""
        layout = self._layout()
        return layout is not None and address == ",".join(f"{config.HOST}:{port}" for port in layout.ports)

    def start(self) -> Self:
        """Start every broker that does not run, without waiting. Raises LocalKafkaError as `Broker.start` does."""
        if (layout := self._layout()) is None:
            layout = self._make()
        self._make_brokers(layout)
        for broker in self.brokers:
            broker.start()
        return self

    def wait(self, seconds: float = START_WITHIN) -> Self:
        """Wait until every broker answers. Raises LocalKafkaError, with a broker's last words, if one does not."""
        for broker in self.brokers:
            broker.wait(seconds)
        return self

    def stop(self) -> None:
        """End all and keep their data."""
        running = [broker for broker in self.brokers if broker.pid is not None]
        for broker in running:
            broker.terminate()
        until(lambda: all(broker.pid is None for broker in running), STOP_WITHIN)
        for broker in running:
            broker.kill()

    def remove(self) -> None:
        """End all and delete the folder, data and all."""
        for broker in self.brokers:
            broker.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _layout(self) -> ClusterLayout | None:
        try:
            layout = ClusterLayout(**json.loads(self._file.read_text("utf-8")))
        except FileNotFoundError:
            return None
        if len(layout.ports) != self.size:
            raise LocalKafkaError(
                f"The Kafka in {self.folder} was made with {len(layout.ports)} brokers, not {self.size}. "
                "Use that number, or delete the folder."
            )
        return layout

    def _make(self) -> ClusterLayout:
        found = config.free_ports(2 * self.size)
        layout = ClusterLayout(new_cluster_id(), found[: self.size], found[self.size :])
        private_folder(self.folder)
        self._file.write_text(json.dumps(asdict(layout)) + "\n", "utf-8")
        return layout

    def _make_brokers(self, layout: ClusterLayout) -> None:
        if not self.brokers:
            self.brokers = [
                Broker(
                    self.folder / f"broker-{number}",
                    seat=Seat(layout.cluster, number, port, tuple(layout.controllers)),
                    say=self._say,
                )
                for number, port in enumerate(layout.ports, 1)
            ]
