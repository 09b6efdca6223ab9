"""Orders of other systems: what each example of their documents becomes here, and what is told of the rest.

The examples have the form of those in the systems' public documents. They were written anew, without people.
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga_app.core.errors import Fault, Rejected
from saga_app.imports.mapping import FORMATS, LeftOut, Mapped, Outcome, Unmapped, outcomes

EXAMPLES = Path(__file__).with_name("examples")


def mapped(format: str, data: bytes | str, **options: str) -> list[Outcome]:
    return list(outcomes(FORMATS[format], data.encode() if isinstance(data, str) else data, **options))


def example(format: str, name: str, **options: str) -> list[Outcome]:
    return mapped(format, (EXAMPLES / name).read_bytes(), **options)


def fields(outcome: Outcome) -> dict[str, Any]:
    """The fields of an order that would be placed."""
    assert isinstance(outcome, Mapped), outcome
    return outcome.record.model_dump(mode="json", exclude_none=True, exclude={"type"})


def woo(**more: Any) -> str:
    """An order of WooCommerce with these fields."""
    line = {"name": "Mug", "sku": "MUG", "quantity": 2, "total": "25.00"}
    order = {
        "id": 1,
        "number": "1",
        "status": "processing",
        "currency": "GBP",
        "total": "25.00",
        "line_items": [line],
    }
    return json.dumps({**order, **more})


def why(outcome: Outcome) -> str:
    assert isinstance(outcome, Unmapped), outcome
    return outcome.why


MUSIC = {
    "order_id": "shopify-450789469",
    "customer_id": "shopify-207119551",
    "currency": "USD",
    "amount": "210.86",
    "country": "CA",
    "warehouse": "main",
    "lines": [{"sku": "MP-2008-GREEN", "quantity": 1}],
}


def test_an_order_of_shopify_is_placed_with_what_is_left_of_it_and_its_total():
    first, cancelled, without_sku, sent = example("shopify", "shopify-rest.json")
    assert fields(first) == MUSIC
    assert isinstance(first, Mapped) and first.notes == (
        "the lines add up to 199.00, tax is 11.94, discount is 3.33, the total is 210.86: placed with the total, "
        "lines without prices",
    )
    assert cancelled == LeftOut("#1002", "it was cancelled")
    assert without_sku == Unmapped("#1003", "line 1, 'Engraving', has no SKU")
    assert sent == LeftOut("#1004", "its goods have left (fulfilled)")


@pytest.mark.parametrize("name", ["shopify-graphql.json", "shopify-bulk.jsonl"])
def test_the_same_order_of_shopify_is_the_same_here_in_whatever_form_it_was_exported(name: str):
    (outcome,) = example("shopify", name)
    assert fields(outcome) == MUSIC


def test_a_webhook_of_shopify_has_one_order_without_anything_around_it():
    orders = json.loads((EXAMPLES / "shopify-rest.json").read_bytes())["orders"]
    (outcome,) = mapped("shopify", json.dumps(orders[0]))
    assert fields(outcome) == MUSIC


def test_an_order_of_woocommerce_keeps_its_prices_where_they_add_up_to_the_total():
    first, poster, three, refunded = example("woocommerce", "woocommerce.json")
    assert fields(first) == {
        "order_id": "woo-727",
        "currency": "USD",
        "amount": "29.35",
        "country": "US",
        "warehouse": "main",
        "shipping": "10.00",
        "tax": "1.35",
        "lines": [
            {"sku": "SINGLE-1", "quantity": 2, "unit_price": "3.00"},
            {"sku": "Bar3-M-4c2ffe5c9e", "quantity": 1, "unit_price": "12.00"},
        ],
    }
    assert isinstance(first, Mapped) and first.notes[-1] == "SKU 'Bar3/M' becomes Bar3-M-4c2ffe5c9e"
    assert fields(poster) == {
        "order_id": "woo-728",
        "customer_id": "woo-26",
        "currency": "JPY",
        "amount": "3600",
        "country": "JP",
        "warehouse": "main",
        "lines": [{"sku": "POSTER", "quantity": 3, "unit_price": "1200"}],
    }
    assert fields(three)["lines"] == [{"sku": "THREE", "quantity": 3, "total": "10.00"}]
    assert isinstance(three, Mapped) and three.notes == ()
    assert refunded == LeftOut("#730", "it was refunded")


def test_an_order_of_magento_has_each_article_once():
    first, cloth, sent = example("magento", "magento.json")
    assert fields(first) == {
        "order_id": "magento-000000003",
        "customer_id": "magento-7",
        "currency": "USD",
        "amount": "110.5",
        "country": "DE",
        "warehouse": "main",
        "shipping": "5",
        "discount": "5.5",
        "lines": [
            {"sku": "MH01-S-Gray", "quantity": 1, "unit_price": "52"},
            {"sku": "24-WG081-blue", "quantity": 1, "unit_price": "23"},
            {"sku": "24-WG084", "quantity": 2, "unit_price": "18"},
        ],
    }
    assert cloth == Unmapped(
        "#000000004", "line 1, 'Cloth', has the quantity 1.5, which is no whole number of pieces"
    )
    assert sent == LeftOut("#000000005", "its goods have left (complete)")


def test_an_order_of_saleor_has_the_key_of_its_global_id():
    first, draft, broken = example("saleor", "saleor.json")
    assert fields(first) == {
        "order_id": "saleor-599662c8-df4f-4dca-977c-8669d65136a9",
        "customer_id": "saleor-159",
        "currency": "EUR",
        "amount": "36.0",
        "country": "PL",
        "warehouse": "main",
        "lines": [{"sku": "328223580", "quantity": 6, "unit_price": "6.0"}],
    }
    assert draft == LeftOut("#62", "it is a draft")
    assert broken == Unmapped("order 3 of the file", "total.gross.currency: is missing")


def test_rows_of_csv_with_the_same_order_id_are_one_order():
    first, poster, total, without_price = example("csv", "orders.csv")
    assert fields(first) == {
        "order_id": "1001",
        "customer_id": "ada",
        "currency": "GBP",
        "country": "GB",
        "warehouse": "north",
        "lines": [
            {"sku": "MUG", "quantity": 2, "unit_price": "12.50"},
            {"sku": "PEN", "quantity": 1, "unit_price": "0.99"},
        ],
    }
    assert fields(poster)["order_id"].startswith("1002-") and fields(poster)["amount"] == "1200"
    assert fields(total)["amount"] == "30.00" and fields(total)["lines"] == [{"sku": "MUG", "quantity": 2}]
    assert why(without_price) == "amount is required unless every line has a unit_price or a total"


def test_a_prefix_tells_two_shops_of_one_system_apart_and_a_warehouse_is_for_orders_that_name_none():
    first, *_ = example("shopify", "shopify-rest.json", prefix="us", warehouse="east")
    assert fields(first) == {
        **MUSIC,
        "order_id": "us-450789469",
        "customer_id": "us-207119551",
        "warehouse": "east",
    }
    north, other, *_ = example("csv", "orders.csv", warehouse="east")
    assert (fields(north)["warehouse"], fields(other)["warehouse"]) == ("north", "east")


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"currency": "EURO"}, "currency: not an active ISO 4217 currency code"),
        ({"total": "25.001"}, "GBP has 2 digits after the point"),
        ({"total": "-25.00"}, "amount and prices must not be negative"),
        ({"shipping": {"country": "Germany"}}, "country: not an ISO 3166 alpha-2 country code"),
    ],
)
def test_a_value_that_no_worker_takes_is_told_with_its_reason(more: dict[str, Any], told: str):
    (outcome,) = mapped("woocommerce", woo(**more))
    assert told in why(outcome)


@pytest.mark.parametrize(
    ("total", "price"),
    [("25.00", "12.50"), ("25", "12.50"), ("24.99", None), ("25.01", None), ("0", None)],
)
def test_lines_keep_their_prices_only_if_these_are_exactly_the_total(total: str, price: str | None):
    (outcome,) = mapped("woocommerce", woo(total=total))
    assert fields(outcome)["lines"][0].get("unit_price") == price
    assert isinstance(outcome, Mapped) and outcome.record.order.amount == Decimal(total)


def test_one_wrong_order_keeps_no_other_one_from_being_mapped():
    outcomes = mapped(
        "woocommerce", f"[{woo()}, 5, {{}}, {woo(total='NaN')}, {woo(total='1e999999999')}, {woo()}]"
    )
    assert [type(each) for each in outcomes] == [Mapped, Unmapped, Unmapped, Unmapped, Unmapped, Mapped]
    assert "id: is missing" in why(outcomes[2])


def test_lines_of_json_and_a_byte_order_mark_are_read():
    assert len(mapped("woocommerce", b"\xef\xbb\xbf" + f"{woo()}\n\n{woo(id=2)}\n".encode())) == 2


@pytest.mark.parametrize(
    ("format", "data", "told"),
    [
        ("woocommerce", " ", "the file is empty"),
        ("woocommerce", "{", "not JSON"),
        ("shopify", "<html>", "not JSON"),
        ("magento", '{"a": 1}\n{', "line 2: not JSON"),
        ("csv", "sku,quantity\nMUG,1\n", "there is no column order_id"),
        (
            "csv",
            "order_id,price\n1,5\n",
            "unknown columns 'price'; the first line names columns of: order_id",
        ),
        (
            "csv",
            "order_id,currency,amount\n1,GBP,5\n1,GBP,6\n",
            "line 3: order 1 has amount '6', and '5' before",
        ),
        ("csv", "order_id,currency,amount\n,GBP,5\n", "line 2: there is no order_id"),
        ("csv", "order_id,amount\n1,5\n", "there is no column currency"),
        (
            "csv",
            "order_id,currency,amount,sku\no1,GBP,5,MUG\no2,GBP,1,50,MUG\n",
            "line 3: more cells than columns",
        ),
        ("csv", b"order_id\n\xff\n", "not UTF-8 at byte 9"),
    ],
)
def test_a_file_of_another_format_is_refused_whole_with_the_place(format: str, data: Any, told: str):
    with pytest.raises(Rejected) as error:
        mapped(format, data)
    assert told in error.value.detail and error.value.fault in (Fault.UNREADABLE, Fault.INVALID)


@pytest.mark.parametrize("delimiter", [";", "\t", ","])
def test_csv_may_have_the_delimiter_of_any_spreadsheet(delimiter: str):
    data = (
        f'order_id{delimiter} currency{delimiter} amount\r\n1{delimiter}GBP{delimiter}"5.00"{delimiter}\r\n'
    )
    (outcome,) = mapped("csv", data)
    assert fields(outcome)["amount"] == "5.00"


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("o1,GBP,1.000,MUG,1,", "order o1 has 1.000; GBP has 2 digits after the point"),
        ("o1,JPY,,MUG,1,1.0", "order o1 has 1.0; JPY has 0 digits after the point"),
        ("o1,,5.00,MUG,1,", "currency: is missing"),
    ],
)
def test_csv_that_may_mean_other_money_is_not_mapped(row: str, told: str):
    (outcome,) = mapped("csv", f"order_id,currency,amount,sku,quantity,unit_price\n{row}\n")
    assert told in why(outcome)


@pytest.mark.parametrize(
    ("order", "item", "told"),
    [
        ({}, {"qty_canceled": 1}, "it was cancelled in part"),
        ({}, {"qty_refunded": 1}, "it was refunded in part"),
        ({"total_refunded": 5}, {}, "it was refunded in part"),
        ({}, {"qty_shipped": 1}, "its goods have left in part"),
    ],
)
def test_an_order_of_magento_of_which_a_part_is_done_is_left_out(
    order: dict[str, Any], item: dict[str, Any], told: str
):
    document = json.loads((EXAMPLES / "magento.json").read_bytes())
    first = document["items"][0]
    first.update(order)
    first["items"][0].update(item)
    assert mapped("magento", json.dumps(first)) == [LeftOut("#000000003", told)]


def test_an_order_of_woocommerce_with_refunds_is_left_out():
    (outcome,) = mapped("woocommerce", woo(refunds=[{"id": 9, "total": "-12.50"}]))
    assert outcome == LeftOut("#1", "it was refunded in part")


@pytest.mark.parametrize(("more", "kind"), [(True, Unmapped), (False, Mapped)])
def test_an_order_of_shopify_is_not_mapped_if_lines_are_on_a_further_page(more: bool, kind: type):
    document = json.loads((EXAMPLES / "shopify-graphql.json").read_bytes())
    orders = document["data"]["orders"]
    (order,) = orders["nodes"] if "nodes" in orders else [each["node"] for each in orders["edges"]]
    order["lineItems"]["pageInfo"] = {"hasNextPage": more}
    (outcome,) = mapped("shopify", json.dumps(document))
    assert isinstance(outcome, kind)
    assert not more or "more lines are on a further page" in why(outcome)


@pytest.mark.parametrize("quantity", ["1E+999999999", "1E-999999"])
def test_a_quantity_of_millions_of_digits_is_not_mapped(quantity: str):
    (outcome,) = mapped("woocommerce", woo().replace('"quantity": 2', f'"quantity": {quantity}'))
    assert "line_items.0.quantity" in why(outcome)
    (outcome,) = mapped("csv", f"order_id,currency,amount,sku,quantity\n1,GBP,5,MUG,{quantity}\n")
    assert "lines.0.quantity" in why(outcome)


def test_a_reason_tells_no_card_number():
    lines = [{"name": "4111 1111 1111 1111", "sku": "", "quantity": 1, "total": "5"}]
    (outcome,) = mapped("woocommerce", woo(line_items=lines))
    assert "4111" not in why(outcome)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["id", "orders", "1e9"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "data",
                    "orders",
                    "order",
                    "edges",
                    "nodes",
                    "node",
                    "id",
                    "__parentId",
                    "items",
                    "total_count",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("format", FORMATS)
@given(documents=st.lists(ANYTHING, max_size=3))
def test_whatever_a_file_holds_is_mapped_or_told_and_never_an_error_of_ours(
    format: str, documents: list[Any]
):
    try:
        found = mapped(format, "\n".join(map(json.dumps, documents)))
    except Rejected:
        return
    assert all(isinstance(each, Mapped | LeftOut | Unmapped) for each in found)


def test_the_parts_of_an_amount_are_kept_where_they_add_up_exactly():
    (outcome,) = mapped("woocommerce", woo(total="31.20", shipping_total="5.00", total_tax="1.20"))
    assert (fields(outcome)["shipping"], fields(outcome)["tax"]) == ("5.00", "1.20")
    (outcome,) = mapped("woocommerce", woo(total="31.21", shipping_total="5.00", total_tax="1.20"))
    assert isinstance(outcome, Mapped) and outcome.notes == (
        "the lines add up to 25.00, shipping is 5.00, tax is 1.20, the total is 31.21: placed with the total, "
        "lines without prices",
    )
    assert "shipping" not in fields(outcome)


def test_a_price_that_is_rounded_gives_way_to_the_total_of_its_line():
    line = {"sku": "MUG", "quantity": 3, "total": "10.00"}
    (outcome,) = mapped("woocommerce", woo(total="10.00", line_items=[line]))
    assert fields(outcome)["lines"] == [{"sku": "MUG", "quantity": 3, "total": "10.00"}]


def test_csv_has_columns_for_the_parts_the_total_of_a_line_and_the_reference():
    text = (
        "order_id,currency,shipping,tax,discount,reference,sku,quantity,unit_price,line_total\n"
        "1,GBP,5,1.20,0.20,#1001,MUG,3,3.3333,10.00\n"
    )
    (outcome,) = mapped("csv", text)
    assert isinstance(outcome, Mapped) and outcome.record.order.amount == Decimal("16.00")
    assert outcome.record.order.reference == "#1001"
