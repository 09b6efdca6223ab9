"""`saga api` and `saga api-token`, as people type them."""

import json
import socket
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.ports import free_port
from saga_app.commands import main


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    return tmp_path / "tokens"


def saga(*words: str, **settings: object) -> Result:
    given = {name: str(value) for name, value in settings.items()}
    return CliRunner().invoke(main, list(words), env=given)


def test_a_token_is_made_listed_and_revoked(tokens: Path):
    words = ("api-token", "new", "shop", "--scope", "order", "--scope", "read", "--days", "3", "--json")
    made = json.loads(saga(*words, SAGA_API_TOKENS=tokens).output.splitlines()[-1])
    assert made["name"] == "shop" and made["token"].startswith("saga_")
    listed = json.loads(saga("api-token", "list", "--json", SAGA_API_TOKENS=tokens).output)
    assert (listed["scopes"], listed["until"][-1]) == (["order", "read"], "Z")
    assert "revoked" in saga("api-token", "revoke", "shop", SAGA_API_TOKENS=tokens).output
    assert saga("api-token", "list", SAGA_API_TOKENS=tokens).output == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("api-token", "list"), "SAGA_API_TOKENS is not set"),
        (("api-token", "new", "shop", "--scope", "all"), "'all' is not one of"),
        (("api-token", "new", "shop"), "--scope"),
    ],
)
def test_a_mistake_is_one_line(words: tuple[str, ...], told: str):
    done = saga(*words)
    assert done.exit_code == 2 and told in done.stderr


def test_beyond_this_machine_the_api_does_not_start_without_tokens():
    done = saga("api", SAGA_API_BIND="0.0.0.0", SAGA_API_PORT=free_port())
    assert done.exit_code == 2 and done.stderr.count("\n") == 1
    assert "SAGA_API_TOKENS is not set" in done.stderr


def test_a_port_that_is_taken_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = saga("api", SAGA_API_PORT=other.getsockname()[1])
    assert done.exit_code == 1 and "choose another with --port" in done.stderr
