"""The parts of an amount, the totals of lines, reference and metadata: copied, and shown by every view."""

from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from saga_app import urls, wire
from saga_app.core.records import OrderPlaced
from saga_app.times import now
from tests.api.door import opened
from tests.web.shop import FilledShop, served

ORDER = (
    b'{"order_id":"whole","shipping":"4.90","tax":"1.20","discount":"0.10","reference":"PO <7>",'
    b'"metadata":{"gift":"\\"],\\"route\\":[\\"x","channel":"web"},'
    b'"lines":[{"sku":"MUG","quantity":3,"unit_price":"3.33333","total":"10.00"},{"sku":"CUP","quantity":1,"total":"2.00"}]}'
)


@pytest.fixture
def shop(tmp_path: Path) -> Any:
    shop = FilledShop(f"sqlite:///{tmp_path}/orders.db", now() - 600_000)
    shop.send(wire.decode(ORDER), wire.decode(b'{"order_id":"plain","amount":5}'))
    yield shop
    shop.close()


def test_the_api_tells_the_parts_the_reference_and_the_metadata(shop: FilledShop) -> None:
    with opened(shop.settings) as door:
        told = door.ask("GET", "/v1/orders/whole").json()
        assert (told["amount"], told["shipping"], told["tax"], told["discount"]) == (
            "18.00",
            "4.90",
            "1.20",
            "0.10",
        )
        assert told["reference"] == "PO <7>"
        assert told["metadata"] == {"channel": "web", "gift": '"],"route":["x'}
        plain = door.ask("GET", "/v1/orders/plain").json()
        assert (plain["shipping"], plain["reference"], plain["metadata"]) == (None, None, {})
        listed = door.ask("GET", "/v1/orders").json()["orders"]
        assert {each["order_id"] for each in listed} == {"whole", "plain"}


def test_the_page_shows_them_escaped(shop: FilledShop) -> None:
    with served(shop.settings) as server, urlopen(server.url + urls.order("whole")) as answer:
        page = answer.read().decode()
    for each in ("Shipping", "4.90", "1.20", "-0.10", "PO &lt;7&gt;", "channel", "3.33333", "10.00", "2.00"):
        assert each in page, each
    assert '],"route"' not in page


def test_the_same_order_is_known_as_the_same_and_another_tax_is_another(shop: FilledShop) -> None:
    with opened(shop.settings) as door:
        record = wire.decode(ORDER)
        assert isinstance(record, OrderPlaced)
        again = door.place(ORDER)
        assert again.status_code in (200, 202), again.text
        other = door.place(ORDER.replace(b'"tax":"1.20"', b'"tax":"1.30"'))
        assert other.status_code == 409, other.text
