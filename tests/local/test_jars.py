"""The jars that are used are exactly the ones in the lock."""

import hashlib
from pathlib import Path

import pytest

from saga_app.local import jars
from saga_app.local.errors import LocalKafkaError
from saga_app.local.jars import Jar

#: The broker before the one that `scripts/run` fetches.
OLDER = Path(__file__).with_name("kafka-4.1.1.lock.toml")
GOOD = b"the bytes of a jar"
JAR = Jar("org.example", "thing", "1.0", hashlib.sha256(GOOD).hexdigest())


class Registry:
    """Serves the same bytes for every jar, and remembers what it was asked for."""

    def __init__(self, content: bytes = GOOD) -> None:
        self.content = content
        self.asked: list[str] = []

    def fetch(self, jar: Jar, scratch: Path) -> Path:
        self.asked.append(jar.coordinates)
        file = scratch / "download"
        file.write_bytes(self.content)
        return file


def test_a_missing_jar_is_fetched_once(tmp_path: Path) -> None:
    registry = Registry()
    for _ in range(2):
        assert jars.locked_jars(tmp_path, [JAR], registry.fetch) == [tmp_path / "thing-1.0.jar"]
    assert registry.asked == ["org.example:thing:1.0"]
    assert [file.name for file in tmp_path.iterdir()] == ["thing-1.0.jar"]


def test_a_damaged_jar_is_fetched_again(tmp_path: Path) -> None:
    (tmp_path / JAR.file).write_bytes(b"half of it")
    jars.locked_jars(tmp_path, [JAR], Registry().fetch)
    assert (tmp_path / JAR.file).read_bytes() == GOOD


def test_a_jar_with_other_bytes_is_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(LocalKafkaError, match=r"org\.example:thing:1\.0 is not the jar"):
        jars.locked_jars(tmp_path, [JAR], Registry(b"something else").fetch)
    assert list(tmp_path.iterdir()) == []


def test_a_registry_that_cannot_be_reached_is_named_with_what_to_do(tmp_path: Path) -> None:
    def refuse(jar: Jar, scratch: Path) -> Path:
        raise ConnectionError("no route")

    with pytest.raises(LocalKafkaError, match=r"no route.*SAGA_BROKER"):
        jars.locked_jars(tmp_path, [JAR], refuse)


def test_a_lock_reads_back_as_it_was_written() -> None:
    other = Jar("org.example", "another", "2", "0" * 64)
    assert jars.read_lock(jars.write_lock([JAR, other])) == (other, JAR)


@pytest.mark.parametrize("text", ["", "not toml", "[[jar]]\nname = 'x'\n", jars.write_lock([JAR, JAR])])
def test_a_lock_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(LocalKafkaError, match="Restore it"):
        jars.read_lock(text)


def test_the_lock_holds_the_roots() -> None:
    assert set(jars.ROOTS) <= {jar.coordinates for jar in jars.read_lock(jars.LOCK.read_text("utf-8"))}


@pytest.mark.parametrize(("file", "version"), [(jars.LOCK, "4.4.0"), (OLDER, "4.1.1")])
def test_a_lock_has_one_version_of_kafka_and_names_no_host(file: Path, version: str) -> None:
    locked = jars.read_lock(file.read_text("utf-8"))
    assert {jar.version for jar in locked if jar.group == "org.apache.kafka"} == {version}
    assert all(len(jar.sha256) == 64 and int(jar.sha256, 16) for jar in locked)
    assert "://" not in file.read_text("utf-8")


def test_a_test_run_may_choose_another_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    assert jars.lock_file() == jars.LOCK
    monkeypatch.setenv(jars.ANOTHER_LOCK, str(OLDER))
    assert jars.lock_file() == OLDER
