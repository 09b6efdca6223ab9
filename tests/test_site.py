"""docs/ as a site: it has every page and no broken link, and reading it fetches nothing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.support.blocks import ROOT
from tests.web.chromium import WatchedPage, launched

pytest.importorskip("mkdocs", reason="the extra `docs` is not installed: scripts/setup installs it")
pytest.importorskip("mermaidx", reason="the extra `docs` is not installed: scripts/setup installs it")

SOURCES = ("mkdocs.yml", "docs", "saga_app/docgen/site.py", "README.md", "CONTRIBUTING.md")


def build(project: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder)],
        cwd=project,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the site is made from, to be changed."""
    for name in SOURCES:
        to = tmp_path / "project" / name
        to.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to)
        else:
            shutil.copyfile(ROOT / name, to)
    return tmp_path / "project"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = launched(playwright)
        yield browser
        browser.close()


def test_the_site_has_every_page(site: Path):
    for page in (ROOT / "docs").rglob("*.md"):
        built = page.relative_to(ROOT / "docs").with_suffix(".html")
        assert (site / (built.with_name("index.html") if page.name == "README.md" else built)).exists(), page


def test_the_navigation_is_the_index(site: Path):
    tutorial = (site / "tutorial.html").read_text("utf-8")
    places = [
        tutorial.index(f"\n  {name}\n")
        for name in ("Overview", "Tutorial", "How-to", "Reference", "Decisions")
    ]
    assert places == sorted(places)


def test_whatever_leads_nowhere_fails_and_a_link_out_of_the_site_is_text(project: Path):
    broken = ("how-to/nowhere.md", "how-to/upgrade.md#nowhere", "../nowhere.py", "nowhere/")
    with (project / "docs/tutorial.md").open("a", encoding="utf-8") as page:
        page.writelines(f"\n[there]({each})\n" for each in broken)
        page.write("\n[Readme](../README.md#try-it), [schemas](reference/schemas/), `[code](../README.md)`\n")
    (project / "docs/how-to/forgotten.md").write_text("# The index does not name it\n", "utf-8")
    done = build(project, project / "site")
    assert done.returncode != 0
    for each in broken:
        assert f"'{each}'" in done.stderr
    assert "how-to/forgotten.md" in done.stderr
    assert done.stderr.count("WARNING") == len(broken) + 1, done.stderr
    built = (project / "site/tutorial.html").read_text("utf-8")
    assert "Readme, schemas, <code>[code](../README.md)</code>" in built


def test_diagrams_are_drawn_and_no_page_fetches_anything_from_elsewhere(site: Path, chromium: Browser):
    """From the folder, without a server."""
    watched = WatchedPage(chromium, site.as_uri())
    for page in ("index.html", "performance.html", "reference/wire.html", "reference/machines.html"):
        watched.page.goto(f"{site.as_uri()}/{page}")
        watched.page.wait_for_load_state("networkidle")
    diagrams = watched.page.locator(".diagram div.mermaid")
    watched.page.wait_for_function("document.querySelectorAll('.diagram div.mermaid').length === 5")
    assert all((box := each.bounding_box()) and box["height"] > 100 for each in diagrams.all())
    watched.close()
