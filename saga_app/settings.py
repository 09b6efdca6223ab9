"""Settings: read once, from the environment. Every name stands here and nowhere else."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from saga_app.topics import DEFAULT_PARTITIONS


class SettingsError(ValueError):
    """A setting that cannot be used; the message names the variable and what it may be."""


class Timeouts(NamedTuple):
    """Seconds. A record is given up before a successor can be chosen: delivery is shorter than session.

    A broker that has not answered a request for `answer` is left for another one: one that is frozen, or whose network
    is cut, keeps its connections. So there is time to find a record's new leader, or the group's new coordinator.
    """

    session: float
    heartbeat: float
    delivery: float
    rebalance: float
    commit: float
    answer: float


#: `local` for one broker, on this machine; `cluster` allows for the 9 s and more that a broker's failover takes.
PROFILES: Final = {
    "local": Timeouts(session=8.0, heartbeat=1.0, delivery=4.0, rebalance=30.0, commit=1.0, answer=3.0),
    "cluster": Timeouts(session=45.0, heartbeat=3.0, delivery=20.0, rebalance=60.0, commit=2.0, answer=6.0),
}

_DATABASE: Final = re.compile(r"sqlite:///.|postgres(ql)?://.")
#: To the last @: a password may hold one too.
_PASSWORD: Final = re.compile(r"(://[^:/@?]*:).*@", re.DOTALL)
_SECRET: Final = re.compile(r"([?&][^=&]*(?:password|secret|token|key)[^=&]*=)[^&]*", re.IGNORECASE)


FOR_EVER: Final = "forever"
#: Days that an inbox may be kept. Nothing that a worker needs is older than what it has not decided: rows are restored
#: from the changelogs, deadlines are in rows. So the least is the time for which Kafka remembers a stopped group's
#: offsets (`offsets.retention.minutes`, 7 days by default): in that time workers may come back.
RETENTION: Final = (7, 3650)


#: Seconds.
_UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION: Final = re.compile(r"([0-9]{1,9})([dhms])|0", re.ASCII)


def _setting(name: str, default: str, help: str) -> Any:
    return field(default=default, metadata={"env": name, "help": help})


@dataclass(frozen=True)
class Settings:
    """The effective settings, as text; the properties below give them their types."""

    broker: str = _setting("SAGA_BROKER", "127.0.0.1:9092", "Kafka brokers, host:port, separated by commas")
    app_id: str = _setting("SAGA_APP_ID", "saga", "consumer group and prefix of the changelogs")
    partitions_text: str = _setting(
        "SAGA_PARTITIONS", str(DEFAULT_PARTITIONS), "partitions of every topic; fixed for their life"
    )
    replication_text: str = _setting(
        "SAGA_REPLICATION", "1", "replicas of every topic that is created; from 3 on, 2 must have a record"
    )
    inbox_retention_text: str = _setting(
        "SAGA_INBOX_RETENTION", FOR_EVER, "how long records stay in the inboxes: forever, or days, 7 at least"
    )
    data_dir_text: str = _setting("SAGA_DATA_DIR", ".run/data", "this worker's tables; one folder per worker")
    db_url: str = _setting(
        "SAGA_DB_URL",
        "sqlite:///.run/orders.db",
        "the order database: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME",
    )
    web_bind: str = _setting("SAGA_WEB_BIND", "127.0.0.1", "address that the worker's web server listens on")
    web_port_text: str = _setting("SAGA_WEB_PORT", "6066", "port of the worker's web server; one per worker")
    web_url: str = _setting(
        "SAGA_WEB_URL", "", "address at which other workers reach this one (default: from the port)"
    )
    profile: str = _setting(
        "SAGA_PROFILE", "", "timeouts: local or cluster (default: local for one broker, on this machine)"
    )
    leave_after_text: str = _setting(
        "SAGA_LEAVE_AFTER",
        "0",
        "rows of orders that ended so long ago shrink: such as 30d, 12h, 90m, 45s; 0 is never",
    )
    forget_after_text: str = _setting(
        "SAGA_FORGET_AFTER", "365d", "so long after that nothing is left, and their ids are free; 0 is never"
    )

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Settings from the environment; `SettingsError` if one cannot be used."""
        given = {each.name: environment.get(each.metadata["env"], "") for each in fields(cls)}
        settings = cls(**{name: text.strip() for name, text in given.items() if text.strip()})
        settings.check()
        return settings

    def check(self) -> None:
        """`SettingsError` naming the first setting that cannot be used."""
        _between("SAGA_PARTITIONS", self.partitions_text, 1, 1000)
        _between("SAGA_REPLICATION", self.replication_text, 1, 9)
        _between("SAGA_WEB_PORT", self.web_port_text, 1, 65535)
        for name, text in (
            ("SAGA_LEAVE_AFTER", self.leave_after_text),
            ("SAGA_FORGET_AFTER", self.forget_after_text),
        ):
            _duration(name, text)
        if not _DATABASE.match(self.db_url):
            raise SettingsError(
                f"SAGA_DB_URL is {without_password(self.db_url)!r}; it is sqlite:///FILE or "
                "postgresql://USER:PASSWORD@HOST/NAME"
            )
        if self.inbox_retention_text != FOR_EVER and not _is_between(self.inbox_retention_text, *RETENTION):
            raise SettingsError(
                f"SAGA_INBOX_RETENTION is {self.inbox_retention_text!r}; it is {FOR_EVER}, or days from "
                f"{RETENTION[0]} to {RETENTION[1]}: workers that were stopped find their place in an inbox for 7 days, "
                "by Kafka's offsets.retention.minutes, and what they have not decided must be there for as long"
            )
        if self.profile not in ("", *PROFILES):
            raise SettingsError(f"SAGA_PROFILE is {self.profile!r}; it may be {' or '.join(PROFILES)}")
        for server in self.broker.split(","):
            host, _, port = server.strip().rpartition(":")
            if not host or not port.isdigit():
                raise SettingsError(f"SAGA_BROKER is {self.broker!r}; it is host:port, separated by commas")

    @property
    def partitions(self) -> int:
        return int(self.partitions_text)

    @property
    def replication(self) -> int:
        return int(self.replication_text)

    @property
    def leave_after(self) -> int | None:
        """Milliseconds; None is never."""
        return _duration("SAGA_LEAVE_AFTER", self.leave_after_text)

    @property
    def forget_after(self) -> int | None:
        """Milliseconds; None is never."""
        return _duration("SAGA_FORGET_AFTER", self.forget_after_text)

    @property
    def inbox_retention(self) -> timedelta | None:
        """How long records stay in the inboxes; None: for ever."""
        text = self.inbox_retention_text
        return None if text == FOR_EVER else timedelta(days=int(text))

    @property
    def data_dir(self) -> Path:
        return Path(self.data_dir_text)

    @property
    def web_port(self) -> int:
        return int(self.web_port_text)

    @property
    def canonical_url(self) -> str:
        """Where other workers reach this one's web server."""
        return self.web_url or f"http://127.0.0.1:{self.web_port}"

    @property
    def is_local(self) -> bool:
        """Whether there is one broker, on this machine."""
        return self.broker.strip().rpartition(":")[0].strip("[]") in ("127.0.0.1", "localhost", "::1")

    @property
    def timeouts(self) -> Timeouts:
        return PROFILES[self.profile or ("local" if self.is_local else "cluster")]

    @property
    def kafka(self) -> dict[str, Any]:
        """What every librdkafka client of ours is told."""
        answer = int(self.timeouts.answer * 1000)
        return {
            "bootstrap.servers": self.broker,
            "client.id": self.app_id,
            "log_level": 3,
            "socket.timeout.ms": answer,
            "socket.connection.setup.timeout.ms": answer,
            "api.version.request.timeout.ms": answer,
        }


def describe(environment: Mapping[str, str] = os.environ) -> list[dict[str, str]]:
    """Every setting: name, effective value, where it comes from, and what it is."""
    settings = Settings.read(environment)
    return [
        {
            "name": each.metadata["env"],
            "value": getattr(settings, each.name) or "(automatic)",
            "source": "environment" if environment.get(each.metadata["env"], "").strip() else "default",
            "help": each.metadata["help"],
        }
        for each in fields(Settings)
    ]


def _duration(name: str, text: str) -> int | None:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise SettingsError(f"{name} is {text!r}; it is a time such as 30d, 12h, 90m, 45s, or 0 for never")
    return int(found[1]) * _UNITS[found[2]] * 1000 or None if found[1] else None


def without_password(url: str) -> str:
    """An address as it may be shown."""
    return _PASSWORD.sub(r"\1***@", _SECRET.sub(r"\1***", url))


def _is_between(text: str, least: int, most: int) -> bool:
    return text.isdigit() and least <= int(text) <= most


def _between(name: str, text: str, least: int, most: int) -> None:
    if not _is_between(text, least, most):
        raise SettingsError(f"{name} is {text!r}; it is a whole number from {least} to {most}")
