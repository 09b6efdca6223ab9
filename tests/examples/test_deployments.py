"""Every process of the deployments has settings that work, one database with the others, and no open door.

The processes are read from the files and pages themselves (`tests/support/deployments.py`).
"""

import re
from itertools import chain, groupby
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from saga_app import commands, urls
from saga_app.settings import Settings, given_names
from tests.security.authority import Authority
from tests.support.blocks import ROOT
from tests.support.deployments import (
    COMPOSE,
    Deployed,
    everything,
    image,
    kubernetes,
    manifests,
    moved,
    secrets,
)

PROCESSES = everything()
#: The programs that installing this project makes.
PROGRAMS = {"saga", "faust"}


def kind(process: Deployed) -> str:
    """Compose, Kubernetes or systemd."""
    return process.name.partition(" ")[0]


def deployments() -> dict[str, list[Deployed]]:
    """The processes of each kind that know the order database."""
    return {
        name: [each for each in processes if "topics" not in each.command]
        for name, processes in groupby(PROCESSES, kind)
    }


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that a Secret brings."""
    folder = tmp_path_factory.mktemp("given")
    kafka = folder / "etc/kafka"
    kafka.mkdir(parents=True)
    (kafka / "ca.crt").write_bytes(Authority(folder / "authority").certificate.read_bytes())
    for user in ("worker", "orderdb"):
        (kafka / user).write_text("a password\n")
    return folder


def test_each_kind_has_a_worker_and_the_order_database():
    for name, processes in deployments().items():
        assert [each.name for each in processes if each.is_worker], name
        assert [each.name for each in processes if each.command[-2:] == ["orderdb", "run"]], name
        assert [each.name for each in processes if each.serves and not each.is_worker], name
    assert deployments().keys() == {"compose", "kubernetes", "systemd"}


@pytest.mark.parametrize("process", PROCESSES, ids=lambda each: each.name)
def test_saga_settings_finds_nothing_wrong_with_its_environment(process: Deployed, given: Path):
    own = {name: value for name, value in moved(process, given).items() if name.startswith("SAGA_")}
    done = CliRunner().invoke(commands.main, ["settings"], env=own)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("process", PROCESSES, ids=lambda each: each.name)
def test_every_setting_that_it_is_given_exists(process: Deployed):
    named = {name for name in process.environment if name.startswith("SAGA_")}
    assert named and named <= {*given_names()}


@pytest.mark.parametrize("process", PROCESSES, ids=lambda each: each.name)
def test_its_command_is_there_with_these_options(process: Deployed):
    program, *words = process.command
    assert Path(program).name in PROGRAMS
    if Path(program).name == "faust":
        assert process.is_worker
        return
    command: click.Command = commands.main
    context = click.Context(command)
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None, name
        command = found
    command.make_context(command.name, words)


@pytest.mark.parametrize("process", [*chain(*deployments().values())], ids=lambda each: each.name)
def test_every_file_and_folder_that_it_uses_is_given_to_it(process: Deployed):
    used = [
        found[1]
        for name, value in process.environment.items()
        if name.startswith("SAGA_") and (found := re.fullmatch(r"(?:sqlite:///)?(/\S+)", value))
        # It is the image's, and only a worker has tables.
        if process.is_worker or name != "SAGA_DATA_DIR"
    ]
    assert not process.is_worker or used
    for path in used:
        assert any(Path(path).is_relative_to(folder) for folder in process.folders), path


@pytest.mark.parametrize("name", deployments())
def test_all_processes_of_a_deployment_have_the_same_saga_and_one_database(name: str):
    for setting in ("SAGA_BROKER", "SAGA_APP_ID", "SAGA_PARTITIONS", "SAGA_REPLICATION", "SAGA_DB_URL"):
        values = {each.environment.get(setting, "default") for each in deployments()[name]}
        assert len(values) == 1, setting
    # A file by its whole path: each process has a working folder of its own.
    assert re.match(r"sqlite:////\w|postgresql://", values.pop())


@pytest.mark.parametrize("process", [each for each in PROCESSES if each.serves], ids=lambda each: each.name)
def test_a_server_that_other_machines_reach_asks_for_a_token(process: Deployed, given: Path):
    settings = Settings.read(moved(process, given))
    assert settings.is_web_local or len(settings.web_token) >= 32
    assert "CHANGE" not in settings.web_token


def test_the_image_listens_on_loopback_until_somebody_gives_it_an_address_and_a_token():
    assert "SAGA_WEB_BIND" not in image()


def test_every_image_is_pinned_to_a_version():
    services = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"].values()
    base = re.findall(r"^FROM (\S+)(?: AS \w+)?$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    pods = [each.image for each in kubernetes()]
    for name in [*base, *pods, *(each["image"] for each in services)]:
        assert re.search(r":v?\d+\.\d+\.\d+(-[\w-]+)?$", name), name


@pytest.mark.parametrize(
    "process", [each for each in PROCESSES if each.is_worker], ids=lambda each: each.name
)
def test_a_worker_is_probed_at_the_path_that_tells_if_it_is_ready(process: Deployed):
    assert process.probe == ("" if kind(process) == "systemd" else urls.IS_READY)


def test_every_key_of_a_secret_that_a_pod_wants_is_made_on_the_page():
    made = secrets()
    for manifest in manifests():
        if manifest["kind"] not in ("StatefulSet", "Deployment"):
            continue
        pod = manifest["spec"]["template"]["spec"]
        for volume in (each for each in pod["volumes"] if "secret" in each):
            wanted = {item["key"] for item in volume["secret"]["items"]}
            assert wanted <= set(made[volume["secret"]["secretName"]])


@pytest.mark.parametrize(
    "name",
    [each["metadata"]["name"] for each in manifests() if each["kind"] in ("StatefulSet", "Deployment")],
)
def test_a_pod_may_do_nothing_that_the_restricted_standard_of_kubernetes_forbids(name: str):
    (pod,) = [
        each["spec"]["template"]["spec"]
        for each in manifests()
        if each["metadata"]["name"] == name and each["kind"] in ("StatefulSet", "Deployment")
    ]
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["seccompProfile"]
    for container in pod["containers"]:
        own = container["securityContext"]
        assert not own["allowPrivilegeEscalation"] and own["capabilities"] == {"drop": ["ALL"]}
        assert own["readOnlyRootFilesystem"]


def test_a_container_of_the_compose_file_gains_no_rights_and_has_no_default_password():
    for name, service in yaml.safe_load(COMPOSE.read_text("utf-8"))["services"].items():
        assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("read_only") or name == "kafka", name
        environment = service.get("environment", {})
        assert not [key for key in environment if key.endswith("PASSWORD")], name
        assert environment.get("GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION", "true") == "true"


def test_the_image_has_no_installer():
    *_, final = (ROOT / "Dockerfile").read_text("utf-8").partition("\nFROM ")[2].partition("\nFROM ")
    assert "pip uninstall --yes setuptools wheel pip" in final and "pip install" not in final
