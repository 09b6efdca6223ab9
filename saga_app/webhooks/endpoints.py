"""The endpoints: a TOML file, which SAGA_WEBHOOKS names, with a table for each.

```toml
[shop]
url = "https://shop.example/hooks"
secret_file = "secrets/webhook-shop"
events = ["order.completed"]
```
"""

import ipaddress
import re
import tomllib
from base64 import b64decode
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from saga_app.kafka.order_outcomes import TYPES
from saga_app.private_files import is_open_to_others
from saga_app.settings import Settings, SettingsError
from saga_app.wrong_fields import each_wrong_field, wrong_fields

VARIABLE: Final = "SAGA_WEBHOOKS"
#: Endpoints at most: each is a consumer of its own.
MOST_ENDPOINTS: Final = 50
NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
#: Bytes of a secret, before base64: what Standard Webhooks asks for.
SHORTEST_SECRET: Final = 24
EVENTS: Final = tuple(TYPES.values())


class _Given(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
    secret_file: str
    events: Annotated[list[Literal["order.completed", "order.cancelled"]], Field(min_length=1)] | None = None
    disabled: bool = False
    begin: Literal["new", "all"] = "new"
    #: Allows http://, and addresses of private networks and of this machine.
    plaintext: bool = False
    private: bool = False


class WebhookEndpoint(NamedTuple):
    """One endpoint. Each of its secrets signs, so that one can be replaced without a gap; they are never shown.

    `begins_with_all`: the first process begins with all outcomes that the topic has, and not with new ones.
    `is_private`: its address may be that of a private network or of this machine.
    """

    name: str
    url: str
    secrets: tuple[str, ...]
    events: frozenset[str]
    is_disabled: bool
    begins_with_all: bool
    is_private: bool

    def __repr__(self) -> str:
        return f"WebhookEndpoint({self.name!r}, {self.url!r})"

    @classmethod
    def of(cls, name: str, given: dict[str, Any], folder: Path) -> Self:
        """The endpoint in a table of the file. Raises `SettingsError`."""
        try:
            table = _Given.model_validate(given)
        except ValidationError as error:
            raise _wrong(name, wrong_fields(each_wrong_field(error), 300)) from None
        url = urlsplit(table.url)
        if not url.hostname or url.username or url.fragment or url.scheme not in ("https", "http"):
            raise _wrong(name, "its url is https://HOST/PATH")
        if url.scheme == "http" and not table.plaintext:
            raise _wrong(name, "http:// sends orders in the clear; with plaintext = true it is allowed")
        if not table.private and is_private_address(url.hostname):
            raise _wrong(name, f"{url.hostname} is a private address; with private = true it is allowed")
        secrets = _secrets(name, folder / table.secret_file)
        return cls(
            name,
            table.url,
            secrets,
            frozenset(EVENTS if table.events is None else table.events),
            table.disabled,
            table.begin == "all",
            table.private,
        )


def read_endpoints(settings: Settings) -> list[WebhookEndpoint]:
    """All endpoints of the file that the settings name. Raises `SettingsError`."""
    if not settings.webhooks_file:
        raise SettingsError(f"{VARIABLE} is not set: the file with the endpoints (docs/how-to/webhooks.md)")
    path = Path(settings.webhooks_file)
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{VARIABLE} is {str(path)!r}: {error}") from error
    if not 1 <= len(found) <= MOST_ENDPOINTS:
        raise SettingsError(f"{VARIABLE} is {str(path)!r}: it has 1 to {MOST_ENDPOINTS} endpoints")
    for name, given in found.items():
        if not NAME.fullmatch(name) or not isinstance(given, dict):
            raise SettingsError(
                f"{VARIABLE} is {str(path)!r}: {name!r} is no [NAME] of a-z, 0-9 and -, in at most 32 characters"
            )
    return [WebhookEndpoint.of(name, given, path.parent) for name, given in found.items()]


def is_private_address(host: str) -> bool:
    """True if this is an address of no public network, or a name of this machine; other names are looked up later."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith((".localhost", ".local", ".internal"))


def _secrets(name: str, path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text("ascii").split()
        if is_open_to_others(path):
            raise _wrong(name, f"others may read its secret: chmod 600 {path}")
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(name, f"its secret_file {str(path)!r}: {error}") from error
    if not lines or not all(map(_is_secret, lines)):
        raise _wrong(
            name, f"{path} has no secret: whsec_ and {SHORTEST_SECRET} bytes or more in base64, on a line"
        )
    return tuple(lines)


def _is_secret(line: str) -> bool:
    prefix, _, encoded = line.partition("_")
    try:
        return prefix == "whsec" and len(b64decode(encoded, validate=True)) >= SHORTEST_SECRET
    except ValueError:
        return False


def _wrong(name: str, why: str) -> SettingsError:
    return SettingsError(f"{VARIABLE}, endpoint {name}: {why}")
