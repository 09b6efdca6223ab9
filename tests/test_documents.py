"""The documents say what the code does."""

import re
from pathlib import Path

import pytest

from saga_app.local.documents import DOCUMENTS, filled

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_generated_parts_are_as_the_code_is(document: str):
    text = (ROOT / document).read_text("utf-8")
    assert filled(text) == text, "run scripts/docs"


@pytest.mark.parametrize("document", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/**/*.md")), ids=str)
def test_every_link_of_a_document_leads_somewhere(document: Path):
    for target in LINK.findall(document.read_text("utf-8")):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_document_that_a_docstring_names_exists():
    named = {
        (source.name, path)
        for source in (ROOT / "saga_app").rglob("*.py")
        for path in re.findall(r"`(docs/[a-z0-9/.-]+\.md)`", source.read_text("utf-8"))
    }
    assert named, "docstrings name the documents"
    assert not [each for each in named if not (ROOT / each[1]).exists()]
