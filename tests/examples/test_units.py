"""The examples for Kubernetes and systemd are what these take, and name what the code has."""

import re
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from saga_app.settings import Settings
from tests.support.blocks import ROOT

EXAMPLES = ROOT / "examples"
MANIFESTS = list(yaml.safe_load_all((EXAMPLES / "kubernetes/saga.yaml").read_text("utf-8")))
UNITS = sorted((EXAMPLES / "systemd").glob("*.service"))


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda each: f"{each['kind']} {each['metadata']['name']}")
def test_a_manifest_is_valid_in_every_field(manifest: dict[str, object]):
    kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)


def test_a_misspelt_field_would_be_found():
    budget = next(each for each in MANIFESTS if each["kind"] == "PodDisruptionBudget")
    wrong = {**budget, "spec": {**budget["spec"], "maxUnavailabel": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not there: install systemd"
)
@pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)
def test_a_unit_is_valid(unit: Path, tmp_path: Path):
    # The program and the user of the unit are not on this machine.
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit.read_text("utf-8"), flags=re.MULTILINE)
    copy = tmp_path / unit.name.replace("@", "@1")
    copy.write_text(re.sub(r"^(User|Group)=.*\n", "", text, flags=re.MULTILINE), "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and unit.stem not in done.stderr, done.stderr


@pytest.mark.parametrize("path", [EXAMPLES / "kubernetes/saga.yaml", *UNITS], ids=lambda path: path.name)
def test_every_setting_that_an_example_names_exists(path: Path):
    named = set(re.findall(r"\bSAGA_[A-Z_]+", path.read_text("utf-8")))
    assert named and named <= {each.metadata["env"] for each in fields(Settings)}
