"""Citations of documents and files, wherever they stand: in code, scripts, settings and other documents."""

import os
import re
from functools import cache
from pathlib import Path
from typing import Final

from tests.support.blocks import ROOT

#: Kinds of files in which documents are cited.
KINDS: Final = frozenset({".cfg", ".md", ".py", ".sh", ".toml", ".yaml", ".yml"})
#: Folders whose files have no suffix.
SCRIPTS: Final = frozenset({".ci", "scripts"})
#: Documents that a program writes, and that are in no folder of the repository.
WRITTEN: Final = frozenset({"chaos.md"})
_URL: Final = re.compile(r"https?://\S+")
_DOCUMENT: Final = re.compile(r"(?<![\w./*{}-])((?:[\w.-]+/)*[\w-][\w.-]*\.md)\b(?:#([\w-]+))?")
_FILE: Final = re.compile(
    r"`((?:\.ci|agents|bench|deploy|docs|examples|saga_app|scripts|tables|tests)/[\w./-]*\w/?)[`: ]"
)
_CODE: Final = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


@cache
def sources() -> tuple[Path, ...]:
    """Every file of the repository that may cite a document."""
    found: list[Path] = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [each for each in folders if each == ".ci" or not each.startswith(".")]
        paths = [Path(folder) / name for name in names]
        found += [each for each in paths if each.suffix in KINDS or _is_script(each)]
    return tuple(sorted(found))


def _is_script(path: Path) -> bool:
    return path.suffix == "" and (path.parent.name in SCRIPTS or path.name == "Dockerfile")


def wrong_documents(text: str, path: Path) -> list[str]:
    """The documents that this text of the file at `path` cites, and that are not there or lack the anchor."""
    found = _DOCUMENT.findall(_URL.sub("", text))
    return [
        f"{path.relative_to(ROOT)}: {target}{'#' * bool(anchor)}{anchor}"
        for target, anchor in found
        if target not in WRITTEN and not _leads_somewhere(target, anchor, path)
    ]


def wrong_files(text: str) -> list[str]:
    """The files and folders that this text names from the root, in backticks, and that are not there."""
    return [name for name in _FILE.findall(text) if not (ROOT / name).exists()]


def anchors(document: Path) -> set[str]:
    """The headings of a document, as links name them, and the anchors that it sets itself."""
    text = _CODE.sub("", document.read_text("utf-8"))
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    own = re.findall(r'<a id="([\w-]+)"></a>', text)
    return {re.sub(r"[^\w -]", "", head.lower()).strip().replace(" ", "-") for head in heads} | {*own}


def _leads_somewhere(target: str, anchor: str, path: Path) -> bool:
    """From the root, or from the folder of the file that cites it."""
    for start in (ROOT, path.parent):
        document = start / target
        if document.is_file():
            return not anchor or anchor in anchors(document)
    return False
