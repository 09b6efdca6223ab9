"""A checkpoint: the state of an audit at its end, from which the next audit goes on.

It is a folder with the rows of every partition, the consequences that are not matched yet, and `manifest.json`. The
manifest names the topics, the offset of each partition, and the digest of every file.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from saga_app.audit.cuts import Identity, Offsets
from saga_app.core.numbers import Offset
from saga_app.kafka.messages import Place
from saga_app.settings import Settings
from saga_app.times import now

#: The format of the files. A reader refuses every other one.
FORMAT: Final = 1
MANIFEST: Final = "manifest.json"


class Refused(Exception):
    """A checkpoint cannot be used; the message says which one, why, and what to do."""

    def __init__(self, path: Path, why: str, remedy: str) -> None:
        super().__init__(f"checkpoint {path}: {why}; {remedy}")


class Manifest(BaseModel):
    """The content of `manifest.json`. Times in milliseconds since 1970; `offsets` by topic, one for each partition."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: int
    written: int
    #: The number of audits in a row, each from the checkpoint of the one before, and when the first of them ended.
    audits: int
    begun: int
    app_id: str
    cluster: str
    topics: dict[str, str]
    offsets: dict[str, list[int]]
    #: Records of the inboxes that were folded.
    records: int
    #: SHA-256 of each file, in hexadecimal.
    files: dict[str, str]


class Checkpoint(NamedTuple):
    """A checkpoint with files that are exactly as they were written."""

    path: Path
    manifest: Manifest

    @property
    def known(self) -> Offsets:
        """The offset up to which each partition was read."""
        return {
            (topic, partition): Offset(offset)
            for topic, offsets in self.manifest.offsets.items()
            for partition, offset in enumerate(offsets)
        }

    def fitting(self, settings: Settings, identity: Identity, renewable: Collection[str] = ()) -> Offsets:
        """The offset up to which each partition is known. Raises `Refused` if it was made from other topics.

        Of the topics in `renewable`, which are read whole each time, one that was made again is not known.
        """
        mine = self.manifest
        partitions = {len(offsets) for offsets in mine.offsets.values()}
        if mine.app_id != settings.app_id:
            self._foreign(f"it is of SAGA_APP_ID {mine.app_id!r}, not {settings.app_id!r}")
        if mine.cluster != identity.cluster:
            self._foreign(f"it is of Kafka cluster {mine.cluster}, not {identity.cluster}")
        if partitions != {settings.partitions}:
            self._foreign(f"it is of topics with {partitions} partitions, not {settings.partitions}")
        renewed = {name for name, found in identity.topics.items() if mine.topics.get(name) != found}
        if foreign := renewed - set(renewable):
            self._foreign(f"{', '.join(sorted(foreign))}: deleted, and made again or not there")
        return {place: offset for place, offset in self.known.items() if place[0] not in renewed}

    def _foreign(self, why: str) -> None:
        raise Refused(self.path, why, "use the checkpoints of these topics, or begin with an empty folder")


def read(path: Path) -> Checkpoint:
    """Reads the checkpoint in this folder. Raises `Refused` if it is not exactly as it was written."""
    try:
        data = json.loads((path / MANIFEST).read_bytes())
        fields, digest = data["checkpoint"], data["sha256"]
        newest = fields["format"] > FORMAT
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise _damaged(path, f"{MANIFEST} cannot be read: {error!r}") from error
    if newest:
        raise Refused(
            path, f"it has format {fields['format']}, not {FORMAT}", "use the version that wrote it"
        )
    if _digest(fields) != digest:
        raise _damaged(path, f"{MANIFEST} was changed")
    try:
        manifest = Manifest.model_validate(fields)
    except ValidationError as error:
        raise _damaged(path, f"{MANIFEST}: {error.errors()[0]['loc']}") from error
    if manifest.format != FORMAT:
        raise Refused(path, f"it has format {manifest.format}, not {FORMAT}", "begin with an empty folder")
    _check_files(path, manifest.files)
    return Checkpoint(path, manifest)


def write(
    target: Path, base: Checkpoint | None, app_id: str, identity: Identity, reached: Offsets, records: int
) -> None:
    """Writes the manifest of the files that the audit has left in `target`."""
    time = now()
    manifest = Manifest(
        format=FORMAT,
        written=time,
        audits=1 if base is None else base.manifest.audits + 1,
        begun=time if base is None else base.manifest.begun,
        app_id=app_id,
        cluster=identity.cluster,
        topics=dict(identity.topics),
        offsets=_by_topic(reached),
        records=records,
        files={path.name: _sha256(path) for path in sorted(target.iterdir())},
    )
    fields = manifest.model_dump()
    text = json.dumps({"sha256": _digest(fields), "checkpoint": fields}, indent=1)
    (target / MANIFEST).write_text(text, "utf-8")


def _check_files(path: Path, files: Mapping[str, str]) -> None:
    there = {each.name for each in path.iterdir()} - {MANIFEST}
    if odd := there ^ files.keys():
        raise _damaged(path, f"{min(odd)} is {'not its own' if min(odd) in there else 'missing'}")
    for name, digest in files.items():
        if _sha256(path / name) != digest:
            raise _damaged(path, f"{name} was changed")


def _damaged(path: Path, why: str) -> Refused:
    remedy = "bring it back from a copy, or begin with an empty folder where the inboxes are still whole"
    return Refused(path, f"{why}: it is damaged", remedy)


def _by_topic(reached: Mapping[Place, int]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for (topic, _), offset in sorted(reached.items()):
        found.setdefault(topic, []).append(offset)
    return found


def _digest(fields: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
