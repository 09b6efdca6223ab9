"""The files around the code agree with the code and with each other."""

import os
import re
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from setuptools import find_packages

from saga_app.local.config import properties
from saga_app.settings import Settings, given_names

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-image.lock", "requirements-scan.lock")
SCRIPTS = (
    "scripts/setup",
    "scripts/check",
    "scripts/test",
    "scripts/run",
    "scripts/docs",
    "scripts/lock",
    "scripts/scan",
    ".ci/run",
)

SETTINGS = {*given_names()}
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
WORKERS = [name for name in SERVICES if name.startswith("worker-")]


def project() -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", "utf-8")
    return parser


def locked(lock: str) -> dict[str, str]:
    """Name to version of everything in a lock file."""
    text = (ROOT / lock).read_text("utf-8")
    return {
        canonicalize_name(name): version
        for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE)
    }


def requirements(text: str) -> list[Requirement]:
    return [Requirement(line) for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_the_lock_satisfies_setup_cfg() -> None:
    parser, versions = project(), locked("requirements.lock")
    wanted = requirements(parser["options"]["install_requires"])
    for extra in parser["options.extras_require"].values():
        wanted += requirements(extra)
    wrong = [
        str(each) for each in wanted if versions.get(canonicalize_name(each.name), "") not in each.specifier
    ]
    assert wrong == [], "run scripts/lock"


def test_the_image_gets_a_part_of_what_was_tested() -> None:
    assert locked("requirements-image.lock").items() < locked("requirements.lock").items(), "run scripts/lock"
    wanted = {canonicalize_name(each.name) for each in requirements(project()["options"]["install_requires"])}
    assert wanted <= locked("requirements-image.lock").keys(), "run scripts/lock"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_locked_by_hash_and_no_host_is_named(lock: str) -> None:
    text = (ROOT / lock).read_text("utf-8")
    entries = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(entries) == len(locked(lock))
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert "index" not in text


def test_the_version_is_the_same_everywhere() -> None:
    assert {service["image"] for service in SERVICES.values() if "build" in service} == {
        f"{project()['metadata']['name']}:{project()['metadata']['version']}"
    }


def test_the_environment_names_of_the_compose_file_are_settings() -> None:
    used = {name for service in SERVICES.values() for name in service.get("environment", {})}
    assert {name for name in used if name.startswith("SAGA_")} <= SETTINGS


def test_the_environment_names_of_the_image_are_settings() -> None:
    assert set(re.findall(r"\bSAGA_\w+", DOCKERFILE)) <= SETTINGS


@pytest.mark.parametrize("service", ["topics", "orderdb", *WORKERS])
def test_the_settings_of_every_service_can_be_read(service: str) -> None:
    environment = {
        name: value for name, value in SERVICES[service]["environment"].items() if name.startswith("SAGA_")
    }
    assert Settings.read(environment).broker == "kafka:19092"


def test_every_worker_has_its_own_data_port_and_address() -> None:
    assert len(WORKERS) == 2
    for name in WORKERS:
        worker = SERVICES[name]
        port = worker["environment"]["SAGA_WEB_PORT"]
        assert worker["environment"]["SAGA_WEB_URL"] == f"http://{name}:{port}"
        assert worker["ports"] == [f"127.0.0.1:{port}:{port}"]
        assert worker["volumes"] == [f"{name}:{worker['environment']['SAGA_DATA_DIR']}", "orders:/orders"]


def test_nothing_is_published_beyond_this_machine() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_broker_of_the_compose_file_is_told_the_same_as_the_local_one() -> None:
    environment = SERVICES["kafka"]["environment"]
    # Where it listens and keeps its data is each one's own.
    own = ("listener", "controller.quorum.voters", "log.dirs", "advertised")
    for name, value in properties(1, 2, Path("data")).items():
        if not name.startswith(own):
            assert environment.get("KAFKA_" + name.upper().replace(".", "_")) == value, name


def test_everything_that_the_image_copies_exists() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for name in line.split():
            assert f"!{name}" in ignored
            assert (ROOT / name).exists(), name


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_script_can_be_run_from_anywhere(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    text = (ROOT / script).read_text("utf-8")
    assert text.startswith("#!/usr/bin/env bash\n# ")
    assert 'set -euo pipefail\ncd "$(dirname "$0")/.."\n' in text


def test_every_script_has_its_line() -> None:
    lines = re.findall(r"^- `([\w-]+)` \w", (ROOT / "scripts/README.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(lines) == sorted(each.name for each in (ROOT / "scripts").iterdir() if each.suffix != ".md")


def test_the_package_has_all_code_but_not_the_demo() -> None:
    find = project()["options.packages.find"]
    found = find_packages(str(ROOT), find["exclude"].split(), find["include"].split())
    assert {"saga_app.core", "agents", "tables"} <= set(found)
    assert not [name for name in found if name.startswith("saga_app.demo")]
    # Nothing else imports it: a command that did would fail where it is installed.
    users = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "saga_app").rglob("*.py")
        if "saga_app.demo" in path.read_text("utf-8") and path.parent.name != "demo"
    ]
    assert users == ["saga_app/local/run.py"]
