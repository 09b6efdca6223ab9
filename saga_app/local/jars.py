"""The broker's jars, as `kafka.lock.toml` lists them: fetched once, checked by SHA-256 at every start.

The lock lists every jar, so no dependency is resolved at a start, and a registry that serves other bytes is noticed.
To move to another Kafka: change ROOTS and run `python -m saga_app.local.jars`, which writes the lock anew.
"""

import hashlib
import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from saga_app.local.errors import LocalKafkaError

if TYPE_CHECKING:
    from jgo.maven import MavenContext

#: The roots to resolve. log4j-core is none of them: jgo would take kafka-clients 3.9 from its BOM, and the broker would
#: die with NoSuchMethodError. slf4j-simple writes the broker's log.
ROOTS = ("org.apache.kafka:kafka_2.13:4.4.0", "org.slf4j:slf4j-simple:1.7.36")
LOCK = Path(__file__).with_name("kafka.lock.toml")
#: Names another lock file: tests run on older brokers too.
ANOTHER_LOCK = "SAGA_LOCAL_KAFKA_LOCK"
#: Downloads at once, and seconds for which the registry may be silent during one.
CONNECTIONS = 8
SILENCE = 60


@dataclass(frozen=True, slots=True, order=True)
class Jar:
    """One jar: its Maven coordinates and the SHA-256 of its bytes, as 64 hexadecimal digits."""

    group: str
    name: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        """Its file name in the cache."""
        return f"{self.name}-{self.version}.jar"

    @property
    def coordinates(self) -> str:
        """As Maven writes them."""
        return f"{self.group}:{self.name}:{self.version}"


#: Puts one jar somewhere below a folder and says where.
Fetch = Callable[[Jar, Path], Path]


def cache_folder() -> Path:
    """The folder of jars, in the user's cache; all runs and clones share it."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "checkout-saga" / "jars"


def lock_file() -> Path:
    """The lock of the broker that runs here."""
    return Path(os.environ.get(ANOTHER_LOCK) or LOCK)


def read_lock(text: str) -> tuple[Jar, ...]:
    """The jars of a lock file. Raises LocalKafkaError if it lists no jar, or one twice, or cannot be parsed."""
    try:
        jars = tuple(Jar(**entry) for entry in tomllib.loads(text)["jar"])
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise LocalKafkaError(
            f"{LOCK.name} cannot be read ({error}). Restore it from version control."
        ) from error
    if not jars or len({jar.file for jar in jars}) != len(jars):
        raise LocalKafkaError(
            f"{LOCK.name} lists no jars, or one of them twice. Restore it from version control."
        )
    return jars


def write_lock(jars: Iterable[Jar]) -> str:
    """The text of a lock file, in an order that makes its changes readable."""
    entries = (
        f'[[jar]]\ngroup = "{jar.group}"\nname = "{jar.name}"\nversion = "{jar.version}"\nsha256 = "{jar.sha256}"\n'
        for jar in sorted(jars)
    )
    head = "# The jars of the local Apache Kafka. Written by `python -m saga_app.local.jars`; do not edit.\n"
    return "\n".join([head, *entries])


def sha256_of(file: Path) -> str:
    """The SHA-256 of a file's bytes, as hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def locked_jars(
    folder: Path | None = None,
    jars: Iterable[Jar] | None = None,
    fetch: Fetch | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> list[Path]:
    """The verified paths of all jars of the lock; missing and damaged ones are fetched first.

    Raises LocalKafkaError if a jar cannot be fetched or is not the one in the lock.
    """
    home = folder or cache_folder()
    wanted = tuple(read_lock(lock_file().read_text("utf-8")) if jars is None else jars)
    missing = [jar for jar in wanted if not _is_good(home / jar.file, jar)]
    if missing:
        say(f"Fetching {len(missing)} jars of Apache Kafka, about 45 MB in all, once per user ...")
        home.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(lambda jar: _bring(jar, home, fetch or fetch_from_maven), missing))
    return [home / jar.file for jar in wanted]


def fetch_from_maven(jar: Jar, scratch: Path) -> Path:
    """Download one jar below `scratch` with jgo, from the repository that jgo is set up for."""
    return _context(scratch).create_dependency(jar.coordinates).artifact.resolve()


def resolve(scratch: Path) -> list[Jar]:
    """Ask Maven's metadata which jars ROOTS need, download them below `scratch`, and hash them."""
    context = _context(scratch)
    roots = [context.create_dependency(root) for root in ROOTS]
    _, nodes = context.resolver.get_dependency_list(roots)
    artifacts = [dependency.artifact for dependency in (*roots, *(node.dep for node in nodes))]
    return [Jar(a.groupId, a.artifactId, a.version, sha256_of(a.resolve())) for a in artifacts]


def _is_good(file: Path, jar: Jar) -> bool:
    return file.is_file() and sha256_of(file) == jar.sha256


def _bring(jar: Jar, home: Path, fetch: Fetch) -> None:
    """Fetch beside the cache, then move the jar in whole: neither a crash nor a second run leaves half a jar."""
    scratch = Path(tempfile.mkdtemp(prefix=".fetching-", dir=home))
    try:
        fetched = fetch(jar, scratch)
        if (actual := sha256_of(fetched)) != jar.sha256:
            raise LocalKafkaError(
                f"{jar.coordinates} is not the jar that {LOCK.name} lists: its SHA-256 is {actual}, wanted "
                f"{jar.sha256}. It was not used. Ask who runs the registry or proxy between you and Maven Central."
            )
        fetched.replace(home / jar.file)
    except (OSError, RuntimeError) as error:
        raise LocalKafkaError(
            f"{jar.coordinates} could not be fetched ({error}). Check the network and proxy settings "
            "(HTTPS_PROXY, REQUESTS_CA_BUNDLE), then run it again; what was fetched is kept. "
            "Or set SAGA_BROKER to a Kafka that you have."
        ) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _context(scratch: Path) -> "MavenContext":
    # Imported here, because jgo is an extra.
    try:
        from jgo.maven import MavenContext
    except ImportError as error:
        raise LocalKafkaError(
            "The package jgo is missing, which fetches Apache Kafka. Run scripts/setup, or: pip install '.[local]'"
        ) from error
    return MavenContext(repo_cache=scratch, timeout=SILENCE)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        LOCK.write_text(write_lock(resolve(Path(place))), "utf-8")
    print(f"Wrote {LOCK.name}: {len(read_lock(LOCK.read_text('utf-8')))} jars")
