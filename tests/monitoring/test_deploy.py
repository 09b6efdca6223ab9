"""The files in `deploy/`: promtool checks the alerts, and every metric of the board exists."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from saga_app.monitoring import metrics
from saga_app.webhooks.board import DeliveryBoard
from saga_app.webhooks.figures import WebhookFigures
from tests.support.blocks import ROOT

PROMETHEUS = ROOT / "deploy" / "prometheus"
BOARD = ROOT / "deploy" / "grafana" / "dashboards" / "saga.json"
ALERTS = ROOT / "docs/how-to/alerts.md"
#: Prometheus' own, and those that its client library tells of a process.
FOREIGN = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes", "process_start_time_seconds"}


def names() -> set[str]:
    """The metrics that a query may name."""
    found = set(FOREIGN)
    for family in (*metrics.families(), *WebhookFigures(["shop"], DeliveryBoard()).registry.collect()):
        suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(family.type, [""])
        found |= {family.name + suffix for suffix in suffixes}
    return found


def asked(query: str) -> set[str]:
    """The metrics in a query."""
    return set(re.findall(r"\b(?:saga_|process_)\w+|\bup\b", query))


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


@pytest.mark.parametrize(
    "words",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts.test.yml"),
    ],
    ids=" ".join,
)
def test_promtool_finds_nothing_wrong(words: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("there is no promtool (Debian, Ubuntu: sudo apt-get install prometheus)")
    done = subprocess.run([promtool, *words], cwd=PROMETHEUS, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_metric_that_an_alert_or_the_board_asks_for_is_told() -> None:
    board = json.loads(BOARD.read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    queries += [rule["expr"] for rule in rules()]
    assert all(asked(query) for query in queries)
    assert set().union(*map(asked, queries)) <= names()


def test_every_metric_of_a_worker_is_on_the_board() -> None:
    board = json.loads(BOARD.read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    shown = set().union(*map(asked, queries))
    families = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in shown}
    assert {family.name for family in metrics.families()} <= families


def test_every_alert_has_its_own_section_that_says_what_to_do() -> None:
    heads = {
        line[3:].strip().lower().replace(" ", "-")
        for line in ALERTS.read_text().splitlines()
        if line[:3] == "## "
    }
    for rule in rules():
        page, _, section = rule["annotations"]["runbook"].partition("#")
        assert (ROOT / page, section in heads) == (ALERTS, True), rule["alert"]


def test_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(BOARD.read_text())["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken and at["x"] + at["w"] <= 24, panel["title"]
        taken |= cells


def test_no_label_can_take_the_value_of_an_order() -> None:
    known = {"service", "state", "verdict", "outcome", "reason", "version"}
    for family in metrics.families():
        assert {name for sample in family.samples for name in sample.labels} <= known | {"le"}, family.name


def test_the_compose_file_mounts_what_is_there() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for name in ("prometheus", "grafana"):
        assert services[name]["profiles"] == ["monitoring"]
        for volume in services[name]["volumes"]:
            assert (ROOT / Path(volume.partition(":")[0])).is_dir()
