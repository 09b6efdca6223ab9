"""The processes that the files for Docker Compose, Kubernetes and systemd start: each with its command and settings.

Everything is read from these files and from the pages about them, so that a test of a process is a test of the file.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support.blocks import ROOT, blocks

COMPOSE: Final = ROOT / "docker-compose.yml"
KUBERNETES: Final = ROOT / "examples/kubernetes/saga.yaml"
UNIT_FOLDER: Final = ROOT / "examples/systemd"
#: The number with which a test starts the unit for workers.
NUMBER: Final = "1"
#: For a variable that a person must set, as Compose reads it from `.env` or Kubernetes from a Secret.
GIVEN: Final = {
    "SAGA_WEB_TOKEN": "0123456789abcdef0123456789abcdef",
    "SAGA_DB_URL": "postgresql://saga:secret@postgresql/saga",
}


@dataclass(frozen=True)
class Deployed:
    """One process, as its supervisor starts it."""

    name: str
    command: list[str]
    environment: dict[str, str]
    #: Folders that it may write, or in which it finds files that are given to it.
    folders: list[str] = field(default_factory=list)
    #: The path that a probe asks at the web port.
    probe: str = ""
    image: str = ""
    #: The command that looks if it is healthy.
    check: list[str] = field(default_factory=list)

    @property
    def is_worker(self) -> bool:
        return self.command[-4:] == ["saga_app", "worker", "-l", "info"]

    @property
    def serves(self) -> bool:
        """True if it listens at SAGA_WEB_PORT."""
        return self.is_worker or self.command[-1:] == ["pages"]


def compose() -> list[Deployed]:
    """The services that run this project."""
    services: dict[str, Any] = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]
    found = []
    for name, service in services.items():
        if "build" in service:
            given = {key: _interpolated(value) for key, value in service["environment"].items()}
            folders = [volume.partition(":")[2] for volume in service.get("volumes", [])]
            check = service.get("healthcheck", {}).get("test", ["CMD"])
            asked = re.search(r"/\w+z\b", check[-1])
            found.append(
                Deployed(
                    f"compose {name}",
                    service["command"],
                    {**image(), **given},
                    folders,
                    asked[0] if asked else "",
                    service["image"],
                    check[1:],
                )
            )
    return found


def image() -> dict[str, str]:
    """The environment that the image gives to each of its processes."""
    (env,) = re.findall(r"^ENV ((?:.*\\\n)*.*)$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    return dict(each.split("=", 1) for each in env.replace("\\\n", " ").split())


def manifests() -> list[dict[str, Any]]:
    """The manifests, as `kubectl apply` gets them."""
    return list(yaml.safe_load_all(KUBERNETES.read_text("utf-8")))


def kubernetes() -> list[Deployed]:
    """One pod of each set and deployment."""
    values = {
        (each["kind"], each["metadata"]["name"]): each["data"]
        for each in manifests()
        if each["kind"] == "ConfigMap"
    }
    for secret, keys in secrets().items():
        values["Secret", secret] = {key: GIVEN.get(key, "a file") for key in keys}
    return [_pod(each, values) for each in manifests() if each["kind"] in ("StatefulSet", "Deployment")]


def secrets() -> dict[str, list[str]]:
    """The Secrets that docs/how-to/kubernetes.md makes, each with its keys."""
    found = {}
    for line in "\n".join(blocks("docs/how-to/kubernetes.md")).splitlines():
        words = shlex.split(line)
        if words[:4] == ["kubectl", "create", "secret", "generic"]:
            files = [word.partition("=")[2] for word in words[5:]]
            found[words[4]] = [file.rpartition("/")[2] for file in files]
    return found


def systemd() -> list[Deployed]:
    """The units, with the settings file that docs/how-to/systemd.md writes."""
    (page,) = re.findall(
        r"/etc/saga/environment <<'END'\n(.*?)^END$",
        "\n".join(blocks("docs/how-to/systemd.md")),
        re.DOTALL | re.MULTILINE,
    )
    given = dict(line.split("=", 1) for line in page.splitlines())
    return [
        _unit(path.name, path.read_text("utf-8"), given) for path in sorted(UNIT_FOLDER.glob("*.service"))
    ]


def everything() -> list[Deployed]:
    """Every process of every kind of deployment."""
    return [*compose(), *kubernetes(), *systemd()]


def moved(process: Deployed, root: Path) -> dict[str, str]:
    """Its environment with the folders that are given to it below `root`."""

    def move(value: str) -> str:
        for folder in process.folders:
            value = re.sub(rf"(?<!\w){re.escape(folder)}(?=/|$)", f"{root}{folder}", value)
        return value

    return {name: move(value) for name, value in process.environment.items()}


def _interpolated(value: str) -> str:
    """Compose's `${NAME:?message}`, where NAME is set."""
    return re.sub(r"\$\{(\w+):\?[^}]+\}", lambda name: GIVEN[name[1]], value)


def _pod(manifest: Mapping[str, Any], values: Mapping[tuple[str, str], Mapping[str, str]]) -> Deployed:
    spec = manifest["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    environment = image()
    for source in container["envFrom"]:
        for kind, ref in source.items():
            environment |= values[{"configMapRef": "ConfigMap", "secretRef": "Secret"}[kind], ref["name"]]
    for variable in container["env"]:
        environment[variable["name"]] = _variable(variable, manifest["metadata"]["name"], environment, values)
    probe = container.get("readinessProbe", {}).get("httpGet", {})
    ports = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
    assert not probe or ports[probe["port"]] == int(environment["SAGA_WEB_PORT"])
    return Deployed(
        f"kubernetes {manifest['metadata']['name']}",
        container["command"],
        environment,
        [mount["mountPath"] for mount in container["volumeMounts"] if mount["mountPath"] != "/tmp"],
        probe.get("path", ""),
        container["image"],
    )


def _variable(
    variable: Mapping[str, Any],
    owner: str,
    environment: Mapping[str, str],
    values: Mapping[tuple[str, str], Mapping[str, str]],
) -> str:
    source = variable.get("valueFrom", {})
    if ref := source.get("secretKeyRef"):
        return values["Secret", ref["name"]][ref["key"]]
    if source:
        assert source["fieldRef"]["fieldPath"] == "metadata.name"
        return f"{owner}-0"
    return re.sub(r"\$\((\w+)\)", lambda name: environment[name[1]], variable["value"])


def _unit(name: str, text: str, given: Mapping[str, str]) -> Deployed:
    lines = list(_directives(text.replace("%i", NUMBER)))
    own = dict(pair.split("=", 1) for key, value in lines if key == "Environment" for pair in value.split())
    last = dict(lines)
    assert last["EnvironmentFile"] == "/etc/saga/environment"
    # Lines of the file win over those of the unit.
    # The folder of that file is on the machine too.
    folders = ["/etc/saga", *(f"/var/lib/{folder}" for folder in last.get("StateDirectory", "").split())]
    return Deployed(f"systemd {name}", shlex.split(last["ExecStart"]), {**own, **given}, folders)


def _directives(unit: str) -> Iterator[tuple[str, str]]:
    service = unit.partition("[Service]\n")[2].splitlines()
    for line in takewhile(lambda line: not line.startswith("["), service):
        if "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            yield key, value
