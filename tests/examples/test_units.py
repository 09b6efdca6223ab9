"""The examples for Kubernetes and systemd are what these take."""

import re
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest

from tests.support.deployments import UNIT_FOLDER, manifests

MANIFESTS = manifests()
UNITS = sorted(UNIT_FOLDER.glob("*.service"))


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
