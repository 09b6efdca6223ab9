"""The choice of a Java, and the error if there is none."""

from pathlib import Path

import pytest

from saga_app.local import java
from saga_app.local.errors import LocalKafkaError


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "21" 2023-09-19', 21),
        ('Picked up JAVA_TOOL_OPTIONS: -Xmx1g\njava version "1.8.0_392"', 8),
        ('openjdk version "25-ea" 2025-09-16', 25),
        ("command not found", None),
    ],
)
def test_the_release_is_read_from_what_java_prints(text: str, release: int | None) -> None:
    assert java.parse_version(text) == release


def fake_java(folder: Path, version: str) -> Path:
    """A program that answers as that Java would."""
    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    program.chmod(0o755)
    return program


def test_java_home_comes_before_the_search_path(tmp_path: Path) -> None:
    at_home, on_path = fake_java(tmp_path / "home", "21.0.1"), fake_java(tmp_path / "path", "17.0.1")
    found = java.find_java({"JAVA_HOME": str(tmp_path / "home"), "PATH": str(on_path.parent)})
    assert found == at_home


def test_a_java_that_is_too_old_is_passed_over(tmp_path: Path) -> None:
    fake_java(tmp_path / "home", "11.0.2")
    newer = fake_java(tmp_path / "path", "17.0.1")
    assert java.find_java({"JAVA_HOME": str(tmp_path / "home"), "PATH": str(newer.parent)}) == newer


def test_without_a_java_on_the_machine_the_bundled_one_is_used() -> None:
    assert java.find_java({"PATH": ""}) == java.bundled_java()


def test_with_no_java_at_all_the_message_names_what_was_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(java, "bundled_java", lambda: None)
    old = fake_java(tmp_path, "11.0.2")
    with pytest.raises(LocalKafkaError, match=r"is Java 11.*scripts/setup"):
        java.find_java({"PATH": str(old.parent)})
