"""TLS and SASL for both client libraries, from the settings.

Protocols and mechanisms are Kafka's own (KIP-12, KIP-84). The broker's certificate and the name in it are always
checked. TLS 1.2 is the oldest version: OpenSSL 3 refuses older ones at its default security level.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

PROTOCOLS: Final = ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl")
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


class SettingsError(ValueError):
    """A setting has an invalid value; the message names the variable and the valid values."""


@dataclass(frozen=True)
class Security:
    """The credentials of a client, and the authority that it trusts. An empty text is not given."""

    protocol: str
    mechanism: str
    username: str
    password: str = field(repr=False)
    ca: str
    certificate: str
    key: str

    @property
    def sasl(self) -> bool:
        return self.protocol.startswith("sasl")

    @property
    def tls(self) -> bool:
        return self.protocol.endswith("ssl")

    def check(self) -> None:
        """Raises `SettingsError` with the first setting that is wrong, missing, or has no effect."""
        if self.protocol not in PROTOCOLS:
            raise SettingsError(f"SAGA_SECURITY is {self.protocol!r}; it is one of {', '.join(PROTOCOLS)}")
        if self.mechanism not in MECHANISMS:
            raise SettingsError(
                f"SAGA_SASL_MECHANISM is {self.mechanism!r}; it is one of {', '.join(MECHANISMS)}"
            )
        self._check_use()
        self.context()

    def _check_use(self) -> None:
        """Every setting has an effect, and no needed one is missing. A password without SASL is probably an error."""
        of_sasl = {
            "SAGA_SASL_USERNAME": self.username,
            "SAGA_SASL_PASSWORD": self.password,
        }
        of_tls = {"SAGA_TLS_CA": self.ca, "SAGA_TLS_CERT": self.certificate, "SAGA_TLS_KEY": self.key}
        for used, settings, needed in (
            (self.sasl, of_sasl, "sasl_ssl"),
            (self.tls, of_tls, "ssl or sasl_ssl"),
        ):
            for name, value in settings.items():
                if value and not used:
                    raise SettingsError(
                        f"{name} is set, but SAGA_SECURITY is {self.protocol}, which uses none: set it to {needed}"
                    )
        if self.sasl and not self.username:
            raise SettingsError(f"SAGA_SASL_USERNAME is not set; SAGA_SECURITY={self.protocol} needs one")
        if self.sasl and not self.password:
            raise SettingsError(
                f"SAGA_SECURITY={self.protocol} needs SAGA_SASL_PASSWORD, or SAGA_SASL_PASSWORD_FILE"
            )
        if bool(self.certificate) != bool(self.key):
            raise SettingsError("SAGA_TLS_CERT and SAGA_TLS_KEY belong together; only one of them is set")

    def context(self) -> ssl.SSLContext | None:
        """The TLS context for aiokafka, which Faust uses; None without TLS. `SettingsError` if a file is unusable."""
        if not self.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca or None)
        except (OSError, ValueError) as error:
            raise SettingsError(f"SAGA_TLS_CA is {self.ca!r}: {_why(error)}") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate:
            try:
                context.load_cert_chain(self.certificate, self.key, _no_passphrase)
            except (OSError, ValueError) as error:
                raise SettingsError(
                    f"SAGA_TLS_CERT is {self.certificate!r} and SAGA_TLS_KEY {self.key!r}: {_why(error)}"
                ) from None
        return context

    def librdkafka(self) -> dict[str, Any]:
        """The options for librdkafka."""
        options: dict[str, Any] = {"security.protocol": self.protocol}
        if self.tls:
            options |= {
                "enable.ssl.certificate.verification": True,
                "ssl.endpoint.identification.algorithm": "https",
            }
            files = {
                "ssl.ca.location": self.ca,
                "ssl.certificate.location": self.certificate,
                "ssl.key.location": self.key,
            }
            options |= {name: file for name, file in files.items() if file}
        if self.sasl:
            options |= {
                "sasl.mechanism": self.mechanism,
                "sasl.username": self.username,
                "sasl.password": self.password,
            }
        return options


def aiokafka_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options of aiokafka that say what these of librdkafka say; see `Security.librdkafka`."""
    security = Security(
        config.get("security.protocol", "plaintext"),
        config.get("sasl.mechanism", "PLAIN"),
        config.get("sasl.username", ""),
        config.get("sasl.password", ""),
        ca=config.get("ssl.ca.location", ""),
        certificate=config.get("ssl.certificate.location", ""),
        key=config.get("ssl.key.location", ""),
    )
    return {
        "bootstrap_servers": config["bootstrap.servers"],
        "client_id": config.get("client.id", "saga"),
        "security_protocol": security.protocol.upper(),
        "ssl_context": security.context(),
        "sasl_mechanism": security.mechanism,
        "sasl_plain_username": security.username or None,
        "sasl_plain_password": security.password or None,
    }


def _no_passphrase() -> str:
    """The callback for an encrypted key; without it OpenSSL asks on the terminal, and a worker has none."""
    raise ValueError("the key is encrypted with a passphrase; decrypt it into a file that only you can read")


def _why(error: Exception) -> str:
    """The reason in words; OpenSSL says little about a file that is not PEM."""
    if isinstance(error, ssl.SSLError):
        if error.reason == "KEY_VALUES_MISMATCH":
            return "the key is not that of the certificate"
        return "a file does not hold what it should, as PEM"
    return getattr(error, "strerror", None) or str(error)
