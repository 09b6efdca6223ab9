"""The documents say what the code does."""

import re
from pathlib import Path

import pytest

from saga_app.docgen import schemas
from saga_app.docgen.documents import documents as generated
from tests.support.blocks import ROOT, RUN_BY, blocks, documents

LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)")
CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


GENERATED = dict(generated(ROOT))


@pytest.mark.parametrize("document", GENERATED)
def test_what_is_generated_is_as_the_code_is(document: str):
    assert (ROOT / document).read_text("utf-8") == GENERATED[document], "run scripts/docs"


def test_no_schema_is_left_of_a_record_that_is_gone():
    assert {str(path.relative_to(ROOT)) for path in (ROOT / schemas.FOLDER).iterdir()} <= GENERATED.keys()


@pytest.mark.parametrize("document", documents())
def test_every_link_of_a_document_leads_somewhere(document: str):
    path = ROOT / document
    for target, anchor in LINK.findall(CODE.sub("", path.read_text("utf-8"))):
        to = (path.parent / target).resolve() if target else path
        assert to.exists(), f"{document} links to {target}"
        assert not anchor or anchor in anchors(to), f"{document} links to {target}#{anchor}"


def anchors(document: Path) -> set[str]:
    """The headings of a document, as links name them."""
    heads = re.findall(r"^#+ (.+)$", CODE.sub("", document.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("document", documents())
def test_every_shell_block_is_run_by_a_test_or_says_why_not(document: str):
    if blocks(document):
        test = RUN_BY.get(document)
        assert test, (
            f"no test runs {document}: name it in tests/support/blocks.py, or put `<!-- not run: REASON -->` above"
        )
        assert f'blocks("{document}")' in (ROOT / test).read_text("utf-8")


def test_every_document_is_in_the_index():
    index = (ROOT / "docs/README.md").read_text("utf-8")
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    missing = [
        str(page)
        for page in pages
        if page.parts[0] not in ("decisions", "README.md") and f"({page})" not in index
    ]
    assert not missing


def test_every_document_that_a_docstring_names_exists():
    named = {
        (source.name, path)
        for source in (ROOT / "saga_app").rglob("*.py")
        for path in re.findall(r"`(docs/[a-z0-9/.-]+\.md)`", source.read_text("utf-8"))
    }
    assert named, "docstrings name the documents"
    assert not [each for each in named if not (ROOT / each[1]).exists()]
