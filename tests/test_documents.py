"""The documents say what the code does."""

import re
from pathlib import Path

import pytest

from saga_app.docgen import schemas
from saga_app.docgen.documents import documents as generated
from tests.support.blocks import ROOT, RUN_BY, blocks, documents
from tests.support.citations import anchors, sources, wrong_documents, wrong_files

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


def test_every_document_that_is_cited_is_there():
    # Without the two files that cite some on purpose that are not.
    on_purpose = {Path(__file__), Path(__file__).with_name("test_site.py")}
    looked_at = [path for path in sources() if path not in on_purpose]
    assert not [each for path in looked_at for each in wrong_documents(path.read_text("utf-8"), path)]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("see `docs/reference/faust.md#a12`, and docs/reference/faust.md.", []),
        ("see `docs/reference/faust.md#a0`", ["docs/reference/faust.md#a0"]),
        ("# see docs/reference/gone.md: it says more", ["docs/reference/gone.md"]),
        ("house.md, section 2", ["house.md"]),
        ("[away](https://example.org/gone.md#part), and the Markdown files, *.md", []),
        ("[here](limits.md), [there](../reference/gone.md#part)", ["../reference/gone.md#part"]),
        ("runbook: docs/how-to/alerts.md#worker-down", []),
        ("runbook: docs/how-to/alerts.md#worker-up", ["docs/how-to/alerts.md#worker-up"]),
    ],
)
def test_a_document_that_is_not_there_is_found(text: str, wrong: list[str]):
    path = ROOT / "docs/reference/settings.md"
    assert wrong_documents(text, path) == [f"docs/reference/settings.md: {each}" for each in wrong]


@pytest.mark.parametrize(
    "kind",
    ["saga_app/wire.py", "scripts/run", ".ci/run", "Dockerfile", "docker-compose.yml", "docs/README.md"],
)
def test_every_kind_of_file_is_looked_at(kind: str):
    assert ROOT / kind in set(sources())


@pytest.mark.parametrize("document", documents())
def test_every_file_that_a_document_names_is_there(document: str):
    assert not wrong_files((ROOT / document).read_text("utf-8"))


def test_a_file_that_is_not_there_is_found():
    text = "`saga_app/wire.py`, `saga_app/gone.py`, `scripts/gone --help`, `docs/` and `faust/gone.py`"
    assert wrong_files(text) == ["saga_app/gone.py", "scripts/gone"]


# --- docs/reference/faust.md


FAULTS = (ROOT / "docs/reference/faust.md").read_text("utf-8")


def test_every_upstream_issue_that_the_code_names_is_in_the_reference():
    code = "".join(path.read_text("utf-8") for path in sources() if path.suffix == ".py")
    named, told = (
        set(re.findall(r"\b(?:aiokafka|faust|librdkafka|rh)#\d+", each)) for each in (code, FAULTS)
    )
    assert named and not named - told


def test_every_test_that_the_reference_names_is_there():
    tests = "".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", FAULTS))
    assert named and not [each for each in named if f"def {each}(" not in tests]


# --- docs/decisions


DECISIONS = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
TITLES = [page.read_text("utf-8").partition("\n")[0] for page in DECISIONS]


def test_decisions_are_numbered_without_gaps():
    assert [int(page.name.partition("-")[0]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    assert all(title.startswith(f"# {number}. ") for number, title in enumerate(TITLES, 1))


def test_the_index_of_decisions_has_each_of_them_with_its_state():
    index = (ROOT / "docs/decisions/README.md").read_text("utf-8")
    lines = re.findall(r"^\| (\d+) \| \[(.+)\]\((.+)\) \| \S.* \|$", index, re.MULTILINE)
    assert lines == [
        (str(number), title.removeprefix(f"# {number}. "), page.name)
        for number, (title, page) in enumerate(zip(TITLES, DECISIONS, strict=True), 1)
    ]


def test_every_decision_that_is_named_by_its_number_is_there():
    for path in sources():
        text = path.read_text("utf-8")
        for number in re.findall(r"\b[Dd]ecision (\d+)", text):
            assert 1 <= int(number) <= len(DECISIONS), f"{path}: decision {number}"
        for number, page in re.findall(r"\[[Dd]ecision (\d+)\]\([\w./]*/?(\d{4})-", text):
            assert int(number) == int(page), f"{path}: decision {number} is not {page}"
