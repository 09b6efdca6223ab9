"""The schemas say of records and rows what the code says, as far as a schema can."""

import json
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from saga_app.core.records import Outcome
from saga_app.docgen.schemas import ASYNCAPI, FOLDER
from tests.support.blocks import ROOT
from tests.support.corpus import GOOD, _fields, spelled
from tests.support.examples import (
    CAPTURED_LATER,
    answered,
    cancel,
    countries,
    delivery,
    deposit,
    limit,
    order,
    pay,
    placed,
    refund,
)
from tests.support.given import CHECKOUT, INVENTORY, PAYMENT, SHIPPING, Story, given

HELD = order(customer_id="c1", payment_method="stripe:pm_1", route=CAPTURED_LATER)

#: An amount may be left out where every line has a price; a policy has one parameter of two.
BEYOND_A_SCHEMA = {
    "OrderPlaced without amount",
    "OrderPlaced with amount None",
    "PolicyChanged without limit",
    "PolicyChanged with limit None",
}
BAD = [(name, value) for name, value in _fields() if name not in BEYOND_A_SCHEMA]
ROWS = {"orders": "OrderRow", "accounts": "Account", "stock": "Stock"}


def schema(name: str) -> Draft202012Validator:
    found = json.loads((ROOT / FOLDER / f"{name}.json").read_text("utf-8"))
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)


@pytest.mark.parametrize("name", GOOD)
def test_a_good_record_is_valid_by_its_own_schema_and_no_other(name: str) -> None:
    record = json.loads(spelled(name, GOOD[name]))
    assert [each for each in GOOD if schema(each).is_valid(record)] == [name]


@pytest.mark.parametrize(("name", "value"), BAD, ids=[name for name, _ in BAD])
def test_a_record_with_a_wrong_field_is_invalid(name: str, value: bytes) -> None:
    assert not schema(name.split()[0]).is_valid(json.loads(value))


def test_the_shortest_order_is_valid() -> None:
    schema("OrderPlaced").validate({"order_id": 1, "amount": 500})


@pytest.mark.parametrize(
    "story",
    [
        given(CHECKOUT, placed()),
        given(CHECKOUT, placed(), cancel()),
        given(PAYMENT, deposit(), pay(order(customer_id="c1")), refund(order(customer_id="c1"))),
        given(PAYMENT, limit("p1", "60.00"), pay(order(amount="99.00"))),
        given(PAYMENT, pay(HELD), answered(Outcome.DONE, "pi_1", capture_before=1_767_830_400)),
        given(INVENTORY, delivery(a=3)),
        given(SHIPPING, countries("p1", "GB", "FR")),
    ],
    ids=["placed", "cancelling", "paid and refunded", "refused", "authorised", "delivered", "countries"],
)
def test_rows_are_valid_as_they_are_written(story: Story) -> None:
    for (table, _), data in story.rows.bytes.items():
        row = json.loads(data)
        schema(ROWS.get(table, "JournalRow")).validate(row)
        assert not schema(ROWS.get(table, "JournalRow")).is_valid({**row, "version": None})


def test_every_topic_names_its_records_by_schemas_that_exist() -> None:
    document: dict[str, Any] = yaml.safe_load((ROOT / ASYNCAPI).read_text("utf-8"))
    named: dict[str, list[str]] = {}
    for address, channel in document["channels"].items():
        for name, message in channel["messages"].items():
            assert (ROOT / ASYNCAPI).parent.joinpath(message["payload"]["$ref"]).exists()
            named.setdefault(name, []).append(address)
    assert named.pop("OrderOutcome") == ["order_outcomes"]
    assert named.keys() == GOOD.keys()
    assert named["PolicyChanged"] == ["checkout_events", "payment_events", "shipping_events"]
    read = {each["channel"]["$ref"] for each in document["operations"].values()}
    assert read == {f"#/channels/{address}" for address in document["channels"]}
