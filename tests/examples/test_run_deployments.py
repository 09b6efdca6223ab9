"""The commands of docker-compose.yml and of the Kubernetes manifests run with their own environment on a real broker.

Containers are missing: folders that a file mounts are below a folder of the test, and hosts are addresses here.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.ports import free_port
from harness.postgres import Postgres
from tests.security.guarded import Guarded
from tests.support.deployments import Deployed, compose, kubernetes, moved, secrets
from tests.support.shell import Shell, answers

pytestmark = pytest.mark.slow("a broker with users, and the processes of two deployments")


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    shell.close()


@pytest.fixture
def secret_files(tmp_path: Path, guarded: Guarded) -> Path:
    """A folder with the files that the Secret `saga-kafka` brings into a pod."""
    folder = tmp_path / "etc/kafka"
    folder.mkdir(parents=True)
    (folder / "ca.crt").write_bytes(guarded.authority.certificate.read_bytes())
    for user in ("worker", "orderdb"):
        (folder / user).write_text(guarded.passwords[user] + "\n")
    assert {each.name for each in folder.iterdir()} == set(secrets()["saga-kafka"])
    return folder


def one_order_completes(
    shell: Shell, worker: Deployed, pages: Deployed, other: dict[str, str], folder: Path, order: str
) -> None:
    """A worker is ready by its probe; its order ends, and all pages show it, so they know one database."""
    port = str(free_port())
    settings = {**moved(worker, folder), **other, "SAGA_WEB_PORT": port}
    log = shell.start(worker.command, settings)
    answers(f"http://127.0.0.1:{port}{worker.probe}", log)
    if worker.check:
        shell.run(worker.check, settings)
    shop = {name: value for name, value in settings.items() if not name.startswith("PYTHON")}
    shell.run(["saga", "receive", "PROBE:1", "--warehouse", order], shop)
    words = ["--order-id", order, "--warehouse", order, "--line", "PROBE:1:0.01", "--country", "GB"]
    shell.run(["saga", "place", *words], shop)
    answers(f"http://127.0.0.1:{port}/orders/{order}/", log, 60)
    shell.run(["saga", "order", order, "--follow"], shop)
    own = str(free_port())
    log = shell.start(pages.command, {**moved(pages, folder), **other, "SAGA_WEB_PORT": own})
    answers(f"http://127.0.0.1:{own}{pages.probe or '/livez'}", log)
    answers(f"http://127.0.0.1:{own}/orders/{order}/", log)


def test_the_services_of_compose_complete_an_order(guarded: Guarded, shell: Shell, tmp_path: Path):
    processes = {each.name: each for each in compose()}
    other = {"SAGA_BROKER": guarded.open, "SAGA_PROFILE": "local"}
    topics, worker, orderdb, pages = (
        processes[f"compose {name}"] for name in ("topics", "worker-1", "orderdb", "pages")
    )
    (tmp_path / "orders").mkdir()
    shell.run(topics.command, {**moved(topics, tmp_path), **other})
    shell.start(orderdb.command, {**moved(orderdb, tmp_path), **other})
    one_order_completes(shell, worker, pages, other, tmp_path, "compose-1")
    shell.stop()


def test_the_pods_of_kubernetes_complete_an_order(
    guarded: Guarded, postgres: Postgres, secret_files: Path, shell: Shell, tmp_path: Path
):
    operator = {**guarded.with_password("operator"), "SAGA_DB_URL": "sqlite:////none/of/its/business"}
    shell.run(["saga", "topics", "--create", "--check"], operator)
    worker, orderdb, pages = (
        next(each for each in kubernetes() if each.name == f"kubernetes saga-{name}")
        for name in ("worker", "orderdb", "pages")
    )
    other = {
        "SAGA_BROKER": guarded.scram,
        "SAGA_REPLICATION": "1",
        "SAGA_DB_URL": postgres.create("kubernetes"),
    }
    shell.start(orderdb.command, {**moved(orderdb, tmp_path), **other})
    one_order_completes(shell, worker, pages, other, tmp_path, "kubernetes-1")
    shell.stop()
