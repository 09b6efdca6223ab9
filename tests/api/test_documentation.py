"""The API's own document, its interactive pages, and its probes."""

import json
import re
from hashlib import sha256

import yaml

from saga_app.api.documentation import FILES
from saga_app.health.readings import Readings
from saga_app.times import now
from tests.api.door import Door
from tests.support.blocks import ROOT


def test_the_api_serves_the_document_that_the_reference_has(door: Door):
    document = door.ask("GET", "/openapi.json").json()
    assert document == yaml.safe_load((ROOT / "docs/reference/openapi.yaml").read_text("utf-8"))


def test_the_bodies_are_the_records_of_the_wire(door: Door):
    schemas = door.ask("GET", "/openapi.json").json()["components"]["schemas"]
    for name, own_id in (
        ("OrderPlaced", "order_id"),
        ("FundsDeposited", "deposit_id"),
        ("StockReceived", "delivery_id"),
        ("FundsWithdrawn", "withdrawal_id"),
        ("StockAdjusted", "adjustment_id"),
        ("PolicyChanged", "policy_id"),
    ):
        wire = json.loads((ROOT / f"docs/reference/schemas/{name}.json").read_text("utf-8"))
        assert schemas[name]["properties"].keys() == wire["properties"].keys()
        assert set(wire.get("required", ())) - {"type", own_id} == set(schemas[name].get("required", ()))


def test_the_interactive_pages_load_files_of_this_server_only(door: Door):
    page = door.ask("GET", "/docs")
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert [each for each in addresses if not each.startswith(("/docs/static/", "data:"))] == []
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    for each in addresses:
        if each.startswith("/"):
            assert door.ask("GET", each).status_code == 200


def test_the_files_of_others_are_those_that_were_taken_over():
    sums = re.findall(r"^([0-9a-f]{64})  (\S+)$", (FILES / "README.md").read_text("utf-8"), re.MULTILINE)
    assert len(sums) == 2 and (FILES / "swagger-ui/LICENSE").exists()
    for digest, name in sums:
        assert sha256((FILES / name).read_bytes()).hexdigest() == digest


def test_the_api_is_ready_if_it_can_take_orders(door: Door):
    assert door.ask("GET", "/livez").json() == {"alive": True}
    assert door.ask("GET", "/readyz").json() == {"ready": True, "why": ""}


def test_without_an_order_database_the_api_is_ready_and_says_so(door: Door):
    well = door.health.latest()
    door.health.given = lambda: Readings(now(), well.kafka, "", None, "no database")  # type: ignore[union-attr]
    assert door.ask("GET", "/readyz").json() == {"ready": True, "why": "no database"}


def test_without_a_broker_or_before_its_end_the_api_is_not_ready(door: Door):
    door.outcomes.fault = "no broker answers"
    assert door.ask("GET", "/readyz").status_code == 503
    door.outcomes.fault = ""
    door.health.given = lambda: Readings(now(), None, "no broker answers")
    answer = door.ask("GET", "/readyz")
    assert (answer.status_code, answer.json()["why"]) == (503, "no broker answers")
    door.parts.stops = True
    assert door.ask("GET", "/readyz").json()["why"] == "it is about to end"
    assert door.ask("GET", "/livez").status_code == 200
