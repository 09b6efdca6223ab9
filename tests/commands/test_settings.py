"""`saga settings`: what is in effect, and why."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from saga_app import settings as given
from saga_app.commands import main
from saga_app.settings import Settings
from tests.support.blocks import ROOT


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in given.describe({}):
        monkeypatch.delenv(setting["name"], raising=False)


def settings() -> dict[str, Any]:
    result = CliRunner().invoke(main, ["settings", "--json"])
    assert result.exit_code == 0, result.stderr
    return {each["name"]: each for each in map(json.loads, result.stdout.splitlines())}


def test_each_has_value_source_and_help(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SAGA_PARTITIONS", "4")
    found = settings()
    assert found.keys() == {each["name"] for each in given.describe({})}
    assert found["SAGA_PARTITIONS"]["value"] == "4"
    assert found["SAGA_PARTITIONS"]["source"] == "environment"
    assert found["SAGA_APP_ID"]["source"] == "default"
    assert all(each["help"] for each in found.values())


def test_what_follows_from_another_setting_is_shown_as_it_is_in_effect(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SAGA_WEB_PORT", "7000")
    monkeypatch.setenv("SAGA_BROKER", "kafka-1.example:9092,kafka-2.example:9092")
    monkeypatch.setenv("SAGA_SECURITY", "ssl")
    assert settings()["SAGA_WEB_URL"]["value"] == "http://127.0.0.1:7000"
    assert settings()["SAGA_PROFILE"]["value"] == "cluster"


@pytest.mark.parametrize(
    ("text", "kept"),
    [("", None), ("forever", None), ("7", timedelta(days=7)), ("3650", timedelta(days=3650))],
)
def test_inboxes_are_kept_for_ever_or_for_days(text: str, kept: timedelta | None):
    assert Settings.read({"SAGA_INBOX_RETENTION": text}).inbox_retention == kept


@pytest.mark.parametrize("text", ["6", "0", "-1", "7.5", "7d", "never", "3651"])
def test_inboxes_are_not_kept_for_less_than_kafka_remembers_a_stopped_worker(
    monkeypatch: pytest.MonkeyPatch, text: str
):
    monkeypatch.setenv("SAGA_INBOX_RETENTION", text)
    result = CliRunner().invoke(main, ["settings"])
    assert result.exit_code == 2
    assert "days from 7 to 3650" in result.stderr and "offsets.retention.minutes" in result.stderr


def test_secrets_are_hidden(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SAGA_SECURITY", "sasl_plaintext")
    monkeypatch.setenv("SAGA_SASL_USERNAME", "ada")
    monkeypatch.setenv("SAGA_SASL_PASSWORD", "hunter2")
    assert settings()["SAGA_SASL_PASSWORD"]["value"] == "(hidden)"
    assert settings()["SAGA_SASL_USERNAME"]["value"] == "ada"
    assert "hunter2" not in str(settings())


@pytest.mark.parametrize("password", ["hunter2", "hun@ter2", "hun/ter2", "hun:ter2"])
def test_a_password_in_an_address_is_hidden(monkeypatch: pytest.MonkeyPatch, password: str):
    monkeypatch.setenv("SAGA_DB_URL", f"postgresql://saga:{password}@db/orders?sslpassword={password}&x=1")
    assert settings()["SAGA_DB_URL"]["value"] == "postgresql://saga:***@db/orders?sslpassword=***&x=1"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://hunter2@collector/v1/traces", "http://***@collector/v1/traces"),
        ("https://ada:hunter2@collector:4318/", "https://ada:***@collector:4318/"),
        ("http://collector/?x=1&API-Key=hunter2", "http://collector/?x=1&API-Key=***"),
        ("http://collector/?authorization=hunter2#token=hunter2", "http://collector/?authorization=***"),
        ("http://collector:4318/v1/traces", "http://collector:4318/v1/traces"),
    ],
)
def test_secrets_in_the_address_of_a_collector_are_hidden(
    monkeypatch: pytest.MonkeyPatch, address: str, shown: str
):
    monkeypatch.setenv("SAGA_TRACES", address)
    assert settings()["SAGA_TRACES"]["value"] == shown


@pytest.mark.parametrize("address", ["ada:hunter2@collector:4318/v1/traces", "//ada:hun@hunter2@collector"])
def test_an_address_without_a_scheme_is_no_collector_and_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, address: str
):
    monkeypatch.setenv("SAGA_TRACES", address)
    result = CliRunner().invoke(main, ["settings"])
    assert result.exit_code == 2 and "ada:***@collector" in result.stderr and "hunter2" not in result.stderr


@pytest.mark.parametrize(
    "address",
    [
        "mysql://saga:hunter2@db/orders",
        "saga:hunter2@db/orders",
        "//saga:hunter2@db/orders",
        "postgresql:saga:hunter2@db/orders",
        "postgresql:/saga:hunter2@db/orders",
        "jdbc:postgresql://saga:hunter2@db/orders",
    ],
)
def test_an_address_that_is_no_database_is_refused_without_its_password(
    monkeypatch: pytest.MonkeyPatch, address: str
):
    monkeypatch.setenv("SAGA_DB_URL", address)
    result = CliRunner().invoke(main, ["settings"])
    assert result.exit_code == 2
    assert "SAGA_DB_URL" in result.stderr and "hunter2" not in result.stderr


def test_people_get_one_line_for_each_behind_the_head():
    result = CliRunner().invoke(main, ["settings"])
    assert len(result.stdout.splitlines()) == len(given.describe({})) + 1


def test_a_relative_database_file_is_the_same_one_from_every_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    found = []
    for folder in (tmp_path, ROOT / "docs"):
        monkeypatch.chdir(folder)
        found += [Settings.read({}).db_url, Settings.read({"SAGA_DB_URL": "sqlite:///.run/orders.db"}).db_url]
    assert set(found) == {f"sqlite:///{ROOT}/.run/orders.db"}
    for url in ("sqlite:////srv/orders.db", "postgresql://saga@db/orders"):
        assert Settings.read({"SAGA_DB_URL": url}).db_url == url
