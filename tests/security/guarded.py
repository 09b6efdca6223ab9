"""A broker that authenticates every client, by SCRAM over TLS or by certificate, and allows what an ACL allows.

The tests' own instruments use its third listener, in plaintext, as the superuser; no process under test is told of it.
"""

import secrets
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from harness.ports import free_port
from saga_app.local import config
from saga_app.local.broker import Broker
from tests.security.acls import Row
from tests.security.authority import Authority

HOST = config.HOST
#: Runs a `saga` command with these settings.
Saga = Callable[..., "subprocess.CompletedProcess[str]"]


class Guarded:
    """The broker, its listeners and its users."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder / "certificates")
        self._own = self.authority.sign("broker")
        #: Of the user `worker`, with the mechanism PLAIN.
        self.plain_password = secrets.token_hex(16)
        self.passwords: dict[str, str] = {}
        self._ports = free_port(), free_port()
        self.broker = Broker(folder / "kafka", adapt=self._guard)

    @property
    def scram(self) -> str:
        """The listener for users with a password."""
        return f"{HOST}:{self._ports[0]}"

    @property
    def mutual(self) -> str:
        """The listener for users with a certificate."""
        return f"{HOST}:{self._ports[1]}"

    @property
    def open(self) -> str:
        """The open listener, for the tests alone."""
        return self.broker.address

    def password(self, user: str, password: str) -> None:
        """Creates the user, or changes its password."""
        self.passwords[user] = password
        scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        change = UserScramCredentialUpsertion(user, scram, password.encode())
        # Kept: an answer dies with its client.
        admin = self.admin()
        for changed in admin.alter_user_scram_credentials([change]).values():
            changed.result()

    def grant(self, rows: Iterable[Row]) -> None:
        """Grants these ACLs to the users with a password and to the users with a certificate."""
        bindings = [row.binding(f"User:{form}{row.user}") for row in rows for form in ("", "CN=")]
        admin = self.admin()
        for granted in admin.create_acls(bindings).values():
            granted.result()

    def with_password(self, user: str, password: str = "") -> dict[str, str]:
        """The settings of a process with its password, or with another one."""
        return {
            "SAGA_BROKER": self.scram,
            "SAGA_SECURITY": "sasl_ssl",
            "SAGA_SASL_USERNAME": user,
            "SAGA_SASL_PASSWORD": password or self.passwords[user],
            "SAGA_TLS_CA": str(self.authority.certificate),
        }

    def with_certificate(self, user: str) -> dict[str, str]:
        """The settings of a process with a certificate."""
        pair = self.authority.sign(user)
        return {
            "SAGA_BROKER": self.mutual,
            "SAGA_SECURITY": "ssl",
            "SAGA_TLS_CA": str(self.authority.certificate),
            "SAGA_TLS_CERT": str(pair.certificate),
            "SAGA_TLS_KEY": str(pair.key),
        }

    def admin(self) -> AdminClient:
        """An admin client of the superuser."""
        return AdminClient({"bootstrap.servers": self.open, "log_level": 3})

    def _guard(self, settings: dict[str, str]) -> dict[str, str]:
        listeners = f"SCRAM://{self.scram},MUTUAL://{self.mutual}"
        return {
            **settings,
            "listeners": f"{settings['listeners']},{listeners}",
            "advertised.listeners": f"{settings['advertised.listeners']},{listeners}",
            "listener.security.protocol.map": f"{settings['listener.security.protocol.map']},SCRAM:SASL_SSL,MUTUAL:SSL",
            "listener.name.mutual.ssl.client.auth": "required",
            "listener.name.scram.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
            "listener.name.scram.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
            "listener.name.scram.plain.sasl.jaas.config": (
                "org.apache.kafka.common.security.plain.PlainLoginModule required "
                f'user_worker="{self.plain_password}";'
            ),
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._own.both),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.authority.certificate),
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
        }
