"""docs/how-to/connect-your-shop.md, followed while `scripts/run` is up: curl, the Python client, Kafka, tokens."""

import re
import sys
from collections.abc import Iterator

import pytest

from tests.support.blocks import ROOT, blocks
from tests.support.running_system import RunningSystem

pytestmark = pytest.mark.slow("a broker, a worker and an API, and a page that is followed")
READY, HTTP, KEY, TOKENS = blocks("docs/how-to/connect-your-shop.md")
CLIENTS, KAFKA, OUTCOMES = re.findall(
    r"^```python\n(.*?)^```",
    (ROOT / "docs/how-to/connect-your-shop.md").read_text("utf-8"),
    re.DOTALL | re.MULTILINE,
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    started = RunningSystem(tmp_path_factory.mktemp("run"), "--orders", "5")
    try:
        started.wait_for("running until Ctrl-C")
        yield started
    finally:
        started.stop()


def python(running: RunningSystem, text: str) -> str:
    """The output of a program, run with the settings of the other terminal."""
    file = running.folder / "program.py"
    file.write_text(text, "utf-8")
    return running.shell(f"{sys.executable} {file}")


def test_the_api_is_up_and_curl_places_waits_cancels_and_asks(running: RunningSystem):
    assert '"ready":true' in running.shell(READY)
    told = running.shell(HTTP)
    ending = '{"order_id":"shop-1","status":"COMPLETED"'
    # The ending, the same again, and then the whole order.
    assert told.count(ending) >= 3
    assert '{"order_id":"shop-2","order":"/v1/orders/shop-2"}' in told
    assert "event: ended" in told and '"next":' in told


def test_an_order_without_an_id_gets_the_same_one_for_the_same_key(running: RunningSystem):
    assert running.shell(KEY) == running.shell(KEY)
    assert '"order_id":"key-' in running.shell(KEY)


def test_both_python_clients_hear_the_ending(running: RunningSystem):
    http = "import asyncio, os\nasyncio.run(checkout(os.environ['SAGA_API']))\n"
    told = python(running, CLIENTS + http).splitlines()
    assert len(told) == 2 and told[0] == told[1]
    assert told[0].startswith("OrderEnding(order_id='shop-3'")


def test_kafka_itself_takes_an_order_in_its_right_partition(running: RunningSystem):
    python(running, KAFKA)
    told = running.shell('curl -s "$SAGA_API/v1/orders/shop-4?wait=30"')
    assert '"status":"COMPLETED"' in told and "again" not in told
    heard = python(running, OUTCOMES)
    assert "order.completed shop-4 None" in heard and "order.cancelled" in heard


def test_tokens_are_made_listed_and_revoked(running: RunningSystem):
    secret, listed, revoked = running.shell(TOKENS.replace("$PWD/.run/", f"{running.folder}/")).splitlines()
    assert secret.startswith("saga_") and "order, read" in listed and revoked == "web-shop is revoked"
