"""The settings, read once from the environment. Their names stand only here."""

import os
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

from saga_app import setting_values as values
from saga_app.core.step_names import VARIABLE as STEPS_VARIABLE
from saga_app.secret_values import secret_in, without_password
from saga_app.security import Security, SettingsError, aiokafka_options
from saga_app.setting_values import FOR_EVER
from saga_app.signing_keys import KEYS, SINCE, SigningKeys
from saga_app.timeouts import PROFILES, Timeouts
from saga_app.topics import DEFAULT_PARTITIONS

__all__ = ["Settings", "SettingsError", "describe"]


#: Formats of a worker's log.
LOGS: Final = ("console", "json")

#: What a worker does on topics with more partitions than `SAGA_PARTITIONS`.
ADDED: Final = ("refuse", "leave")


_WHY_INBOXES: Final = (
    "workers that were stopped find their place in an inbox for 7 days, by Kafka's offsets.retention.minutes, and what "
    "they have not decided must be there for as long"
)
_WHY_LETTERS: Final = "somebody must find time to look at each dead letter"
#: A setting with such an end of its name is never shown.
SECRET: Final = ("PASSWORD", "SECRET", "TOKEN")
#: Behind the name of a secret setting: the name of the setting with the file that holds it.
FILE: Final = "_FILE"
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


def _setting(name: str, default: str, help: str, *, shown: bool = True) -> Any:
    """A field. `shown` is False for a value that is secret in part: `repr` leaves it out.

    A value that is secret, or is so in part, may be in a file: `FILE` behind the name of the setting names it.
    """
    secret = name.endswith(SECRET)
    shown = shown and not secret
    more = "" if shown else f"; or {name}{FILE} names a file that holds it"
    return field(default=default, repr=shown, metadata={"env": name, "help": help + more, "secret": secret})


@dataclass(frozen=True)
class Settings:
    """The effective settings as text; the properties have them in their types."""

    broker: str = _setting("SAGA_BROKER", "127.0.0.1:9092", "Kafka brokers, host:port, separated by commas")
    security_text: str = _setting(
        "SAGA_SECURITY",
        "",
        "plaintext, ssl, sasl_plaintext or sasl_ssl (default: plaintext, if all brokers are on this machine)",
    )
    sasl_mechanism: str = _setting(
        "SAGA_SASL_MECHANISM", "SCRAM-SHA-512", "PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
    )
    sasl_username: str = _setting("SAGA_SASL_USERNAME", "", "user at the broker, for sasl_...")
    sasl_password: str = _setting("SAGA_SASL_PASSWORD", "", "this user's password, never shown")
    tls_ca: str = _setting(
        "SAGA_TLS_CA", "", "PEM file: who may have signed the broker's certificate (default: the system's)"
    )
    tls_cert: str = _setting("SAGA_TLS_CERT", "", "PEM file: our own certificate, for mutual TLS")
    tls_key: str = _setting("SAGA_TLS_KEY", "", "PEM file: the key of our certificate")
    signing_keys_file: str = _setting(
        KEYS,
        "",
        "file with the keys of services' signatures, a line for each: ID SECRET [UNTIL]; the first one signs",
    )
    signed_since: str = _setting(
        SINCE,
        "",
        "records that Kafka takes from this time on need a signature if only services send them: 2026-01-31T12:00 "
        "(UTC), or FROM/UNTIL; `never` says that none has ever needed one",
    )
    environment: str = _setting(
        "SAGA_ENVIRONMENT",
        "",
        "name of this environment in the header and title of the pages, such as production",
    )
    app_id: str = _setting("SAGA_APP_ID", "saga", "consumer group and prefix of the changelogs")
    partitions_text: str = _setting(
        "SAGA_PARTITIONS", str(DEFAULT_PARTITIONS), "partitions of every topic; fixed for their life"
    )
    added_partitions: str = _setting(
        "SAGA_ADDED_PARTITIONS",
        "refuse",
        "partitions that somebody added to a topic: refuse to start, or leave them alone and work on",
    )
    replication_text: str = _setting(
        "SAGA_REPLICATION", "1", "replicas of every topic that is created; from 3 on, 2 must have a record"
    )
    inbox_retention_text: str = _setting(
        "SAGA_INBOX_RETENTION", FOR_EVER, "how long records stay in the inboxes: forever, or days, 7 at least"
    )
    dead_letter_retention_text: str = _setting(
        "SAGA_DEAD_LETTER_RETENTION", FOR_EVER, "how long dead letters stay: forever, or days, 7 at least"
    )
    data_dir_text: str = _setting("SAGA_DATA_DIR", ".run/data", "this worker's tables; one folder per worker")
    db_url: str = _setting(
        "SAGA_DB_URL",
        "sqlite:///.run/orders.db",
        "the order database: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME; a FILE without a first / is below "
        "the folder of this project, or below the home folder if only the package is installed",
        shown=False,
    )
    outbox_url: str = _setting(
        "SAGA_OUTBOX_URL",
        "",
        "the shop's database with its outbox, for `saga outbox`: postgresql://USER:PASSWORD@HOST/NAME or sqlite:///FILE",
        shown=False,
    )
    webhooks_file: str = _setting(
        "SAGA_WEBHOOKS", "", "file with the endpoints to which `saga webhooks run` posts how orders ended"
    )
    webhooks_bind: str = _setting(
        "SAGA_WEBHOOKS_BIND", "127.0.0.1", "address at which `saga webhooks run` has its metrics"
    )
    webhooks_port_text: str = _setting(
        "SAGA_WEBHOOKS_PORT", "0", "port of these metrics; one per process, and 0 is none"
    )
    web_bind: str = _setting("SAGA_WEB_BIND", "127.0.0.1", "address that the worker's web server listens on")
    web_port_text: str = _setting("SAGA_WEB_PORT", "6066", "port of the worker's web server; one per worker")
    web_url: str = _setting(
        "SAGA_WEB_URL", "", "address at which other workers reach this one (default: from the port)"
    )
    web_hosts_text: str = _setting(
        "SAGA_WEB_HOSTS",
        "",
        "further names of the worker's web server, separated by commas, without ports; it answers to no other names",
    )
    web_token: str = _setting(
        "SAGA_WEB_TOKEN",
        "",
        "what pages ask for before they change something; without it only pages on 127.0.0.1 can",
    )
    web_login: str = _setting(
        "SAGA_WEB_LOGIN",
        "",
        "how visitors of the pages log in: tokens (of SAGA_API_TOKENS), proxy (by a header of a proxy), or not at all",
    )
    web_user_header: str = _setting(
        "SAGA_WEB_USER_HEADER",
        "",
        "with SAGA_WEB_LOGIN=proxy, the header with the user, such as X-Forwarded-User",
    )
    web_proxies: str = _setting(
        "SAGA_WEB_PROXIES", "", "addresses or networks, separated by commas, from which that header counts"
    )
    web_operators: str = _setting(
        "SAGA_WEB_OPERATORS", "", "the users who may change something, separated by commas; * is everybody"
    )
    api_bind: str = _setting("SAGA_API_BIND", "127.0.0.1", "address that `saga api` listens on")
    api_port_text: str = _setting("SAGA_API_PORT", "6080", "port of `saga api`; one per process")
    api_hosts_text: str = _setting(
        "SAGA_API_HOSTS",
        "",
        "further names of `saga api`, separated by commas, without ports; it answers to no other names",
    )
    api_tokens_file: str = _setting(
        "SAGA_API_TOKENS",
        "",
        "file with the hashes of the tokens of API and pages, which `saga api-token` writes; without it only an API on "
        "127.0.0.1 starts, and needs none",
    )
    profile: str = _setting(
        "SAGA_PROFILE", "", "timeouts: local or cluster (default: local for one broker, on this machine)"
    )
    traces: str = _setting(
        "SAGA_TRACES",
        "",
        "where `saga orderdb run` sends a trace of each order: http://HOST:4318/v1/traces (OTLP)",
        shown=False,
    )
    actor: str = _setting(
        "SAGA_ACTOR",
        "",
        "who acts, in the operator log and in records that are sent (default: the user @ this machine)",
    )
    operator_log: str = _setting(
        "SAGA_OPERATOR_LOG",
        "",
        "file to which each action of a person is appended, one JSON object per line (default: only the process's log)",
    )
    log: str = _setting("SAGA_LOG", "console", "how a worker logs: console, or json, one object per line")
    order_retention_text: str = _setting(
        "SAGA_ORDER_RETENTION",
        "30d",
        "rows of orders that ended so long ago are evicted: such as 30d, 12h, 90m, 45s; 0 is never",
    )
    order_id_retention_text: str = _setting(
        "SAGA_ORDER_ID_RETENTION",
        "365d",
        "so long after that their ids are purged and free again; 0 is never",
    )

    steps: str = _setting(
        STEPS_VARIABLE,
        "",
        "modules with steps of your own, separated by commas, the same for every process; read when it starts",
    )
    providers: str = _setting(
        "SAGA_PROVIDERS",
        "",
        "providers of outside effects, NAME=MODULE:FACTORY, separated by commas; orders that name another one wait",
    )
    provider_timeout_text: str = _setting(
        "SAGA_PROVIDER_TIMEOUT", "20s", "how long one call to a provider may take"
    )
    provider_calls_text: str = _setting("SAGA_PROVIDER_CALLS", "64", "calls to one provider at once")

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Settings from the environment; `SettingsError` if one is invalid."""
        given = {each.name: _given(each, environment)[0] for each in fields(cls)}
        settings = cls(**{name: text for name, text in given.items() if text})
        settings.check()
        return replace(settings, db_url=values.with_full_path(settings.db_url))

    def check(self) -> None:
        """Raises `SettingsError` with the first invalid setting."""
        values.require_number("SAGA_PARTITIONS", self.partitions_text, 1, 1000)
        values.require_number("SAGA_REPLICATION", self.replication_text, 1, 9)
        values.require_number("SAGA_WEB_PORT", self.web_port_text, 1, 65535)
        values.require_number("SAGA_API_PORT", self.api_port_text, 1, 65535)
        values.require_number("SAGA_WEBHOOKS_PORT", self.webhooks_port_text, 0, 65535)
        values.require_one_of("SAGA_ADDED_PARTITIONS", self.added_partitions, ADDED)
        values.require_one_of("SAGA_PROFILE", self.profile, ("", *PROFILES))
        values.require_one_of("SAGA_LOG", self.log, LOGS)
        values.require_actor("SAGA_ACTOR", self.actor)
        values.require_actor("SAGA_ENVIRONMENT", self.environment)
        values.milliseconds("SAGA_ORDER_RETENTION", self.order_retention_text)
        values.milliseconds("SAGA_ORDER_ID_RETENTION", self.order_id_retention_text)
        values.milliseconds("SAGA_PROVIDER_TIMEOUT", self.provider_timeout_text)
        values.require_number("SAGA_PROVIDER_CALLS", self.provider_calls_text, 1, 10_000)
        values.factories("SAGA_PROVIDERS", self.providers)
        values.require_database("SAGA_DB_URL", self.db_url)
        if self.outbox_url:
            values.require_database("SAGA_OUTBOX_URL", self.outbox_url)
        values.require_collector("SAGA_TRACES", self.traces)
        values.require_days("SAGA_INBOX_RETENTION", self.inbox_retention_text, _WHY_INBOXES)
        values.require_days("SAGA_DEAD_LETTER_RETENTION", self.dead_letter_retention_text, _WHY_LETTERS)
        values.require_brokers("SAGA_BROKER", self.broker)
        if not self.security_text and not self._all_here:
            raise SettingsError(
                f"SAGA_SECURITY is not set, and SAGA_BROKER, {self.broker}, is not this machine: set it to sasl_ssl or "
                "ssl, or to plaintext where nobody else can listen or write; see docs/how-to/secure-kafka.md"
            )
        self.security.check()
        _ = self.signing_keys

    @property
    def signing_keys(self) -> SigningKeys | None:
        """The keys of the services' signatures, read from their file; None if nobody signs."""
        return SigningKeys.read(self.signing_keys_file, self.signed_since)

    @property
    def security(self) -> Security:
        """TLS and SASL."""
        return Security(
            protocol=self.security_text.lower() or "plaintext",
            mechanism=self.sasl_mechanism.upper(),
            username=self.sasl_username,
            password=self.sasl_password,
            ca=self.tls_ca,
            certificate=self.tls_cert,
            key=self.tls_key,
        )

    @property
    def _all_here(self) -> bool:
        """True if all brokers are on this machine."""
        return all(_host(server) in LOOPBACK for server in self.broker.split(","))

    @property
    def partitions(self) -> int:
        return int(self.partitions_text)

    @property
    def leaves_added_partitions(self) -> bool:
        """True if a worker works on topics to which partitions were added."""
        return self.added_partitions == "leave"

    @property
    def replication(self) -> int:
        return int(self.replication_text)

    @property
    def order_retention(self) -> int | None:
        """Milliseconds; None is never."""
        return values.milliseconds("SAGA_ORDER_RETENTION", self.order_retention_text)

    @property
    def order_id_retention(self) -> int | None:
        """Milliseconds; None is never."""
        return values.milliseconds("SAGA_ORDER_ID_RETENTION", self.order_id_retention_text)

    @property
    def provider_factories(self) -> dict[str, str]:
        """By the name of a provider, the place of its factory, `MODULE:FACTORY`."""
        return values.factories("SAGA_PROVIDERS", self.providers)

    @property
    def provider_timeout(self) -> float:
        """Seconds."""
        return (values.milliseconds("SAGA_PROVIDER_TIMEOUT", self.provider_timeout_text) or 20_000) / 1000

    @property
    def provider_calls(self) -> int:
        return int(self.provider_calls_text)

    @property
    def inbox_retention(self) -> timedelta | None:
        """The time for which records stay in the inboxes; None is for ever."""
        return values.days(self.inbox_retention_text)

    @property
    def dead_letter_retention(self) -> timedelta | None:
        """The time for which dead letters stay; None is for ever."""
        return values.days(self.dead_letter_retention_text)

    @property
    def data_dir(self) -> Path:
        return Path(self.data_dir_text)

    @property
    def web_port(self) -> int:
        return int(self.web_port_text)

    @property
    def webhooks_port(self) -> int:
        """0: no metrics."""
        return int(self.webhooks_port_text)

    @property
    def canonical_url(self) -> str:
        """The address of this worker's web server for other workers."""
        return self.web_url or f"http://127.0.0.1:{self.web_port}"

    @property
    def is_web_local(self) -> bool:
        """True if only this machine can reach the web server."""
        return self.web_bind in LOOPBACK

    @property
    def web_hosts(self) -> frozenset[str]:
        """The names of the web server: loopback's, those that it listens on and is reached at, and SAGA_WEB_HOSTS."""
        given = (each.strip().strip("[]").lower() for each in self.web_hosts_text.split(","))
        own = (self.web_bind.strip("[]").lower(), urlsplit(self.canonical_url).hostname or "")
        return frozenset({*LOOPBACK, *own, *given} - {""})

    @property
    def api_port(self) -> int:
        return int(self.api_port_text)

    @property
    def is_api_local(self) -> bool:
        """True if only this machine can reach the API."""
        return self.api_bind in LOOPBACK

    @property
    def api_hosts(self) -> frozenset[str]:
        """The names of the API: loopback's, those that it listens on, and SAGA_API_HOSTS."""
        given = (each.strip().strip("[]").lower() for each in self.api_hosts_text.split(","))
        return frozenset({*LOOPBACK, self.api_bind.strip("[]").lower(), *given} - {""})

    @property
    def is_local(self) -> bool:
        """True if there is one broker, on this machine."""
        return "," not in self.broker and self._all_here

    @property
    def timeouts(self) -> Timeouts:
        return PROFILES[self.profile or ("local" if self.is_local else "cluster")]

    @property
    def kafka(self) -> dict[str, Any]:
        """The configuration of every librdkafka client. It has the password: never print it."""
        answer = int(self.timeouts.answer * 1000)
        return {
            "bootstrap.servers": self.broker,
            "client.id": self.app_id,
            # Calls and `error_cb` report errors; librdkafka's own lines would be ten a second while a broker is away.
            "log_level": 0,
            "socket.timeout.ms": answer,
            "socket.connection.setup.timeout.ms": answer,
            "api.version.request.timeout.ms": answer,
            **self.security.librdkafka(),
        }

    @property
    def aiokafka(self) -> dict[str, Any]:
        """The configuration of a client of aiokafka. It has the password: never print it."""
        return aiokafka_options(self.kafka)


def readers_group(kafka: Mapping[str, Any]) -> str:
    """The group id of consumers with assigned partitions. They join no group, but librdkafka looks for its coordinator,
    and an ACL must allow that."""
    return f"{kafka.get('client.id', 'saga')}-readers"


def given_names(*, secrets: bool = True) -> list[str]:
    """The names of all settings in the environment, with those of files; without `secrets`, none that is a secret."""
    names: list[str] = []
    for each in fields(Settings):
        name = each.metadata["env"]
        names += [name] if secrets or not each.metadata["secret"] else []
        names += [] if each.repr else [name + FILE]
    return names


def describe(environment: Mapping[str, str] = os.environ) -> list[dict[str, str]]:
    """Every setting: name, effective value, source, and help."""
    settings = Settings.read(environment)
    return [
        {
            "name": each.metadata["env"],
            "value": _shown(getattr(settings, each.name), each.metadata["secret"]),
            "source": _given(each, environment)[1],
            "help": each.metadata["help"],
        }
        for each in fields(Settings)
    ]


def _given(setting: Field[str], environment: Mapping[str, str]) -> tuple[str, str]:
    """The given value and its source; empty and `default` if none is given. `SettingsError` if its file is unusable."""
    name: str = setting.metadata["env"]
    text = environment.get(name, "").strip()
    file = "" if setting.repr else environment.get(name + FILE, "").strip()
    if file and text:
        raise SettingsError(f"{name} and {name}{FILE} are set, and only one of them may be")
    if file:
        return secret_in(name + FILE, file), name + FILE
    return text, "environment" if text else "default"


def _shown(value: str, secret: bool) -> str:
    if not value:
        return "(none)"
    return "(hidden)" if secret else without_password(value)


def _host(server: str) -> str:
    return server.strip().rpartition(":")[0].strip("[]")
