"""The settings of signatures: each mistake is told by the name of the setting, and no secret is shown."""

from pathlib import Path

import pytest

from saga_app import settings as given
from saga_app.settings import Settings, SettingsError
from tests.support.signing import NEW, OLD, key_file

SECRET = "ab" * 32


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([""], "a file without a key"),
        (["# only a comment"], "a file without a key"),
        ([f"{SECRET}"], "line 1: a line is an id"),
        ([f"new {SECRET[:-2]}"], "line 1: a line is an id"),
        ([f"new {SECRET}x"], "line 1: a line is an id"),
        ([f"n:w {SECRET}"], "line 1: a line is an id"),
        ([NEW, OLD, f"new {SECRET}"], "line 3: the key new is there twice"),
        ([NEW, f"{OLD} soon"], "line 2: 'soon' is not a time"),
        ([NEW, f"{OLD} 7d"], "line 2: '7d' is not a time"),
        ([f"{NEW} 2026-01-01"], "the first key signs, so it has no end"),
    ],
)
def test_a_mistake_in_the_file_is_told_by_its_line_and_without_a_secret(
    lines: list[str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError) as told:
        Settings.read({"SAGA_SIGNING_KEYS": str(key_file(tmp_path, *lines))})
    assert "SAGA_SIGNING_KEYS" in str(told.value) and said in str(told.value)
    assert SECRET[:10] not in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("since", "said"),
    [
        ("yesterday", "'yesterday' is not a time"),
        ("30m", "'30m' is not a time"),
        ("2026-01-02/2026-01-01", "ends before it begins"),
        ("2026-01-01/", None),
        ("2026-01-01T12:00Z/2026-01-02", None),
    ],
)
def test_the_time_means_the_same_whenever_it_is_read(since: str, said: str | None, tmp_path: Path) -> None:
    environment = {"SAGA_SIGNING_KEYS": str(key_file(tmp_path)), "SAGA_SIGNED_SINCE": since}
    if said is None:
        assert Settings.read(environment).signing_keys is not None
        return
    with pytest.raises(SettingsError, match="SAGA_SIGNED_SINCE") as told:
        Settings.read(environment)
    assert said in str(told.value)


def test_a_time_without_keys_is_a_mistake() -> None:
    with pytest.raises(SettingsError, match="SAGA_SIGNED_SINCE is set, and SAGA_SIGNING_KEYS is not"):
        Settings.read({"SAGA_SIGNED_SINCE": "2026-01-01"})


def test_a_file_that_is_not_there_is_told_without_its_name() -> None:
    """By mistake the setting may hold the key itself."""
    with pytest.raises(SettingsError, match="SAGA_SIGNING_KEYS names a file that cannot be read") as told:
        Settings.read({"SAGA_SIGNING_KEYS": NEW})
    assert SECRET not in str(told.value)


def test_no_setting_and_no_repr_shows_a_secret(tmp_path: Path) -> None:
    environment = {"SAGA_SIGNING_KEYS": str(key_file(tmp_path, NEW, OLD))}
    shown = f"{given.describe(environment)} {Settings.read(environment)!r} {Settings.read(environment).signing_keys!r}"
    assert SECRET not in shown and repr(bytes.fromhex(SECRET)) not in shown


def test_without_keys_nobody_signs() -> None:
    assert Settings.read({}).signing_keys is None
