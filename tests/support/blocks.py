"""The parts of documents that tests read: keys of output, and shell blocks.

Each shell block is run by the test that is named here, or says why it is not. A block that no test can
run stands below a line `<!-- not run: REASON -->`.
"""

import re
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
#: Document to the test that runs all of its blocks but those that say why not.
RUN_BY: Final = {
    "README.md": "tests/test_readme.py",
    "docs/tutorial.md": "tests/test_readme.py",
    "docs/how-to/connect-your-shop.md": "tests/examples/test_connect_your_shop.py",
    "docs/how-to/add-partitions.md": "tests/live/test_more_partitions.py",
    "docs/how-to/correct-stock-and-accounts.md": "tests/live/test_corrections.py",
    "docs/how-to/refunds.md": "tests/live/test_refunds.py",
    "docs/how-to/add-a-step.md": "tests/examples/test_add_a_step.py",
    "docs/how-to/change-a-policy.md": "tests/commands/test_policy.py",
    "docs/how-to/webhooks.md": "tests/live/test_webhooks_page.py",
    "docs/how-to/choose-how-long-an-order-waits.md": "tests/commands/test_policy.py",
    "docs/how-to/import-orders.md": "tests/commands/test_importing.py",
    "docs/how-to/place-orders-from-your-database.md": "tests/outbox/test_page.py",
    "docs/how-to/find-an-order.md": "tests/orderdb/test_follow.py",
    "docs/how-to/use-your-own-kafka.md": "tests/examples/test_own_kafka.py",
    "docs/how-to/secure-kafka.md": "tests/examples/test_own_kafka.py",
    "docs/how-to/call-your-own-service.md": "tests/examples/test_carrier.py",
    "docs/how-to/take-payments-with-stripe.md": "tests/examples/test_stripe.py",
    "docs/how-to/settle-doubt.md": "tests/live/test_outside.py",
    "docs/how-to/kubernetes.md": "tests/examples/test_kubernetes_page.py",
    "docs/how-to/systemd.md": "tests/examples/test_run_units.py",
}
_BLOCK: Final = re.compile(
    r"^(<!-- not run: \S[^\n]*-->\n)?```(?:sh|bash|shell|console)\n(.*?)^```", re.DOTALL | re.MULTILINE
)


def documents() -> list[str]:
    """Every document, as a path from the root."""
    patterns = ("*.md", "bench/*.md", "docs/**/*.md", "examples/**/*.md", "scripts/*.md")
    found = [path for pattern in patterns for path in ROOT.glob(pattern)]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def blocks(document: str) -> list[str]:
    """Its shell blocks that a test must run."""
    text = (ROOT / document).read_text("utf-8")
    return [found[2] for found in _BLOCK.finditer(text) if found[1] is None]


def documented_keys(section: str) -> set[str]:
    """The keys in the first column of a section of `docs/reference/output.md`."""
    text = (ROOT / "docs/reference/output.md").read_text("utf-8")
    section_text = text.split(f"## {section}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", section_text, re.MULTILINE)
    return {key for row in rows for key in re.findall(r"`(\w+)`", row)}
