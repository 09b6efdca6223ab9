"""docs/how-to/kubernetes.md makes the Secrets that the manifests want, and applies what is there."""

import json
import subprocess
from pathlib import Path

from tests.support.blocks import ROOT, blocks
from tests.support.deployments import kubernetes
from tests.support.shell import environment

#: `kubectl` and `docker` only note what they are told; a file that is missing or empty fails.
NOTED = """#!/usr/bin/env python3
import json, pathlib, sys
for word in sys.argv:
    if word.startswith("--from-file="):
        assert pathlib.Path(word.partition("=")[2]).read_text().strip()
with open("told", "a") as told:
    print(json.dumps([pathlib.Path(sys.argv[0]).name, *sys.argv[1:]]), file=told)
"""


def test_the_page_makes_both_secrets_and_applies_the_manifests(tmp_path: Path):
    secrets, programs = tmp_path / "secrets", tmp_path / "programs"
    secrets.mkdir()
    for name in ("ca.crt", "worker", "orderdb", "SAGA_DB_URL"):
        (secrets / name).write_text("by the reader\n")
    programs.mkdir()
    for name in ("kubectl", "docker"):
        (programs / name).write_text(NOTED)
        (programs / name).chmod(0o755)
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks("docs/how-to/kubernetes.md"))],
        cwd=tmp_path,
        env={"PATH": f"{programs}:{environment()['PATH']}"},
        check=True,
    )
    told = [json.loads(line) for line in (tmp_path / "told").read_text().splitlines()]
    assert [" ".join(words[:3]) for words in told] == [
        "kubectl create secret",
        "kubectl create secret",
        "docker build -t",
        "kubectl apply -f",
        "kubectl rollout status",
        "kubectl port-forward pod/saga-worker-0",
        "kubectl exec saga-worker-0",
    ]
    assert told[2][3] == kubernetes()[0].image
    assert (ROOT / told[3][3]).exists()
    assert len((secrets / "SAGA_WEB_TOKEN").read_text().strip()) == 32
