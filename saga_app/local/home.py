"""The folder of one local broker: its files, and the state that `broker.json` keeps between programs."""

import base64
import json
import shutil
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from saga_app.local import config
from saga_app.private_files import private_folder

#: Lines of its log that are shown when a broker dies.
LAST_WORDS = 15


@dataclass(frozen=True, slots=True)
class SavedBroker:
    """The content of `broker.json`. `pid` is 0 if the broker was stopped."""

    pid: int
    port: int
    controller_port: int


@dataclass(frozen=True, slots=True)
class Seat:
    """A broker's place in a cluster: `number` counts from 1, `controllers` are the controller ports of all."""

    cluster: str
    number: int
    port: int
    controllers: tuple[int, ...]


def new_cluster_id() -> str:
    """A new cluster id in Kafka's form."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")


class Home:
    """A broker's folder. Creating the object touches no file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.tmp = folder / "tmp"
        self.log = folder / "broker.log"
        self.properties = folder / "server.properties"
        self.state = folder / "broker.json"

    @property
    def is_formatted(self) -> bool:
        """True if Kafka has formatted the data folder."""
        return (self.data / "meta.properties").exists()

    def lay_out(
        self,
        port: int,
        controller_port: int,
        controllers: tuple[int, ...] = (),
        proxied: tuple[int, int] | None = None,
        adapt: Callable[[dict[str, str]], dict[str, str]] = dict,
    ) -> None:
        """Make the folders and write the properties; `proxied` and `adapt` as `Broker` explains them."""
        private_folder(self.data)
        # The broker unpacks native libraries here; a killed broker leaves them.
        shutil.rmtree(self.tmp, ignore_errors=True)
        self.tmp.mkdir()
        settings = config.properties(port, controller_port, self.data, controllers)
        if proxied is not None:
            settings = config.with_proxied_listener(settings, *proxied)
        self.properties.write_text(config.as_text(adapt(settings)), "utf-8")

    def saved(self) -> SavedBroker | None:
        """The saved state; None at first, or if the file cannot be read."""
        try:
            return SavedBroker(**json.loads(self.state.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def save(self, saved: SavedBroker) -> None:
        """Save the state, whole or not at all."""
        beside = self.state.with_suffix(".new")
        beside.write_text(json.dumps(asdict(saved)) + "\n", "utf-8")
        beside.replace(self.state)

    def last_words(self) -> str:
        """The end of the log, indented."""
        try:
            lines = self.log.read_text("utf-8", errors="replace").splitlines()
        except OSError:
            return "  (there is none)"
        return "\n".join(f"  {line}" for line in lines[-LAST_WORDS:])
