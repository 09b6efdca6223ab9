"""The orders' page: its filter, its sequence, its pages, its file, and many orders at once."""

import csv
from typing import Any

import pytest
from playwright.sync_api import expect

from saga_app.web.order_list import COLUMNS, PAGE_SIZE
from tests.support.examples import placed
from tests.web.asking import ask
from tests.web.shop import MUGS, FilledShop, PageServer, served


def ids(page: Any) -> list[str]:
    found: list[str] = page.locator("tbody th").all_text_contents()
    return found


def test_a_list_is_narrowed_by_reason_customer_and_amount(open_page: Any) -> None:
    page = open_page("/orders/")
    page.get_by_label("Customer", exact=True).fill("ada")
    page.get_by_label("Amount from").fill("20")
    page.get_by_role("combobox", name="Reason").select_option("out of stock")
    page.get_by_role("button", name="Show").click()
    assert ids(page) == ["sold-out"]
    expect(page.locator(".total")).to_have_text("1 order fits.")
    assert "customer=ada" in page.url and "least=20" in page.url and "reason=out_of_stock" in page.url


def test_a_wrong_value_is_told_beside_its_field_and_the_others_stay(open_page: Any) -> None:
    page = open_page("/orders/?state=CANCELLED&customer=ada&least=ten&since=yesterday")
    expect(page.get_by_label("Amount from")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#wrong-least")).to_have_text("'ten' is no amount; it is written as in 12.50.")
    expect(page.locator("#wrong-since")).to_contain_text("'yesterday' is not a time")
    expect(page.get_by_label("Customer", exact=True)).to_have_value("ada")
    expect(page.get_by_role("combobox", name="State")).to_have_value("CANCELLED")
    page.get_by_label("Amount from").fill("10")
    page.get_by_label("Placed since").fill("1h")
    page.get_by_role("button", name="Show").click()
    assert set(ids(page)) == {"sold-out", "undelivered"}


def test_a_heading_sorts_the_list_and_says_so(open_page: Any) -> None:
    page = open_page("/orders/?state=CANCELLED")
    newest = ids(page)
    page.get_by_role("columnheader", name="Placed").get_by_role("link").click()
    assert ids(page) == newest[::-1]
    expect(page.get_by_role("columnheader", name="Placed")).to_have_attribute("aria-sort", "ascending")
    page.get_by_role("columnheader", name="Amount").get_by_role("link").click()
    expect(page.get_by_role("columnheader", name="Amount")).to_have_attribute("aria-sort", "descending")
    assert "state=CANCELLED" in page.url


def test_pages_go_on_and_back_with_the_filter_and_the_sequence(open_page: Any, shop: FilledShop) -> None:
    for number in range(PAGE_SIZE + 1):
        shop.send(placed(f"many-{number:02}", lines=MUGS, customer_id="ada"))
    page = open_page("/orders/?q=many&sort=oldest")
    first = ids(page)
    assert first == [f"many-{number:02}" for number in range(PAGE_SIZE)]
    expect(page.get_by_role("link", name="The page before")).to_have_count(0)
    page.get_by_role("link", name="The next page").click()
    assert ids(page) == [f"many-{PAGE_SIZE}"]
    expect(page.get_by_role("link", name="The next page")).to_have_count(0)
    page.get_by_role("link", name="The page before").click()
    assert ids(page) == first


def test_the_reason_and_the_service_waited_for_have_columns(open_page: Any) -> None:
    page = open_page("/orders/?q=undelivered")
    expect(page.locator('td[data-label="Reason"]')).to_have_text("the country is not served")
    page.goto(page.url.replace("undelivered", "waiting"))
    expect(page.locator('td[data-label="Waiting for"]')).to_have_text("shipping")


def test_an_order_on_a_phone_is_a_card_with_all_its_values(open_page: Any) -> None:
    page = open_page("/orders/?q=undelivered", viewport={"width": 360, "height": 700})
    row = page.locator("tbody tr")
    for shown in (row.locator("th"), row.locator('td[data-label="Amount"]'), row.locator("td time")):
        box = shown.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 360
    assert row.locator("td:visible:empty").count() == 0


def test_the_list_is_a_file_too_with_all_of_its_pages(server: PageServer) -> None:
    answer = ask(server.url, "/orders.csv?customer=ada&sort=oldest")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    heading, *rows = csv.reader(answer.text.splitlines())
    assert tuple(heading) == COLUMNS and rows[0][:2] == ["o-0", "COMPLETED"]
    (refused,) = [row for row in rows if row[0] == "sold-out"]
    assert dict(zip(COLUMNS, refused, strict=True))["reason"] == "out of stock"
    assert ask(server.url, "/orders.csv?least=x").status == 400


def test_a_file_of_several_parts_has_each_order_once(
    server: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saga_app.web.order_list.CSV_PART", 7)
    rows = list(csv.reader(ask(server.url, "/orders.csv?q=o-").text.splitlines()))
    assert sorted(row[0] for row in rows[1:]) == sorted(f"o-{number}" for number in range(30))


def test_many_orders_are_counted_before_they_are_changed(open_page: Any) -> None:
    page = open_page("/orders/?q=waiting")
    page.get_by_label("Mark waiting").check()
    page.get_by_role("button", name="Cancel…").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Cancel 1 order?")
    expect(page.get_by_role("button", name="Cancel 1 order")).to_be_visible()
    page.goto(page.url + "&id=o-1&id=o-2")
    expect(page.get_by_role("heading", name="Left as they are: 2 orders")).to_be_visible()


def test_all_that_fit_are_chosen_beyond_the_page(open_page: Any) -> None:
    page = open_page("/orders/?customer=ada")
    page.get_by_label("all that fit").check()
    page.get_by_role("button", name="Nudge…").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nudge 1 order?")


def test_the_box_in_the_heading_marks_all_rows(open_page: Any) -> None:
    page = open_page("/orders/?q=o-1")
    page.get_by_label("Mark all").check()
    boxes = page.locator("tbody input[type=checkbox]")
    assert boxes.count() > 5 and all(each.is_checked() for each in boxes.all())


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/bulk/orders/?do=delete&id=o-1", 400, "There is no action"),
        ("/bulk/orders/?do=cancel", 400, "Mark at least one row"),
        ("/bulk/orders/?do=cancel&id=o-1", 200, "Nothing to do"),
        ("/bulk/dead-letters/?do=replay&id=nowhere", 400, "is no place of a record"),
    ],
)
def test_nothing_is_offered_where_nothing_can_be_done(
    server: PageServer, path: str, status: int, said: str
) -> None:
    answer = ask(server.url, path)
    assert (answer.status, said in answer.text) == (status, True)


def test_many_orders_are_not_changed_without_the_token(shop: FilledShop) -> None:
    with served(shop.settings, web_token="s3cret-of-ours") as server:
        for path in ("/bulk/orders/cancel", "/bulk/orders/nudge", "/bulk/dead-letters/dismiss"):
            assert ask(server.url, path, "ids=waiting").status == 403
            assert ask(server.url, path, "ids=waiting", Origin="http://evil.example").status == 403
        assert ask(server.url, "/bulk/orders/cancel", "ids=&token=s3cret-of-ours").status == 400
