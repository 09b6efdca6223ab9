"""Start, stop and mistreat a local Kafka of several brokers: each is a `Broker`, and all are controllers too.

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
from saga_app.local.process import Server, until

#: Seconds in which brokers that are told to stop together must have ended. The last ones wait in vain for a majority
#: of controllers; a broker that is killed loses nothing that was acknowledged.
STOP_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What `cluster.json` remembers: brokers find each other by their ports, so these stay."""

    cluster: str
    ports: Sequence[int]
    controllers: Sequence[int]


class Cluster(Server):
    """`size` brokers in one folder; every method may be called again when it has already been done."""

    def __init__(
        self, folder: Path | str, size: int = 3, *, say: Callable[[str], None] = lambda _: None
    ) -> None:
        self.folder = Path(folder).resolve()
        self.size = size
        self._file = self.folder / "cluster.json"
        self._say = say
        self.brokers: list[Broker] = []
        if (plan := self._plan()) is not None:
            self._seat(plan)

    @property
    def address(self) -> str:
        """Hosts and ports for clients, separated by commas. Raises LocalKafkaError before the first start."""
        if not self.brokers:
            raise LocalKafkaError(f"The brokers in {self.folder} have no address yet: call start() first.")
        return ",".join(broker.address for broker in self.brokers)

    def has_address(self, address: str) -> bool:
        """Whether this is the address that it has, or had when it last ran."""
        plan = self._plan()
        return plan is not None and address == ",".join(f"{config.HOST}:{port}" for port in plan.ports)

    def start(self) -> Self:
        """Start every broker that does not run, without waiting. Raises LocalKafkaError as `Broker.start` does."""
        if (plan := self._plan()) is None:
            plan = self._make()
        self._seat(plan)
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

    def _plan(self) -> Plan | None:
        try:
            plan = Plan(**json.loads(self._file.read_text("utf-8")))
        except FileNotFoundError:
            return None
        if len(plan.ports) != self.size:
            raise LocalKafkaError(
                f"The Kafka in {self.folder} was made with {len(plan.ports)} brokers, not {self.size}. "
                "Use that number, or delete the folder."
            )
        return plan

    def _make(self) -> Plan:
        found = config.free_ports(2 * self.size)
        plan = Plan(new_cluster_id(), found[: self.size], found[self.size :])
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(asdict(plan)) + "\n", "utf-8")
        return plan

    def _seat(self, plan: Plan) -> None:
        if not self.brokers:
            self.brokers = [
                Broker(
                    self.folder / f"broker-{number}",
                    seat=Seat(plan.cluster, number, port, tuple(plan.controllers)),
                    say=self._say,
                )
                for number, port in enumerate(plan.ports, 1)
            ]
