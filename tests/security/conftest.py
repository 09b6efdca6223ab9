"""One guarded broker for all tests of a module, with the users and the ACLs of docs/how-to/secure-kafka.md."""

import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.worker import environment
from tests.security import acls
from tests.security.guarded import Guarded, Saga

USERS = ("worker", "orderdb", "shop", "operator")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """Running, with all users, whose passwords are in `guarded.passwords`."""
    guarded = Guarded(tmp_path_factory.mktemp("guarded"))
    try:
        guarded.broker.start().wait()
        guarded.grant(acls.listed())
        for user in USERS:
            guarded.password(user, secrets.token_hex(16))
        yield guarded
    finally:
        guarded.broker.remove()


@pytest.fixture(scope="module")
def saga(tmp_path_factory: pytest.TempPathFactory) -> Saga:
    """The output and the exit code of the command."""
    folder = tmp_path_factory.mktemp("saga")

    def run(*words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
        broker = settings.pop("SAGA_BROKER")
        return subprocess.run(
            [str(Path(sys.executable).with_name("saga")), *words],
            env=environment(
                broker, folder / "data", 1, SAGA_DB_URL=f"sqlite:///{folder}/orders.db", **settings
            ),
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    return run
