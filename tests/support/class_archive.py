"""An archive of the broker's classes, from which Java starts without loading and verifying each of them anew.

A broker's start costs 1.7 s of a processor with it and 2.9 s without (Java 17). An archive fits one Java and one set
of jars, so its name says both; Java goes on without an archive that does not fit.
"""

import hashlib
import os
import tempfile
from pathlib import Path

from saga_app.local import jars, java
from saga_app.local.broker import Broker
from saga_app.local.errors import LocalKafkaError


def archive() -> Path | None:
    """The archive for this machine's Java and the locked jars, made or not; None if there is no Java."""
    try:
        found = java.find_java()
    except LocalKafkaError:
        return None
    fits = f"{found.resolve()} {java.version_of(found)} {jars.lock_file().read_text('utf-8')}"
    return jars.cache_folder().parent / f"classes-{hashlib.sha256(fits.encode()).hexdigest()[:16]}.jsa"


def make(file: Path) -> None:
    """Starts and stops a broker that writes down the classes that it has loaded; takes some ten seconds, once."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=file.parent) as scratch:
        written = Path(scratch) / file.name
        options = os.environ.get("JDK_JAVA_OPTIONS", "")
        os.environ["JDK_JAVA_OPTIONS"] = f"{options} -XX:ArchiveClassesAtExit={written}"
        broker = Broker(Path(scratch) / "broker")
        try:
            broker.start().wait().stop()
        except LocalKafkaError:
            # The tests that need a broker say why there is none.
            return
        finally:
            os.environ["JDK_JAVA_OPTIONS"] = options
            broker.remove()
        if written.exists():
            written.replace(file)
