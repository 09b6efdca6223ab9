"""docs/how-to/correct-stock-and-accounts.md, done: stock and money go out again, and never more than is there."""

import shlex

import pytest

from harness.scene import Scene
from tests.live.commands import saga
from tests.support.blocks import blocks

MONEY, STOCK = blocks("docs/how-to/correct-stock-and-accounts.md")


@pytest.mark.slow("a worker, and nine commands")
def test_the_page_takes_out_what_is_there_and_refuses_what_is_not(scene: Scene) -> None:
    scene.worker("w1").start().ready()
    for line in (*MONEY.splitlines(), *STOCK.splitlines()):
        program, *words = shlex.split(line)
        done = saga(scene, *words)
        assert program == "saga" and done.code == 0, done
        scene.log.wait_until_quiet()
    ledger = scene.ledger()
    assert ledger.rows("accounts")["carl:GBP"]["balance"] == "25.00"
    assert ledger.rows("stock")["main:JAR"]["available"] == 19
    for text in ("withdraw carl 25.01", "adjust JAR:-20 --reason damage"):
        refused = saga(scene, *text.split())
        assert refused.code == 1, refused
    scene.log.wait_until_quiet()
    assert scene.ledger().rows("stock")["main:JAR"]["available"] == 19
    audit = saga(scene, "audit")
    assert audit.code == 0, audit
