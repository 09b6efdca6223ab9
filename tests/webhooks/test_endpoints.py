"""The file with the endpoints: what it may say, and that no mistake sends orders to others."""

from pathlib import Path

import pytest

from saga_app.settings import Settings, SettingsError
from saga_app.webhooks.endpoints import EVENTS, read_endpoints
from tests.webhooks.receiver import SECRET


def endpoints(folder: Path, text: str, secret: str = SECRET, mode: int = 0o600):
    file, keys = folder / "webhooks.toml", folder / "secret"
    file.write_text(text)
    keys.write_text(secret)
    keys.chmod(mode)
    return read_endpoints(Settings(webhooks_file=str(file)))


GOOD = '[shop]\nurl = "https://shop.example/hooks"\nsecret_file = "secret"\n'


def test_an_endpoint_has_an_address_and_a_secret_and_hears_every_event(tmp_path: Path):
    (shop,) = endpoints(tmp_path, GOOD)
    assert (shop.name, shop.url, shop.events) == ("shop", "https://shop.example/hooks", frozenset(EVENTS))
    assert not (shop.is_disabled or shop.begins_with_all or shop.is_private)
    assert SECRET not in repr(shop)


def test_of_two_secrets_both_sign(tmp_path: Path):
    (shop,) = endpoints(tmp_path, GOOD, f"{SECRET}\n{SECRET}\n")
    assert shop.secrets == (SECRET, SECRET)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("https", "http"), "in the clear"),
        (GOOD.replace("shop.example", "192.168.1.7"), "private address"),
        (GOOD.replace("shop.example", "[::1]"), "private address"),
        (GOOD.replace("shop.example", "169.254.169.254"), "private address"),
        (GOOD.replace("shop.example", "localhost:8080"), "private address"),
        (GOOD.replace("https://shop", "https://user:secret@shop"), "https://HOST/PATH"),
        (GOOD.replace("https://shop.example/hooks", "file:///etc/passwd"), "https://HOST/PATH"),
        (GOOD.replace("[shop]", '["../shop"]'), "no [NAME]"),
        (GOOD + 'events = ["order.placed"]\n', "events"),
        (GOOD + "events = []\n", "events"),
        (GOOD + "retries = 3\n", "retries"),
        ("", "1 to 50 endpoints"),
        ("[shop\n", "webhooks.toml"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, text: str, words: str):
    with pytest.raises(SettingsError, match=words.replace("[", r"\[")):
        endpoints(tmp_path, text)


@pytest.mark.parametrize("secret", ["", "geheim", "whsec_c2hvcnQ=", "whsec_!!!"])
def test_a_secret_that_is_short_or_none_is_refused_and_not_told(tmp_path: Path, secret: str):
    with pytest.raises(SettingsError, match="has no secret") as error:
        endpoints(tmp_path, GOOD, secret)
    assert not secret or secret not in str(error.value)


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="chmod 600"):
        endpoints(tmp_path, GOOD, mode=0o644)


def test_http_and_private_addresses_are_allowed_where_the_file_says_so(tmp_path: Path):
    text = GOOD.replace("https://shop.example", "http://10.0.0.7") + "plaintext = true\nprivate = true\n"
    (shop,) = endpoints(tmp_path, text)
    assert shop.is_private
