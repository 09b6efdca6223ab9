"""Providers from settings: each by its factory, with options and secrets of its own."""

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from saga_app.core.outside import Action
from saga_app.core.records import Outcome, StepName
from saga_app.effects.configured import ProviderOptions, configured
from saga_app.effects.limited import WRONG_STEP
from saga_app.effects.ports import Answer, Call
from saga_app.settings import Settings, SettingsError
from tests.support.examples import order

TILL = "till=tests.support.till:provider"


def settings(providers: str) -> Settings:
    return Settings.read({"SAGA_PROVIDERS": providers})


def test_a_provider_is_made_by_its_factory(tmp_path: Path) -> None:
    environment = {"SAGA_PROVIDER_TILL_FILE": str(tmp_path / "till.db")}
    assert list(configured(settings(TILL), environment)) == ["till"]
    assert (tmp_path / "till.db").exists()


def test_a_provider_is_asked_for_its_own_steps_only(tmp_path: Path) -> None:
    environment = {"SAGA_PROVIDER_TILL_FILE": str(tmp_path / "till.db")}
    call = Call(Action.DO, "saga:shipping:o1:17", StepName.SHIPPING, order(), None, None, 0, 0)
    for steps, is_asked in (("", True), ("payment, shipping", True), ("payment", False)):
        made = configured(settings(TILL), environment | {"SAGA_PROVIDER_TILL_STEPS": steps})["till"]
        answer = None
        # The till fails now and then; then it was asked.
        with suppress(ConnectionError, TimeoutError):
            answer = asyncio.run(made.do(call))
        assert (answer != Answer(Outcome.UNKNOWN, code=WRONG_STEP)) is is_asked


def test_a_step_that_there_is_not_is_named(tmp_path: Path) -> None:
    environment = {"SAGA_PROVIDER_TILL_FILE": str(tmp_path / "till.db"), "SAGA_PROVIDER_TILL_STEPS": "paying"}
    with pytest.raises(SettingsError, match="SAGA_PROVIDER_TILL_STEPS: paying is no step"):
        configured(settings(TILL), environment)


def test_without_the_setting_there_is_no_provider() -> None:
    assert configured(settings(""), {}) == {}


@pytest.mark.parametrize(
    "text", ["till", "till=module", "Till=a:b", "none=a:b", f"{TILL},{TILL}", "till=a:b:c", "till=a b:c"]
)
def test_a_setting_that_names_no_factory_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="SAGA_PROVIDERS has"):
        settings(text)


@pytest.mark.parametrize("text", ["till=tests.support.nothing:provider", "till=tests.support.till:nothing"])
def test_a_factory_that_is_not_there_is_named(text: str) -> None:
    with pytest.raises(SettingsError, match="the factory of till"):
        configured(settings(text), {})


def test_a_secret_is_read_from_a_file_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk_secret\n")
    environment = {
        "SAGA_PROVIDER_STRIPE_KEY_FILE": str(tmp_path / "key"),
        "SAGA_PROVIDER_STRIPE_URL": "http://x",
    }
    options = ProviderOptions("stripe", "saga", 20.0, environment)
    assert (options.secret("KEY"), options.get("URL"), options.get("ELSE", "a")) == (
        "sk_secret",
        "http://x",
        "a",
    )
    assert "sk_secret" not in repr(options) and "http" not in repr(options)


def test_a_secret_is_given_once(tmp_path: Path) -> None:
    environment = {"SAGA_PROVIDER_STRIPE_KEY_FILE": "f", "SAGA_PROVIDER_STRIPE_KEY": "k"}
    with pytest.raises(SettingsError, match="only one of them"):
        ProviderOptions("stripe", "saga", 20.0, environment).secret("KEY")
