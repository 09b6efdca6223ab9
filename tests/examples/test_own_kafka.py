"""docs/how-to/use-your-own-kafka.md and docs/how-to/secure-kafka.md, done on a broker that somebody else runs.

The broker is known by the address 127.1, which is this machine too but not one of the names for which a program speaks
plaintext unasked.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.ports import free_port
from saga_app.local.process import until
from tests.security.guarded import Guarded
from tests.support.blocks import blocks
from tests.support.shell import Shell, answers

pytestmark = pytest.mark.slow("a broker with users, and a worker for each way to speak to it")

SETTINGS, TOPICS, WORKER, COPY, SEE = blocks("docs/how-to/use-your-own-kafka.md")
PASSWORD, CERTIFICATE = blocks("docs/how-to/secure-kafka.md")
BASH = ("bash", "-euo", "pipefail", "-c")


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.close()


def replaced(block: str, names: dict[str, str]) -> str:
    """The block with the names of this test's broker, files and port; each of them is in some block."""
    for name, instead in names.items():
        block = block.replace(name, instead)
    return block.replace(". .venv/bin/activate && ", "")


def test_the_page_leads_to_an_order_that_completes_on_a_foreign_broker(
    guarded: Guarded, shell: Shell, tmp_path: Path
):
    port = str(free_port())
    names = {
        "kafka-1:9092,kafka-2:9092,kafka-3:9092": guarded.open.replace("127.0.0.1", "127.1"),
        "SAGA_REPLICATION=3": "SAGA_REPLICATION=1",
        "6066": port,
        "$PWD/.run/own": f"{tmp_path}/own",
        ".run/own": f"{tmp_path}/own",
    }
    assert all(name in SETTINGS for name in names)
    for block in (SETTINGS, TOPICS):
        shell.run([*BASH, replaced(block, names)], {})
    # A signal is for the program, and not for the shell that a terminal would keep.
    worker, copier = (
        re.sub(r"^(faust|saga) ", r"exec \1 ", each, flags=re.MULTILINE) for each in (WORKER, COPY)
    )
    log = shell.start([*BASH, replaced(worker, names)], {})
    shell.start([*BASH, replaced(copier, names)], {})
    answers(f"http://127.0.0.1:{port}/readyz", log)
    *sell, look = replaced(SEE, names).splitlines()
    assert "completed" in shell.run([*BASH, "\n".join(sell)], {})
    assert look == "saga doctor"
    # A copier that has just begun may be behind.
    assert "PROBLEM" not in shell.answer([*BASH, f"{sell[0]}\n{look}"], {})
    shell.stop()


@pytest.mark.parametrize("block", [PASSWORD, CERTIFICATE], ids=["password", "certificate"])
def test_a_worker_works_with_the_settings_of_the_page_about_security(
    guarded: Guarded, shell: Shell, tmp_path: Path, block: str
):
    pair = guarded.authority.sign("worker")
    (tmp_path / "password").write_text(guarded.passwords["worker"] + "\n")
    names = {
        "kafka-1.example:9093,kafka-2.example:9093": guarded.scram,
        "kafka-1.example:9094,kafka-2.example:9094": guarded.mutual,
        "/run/secrets/kafka": f"{tmp_path}/password",
        "/etc/kafka/ca.pem": str(guarded.authority.certificate),
        "/etc/kafka/worker.crt": str(pair.certificate),
        "/run/secrets/worker.key": str(pair.key),
    }
    shell.run(["saga", "topics", "--create", "--check"], guarded.with_password("operator"))
    own = replaced(block, names)
    settings = {"SAGA_DATA_DIR": f"{tmp_path}/data", "SAGA_WEB_PORT": str(free_port())}
    assert guarded.passwords["worker"] not in shell.run([*BASH, f"{own}\nsaga settings"], settings)
    log = shell.start([*BASH, f"{own}\nexec faust -A saga_app worker -l info"], settings)
    assert until(lambda: "worker ready" in log.read_text("utf-8"), 90), log.read_text("utf-8")[-3000:]
    shell.stop()
