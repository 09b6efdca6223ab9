"""docs/ as a site: hooks of MkDocs that let the pages stay as a code host shows them. `mkdocs.yml` names this file.

It is imported by its path and only by MkDocs, which is in the extra `docs`.
"""

import re
from importlib import resources
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_MERMAID: Final = "assets/mermaid.min.js"
#: Code, which stays as it is, or a link: its text and its path in this repository.
_CODE_OR_LINK: Final = re.compile(
    r"^```.*?^```|`[^`\n]+`|\[([^\]]+)\]\((?!\w+:|#)([^)#\s]+)(?:#[^)\s]*)?\)", re.DOTALL | re.MULTILINE
)
_DIAGRAM: Final = re.compile(r'(<pre class="mermaid">.*?</pre>)', re.DOTALL)
_INDEXED: Final = re.compile(r"^## (.+)$|\[([^\]]+)\]\((?!\w+:)([^)#\s]+)\)", re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The navigation is the index: its headings, and below each the pages that it links to."""
    docs = Path(config.docs_dir)
    nav: list[Any] = [{"Overview": "README.md"}]
    pages: list[Any] = nav
    for heading, text, target in _INDEXED.findall((docs / "README.md").read_text("utf-8")):
        if heading:
            pages = []
            nav.append({heading: pages})
        elif target.startswith("../"):
            continue
        elif (folder := docs / target.removesuffix("README.md")).is_dir():
            # The index names the folder and not each of its pages.
            pages.extend(str(page.relative_to(docs)) for page in sorted(folder.glob("*.md")))
        elif target.endswith(".md"):
            pages.append({text.replace("`", ""): target})
    config.nav = [each for each in nav if all(each.values())]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Mermaid's own script, which the theme would else fetch; `mermaidx` carries it as it was released."""
    script = resources.files("mermaidx") / "assets" / "mermaid.js"
    files.append(File.generated(config, _MERMAID, content=script.read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """A link to what the site does not have, a source file or a folder, becomes its text; it must lead somewhere."""
    docs = Path(config.docs_dir).resolve()
    here = (docs / page.file.src_uri).parent

    def changed(found: re.Match[str]) -> str:
        text, target = found[1], found[2]
        if target is None:
            return found[0]
        to = (here / target).resolve()
        if to.is_dir() and to.is_relative_to(docs) and (to / "README.md").exists():
            return f"[{text}]({target.rstrip('/')}/README.md)"
        return text if to.is_dir() or (to.exists() and not to.is_relative_to(docs)) else found[0]

    return _CODE_OR_LINK.sub(changed, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """On a narrow screen a diagram scrolls instead of shrinking until nobody can read it."""
    return _DIAGRAM.sub(r'<div class="diagram"><div>\1</div></div>', html)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Pages with diagrams load Mermaid, and no others: it is large."""
    if not _DIAGRAM.search(output):
        return output
    script = File(_MERMAID, config.docs_dir, config.site_dir, use_directory_urls=False).url_relative_to(
        page.file
    )
    return output.replace("</head>", f'<script src="{script}"></script>\n</head>', 1)
