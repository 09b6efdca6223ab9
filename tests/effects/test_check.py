"""The test kit: the carrier of the examples keeps every rule, and each rule finds a carrier that breaks it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from harness.ports import free_port
from saga_app.core.records import StepName
from saga_app.effects.check import rules
from saga_app.effects.check.killed import ServiceProcess, what_is_told_survives_a_kill
from saga_app.effects.check.kit import Kit
from tests.effects.carrier_defects import CAPTURE_DEFECTS, CAPTURES, CARRIER, DEFECTS, FORGETFUL


def command(folder: Path, port: int, replaced: dict[str, str]) -> list[str]:
    """Starts a carrier that is as the example, but for these texts."""
    program = CARRIER
    for text, instead in replaced.items():
        assert text in program, text
        program = program.replace(text, instead)
    (folder / "carrier.py").write_text(program, "utf-8")
    return [sys.executable, f"{folder}/carrier.py", "--port", str(port), "--file", f"{folder}/carrier.db"]


@asynccontextmanager
async def started(
    folder: Path,
    replaced: dict[str, str] | None = None,
    patience: float = 10.0,
    step: StepName = StepName.SHIPPING,
) -> AsyncIterator[tuple[Kit, ServiceProcess]]:
    port = free_port()
    options: dict[str, Any] = {"token": "secret", "patience": patience}
    async with (
        Kit.open(f"http://127.0.0.1:{port}", step, **options) as kit,
        ServiceProcess(command(folder, port, replaced or {}), kit) as service,
    ):
        yield kit, service


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARRIER_TOKEN", "secret")


def test_the_carrier_of_the_examples_keeps_every_rule(tmp_path: Path):
    async def run() -> list[str | None]:
        async with started(tmp_path) as (kit, _):
            return [await rules.broken(rule, kit) for rule in rules.RULES]

    assert asyncio.run(run()) == [None] * len(rules.RULES)


KILLS: Final = pytest.mark.slow("21 starts of a service")


@KILLS
def test_the_carrier_of_the_examples_survives_kills(tmp_path: Path):
    assert killed(tmp_path, {}) is None


@KILLS
def test_a_carrier_that_forgets_breaks_the_rule_about_kills(tmp_path: Path):
    assert "after a kill during" in (killed(tmp_path, FORGETFUL) or "")


def killed(folder: Path, replaced: dict[str, str]) -> str | None:
    async def run() -> str | None:
        async with started(folder, replaced) as (kit, service):
            return await rules.broken(partial(what_is_told_survives_a_kill, service=service), kit)

    return asyncio.run(run())


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_carrier_with_a_defect_breaks_a_rule(tmp_path: Path, defect: str):
    rule, replaced = DEFECTS[defect]

    async def run() -> str | None:
        async with started(tmp_path, replaced, patience=0.5) as (kit, _):
            return await rules.broken(rule, kit)

    how = asyncio.run(run())
    assert how is not None and "no answer" not in how, how


def test_every_rule_has_a_defect_that_it_finds():
    assert {rule for rule, _ in DEFECTS.values()} == set(rules.RULES)


@pytest.mark.parametrize("rule", rules.CAPTURE_RULES, ids=rules.sentence)
def test_a_service_that_authorises_and_captures_keeps_the_rules_for_it_and_each_finds_one_that_does_not(
    tmp_path: Path, rule: rules.Rule
):
    async def run(replaced: dict[str, str]) -> str | None:
        async with started(tmp_path, replaced, 0.5, StepName.PAYMENT) as (kit, _):
            return await rules.broken(rule, kit)

    assert asyncio.run(run(CAPTURES)) is None
    how = asyncio.run(run(CAPTURE_DEFECTS[rule]))
    assert how is not None and "no answer" not in how, how
