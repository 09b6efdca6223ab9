"""The page of one order: prices, where the time went, what can be done, and the way to its records."""

import re
from typing import Any

from playwright.sync_api import expect


def test_prices_and_amounts_add_up_on_the_page(open_page: Any) -> None:
    page = open_page("/orders/priced/")
    table = page.get_by_role("region", name="Articles")
    cells = [row.locator("td").all_inner_texts() for row in table.locator("tbody tr").all()]
    assert cells == [["2", "12.50", "25.00 GBP"], ["1", "4.90", "4.90 GBP"]]
    expect(table.locator("tfoot td")).to_have_text("29.90 GBP")


def test_the_service_that_keeps_an_order_waiting_is_marked(open_page: Any) -> None:
    page = open_page("/orders/waiting/")
    waits = page.locator(".legs .most")
    expect(waits).to_have_count(1)
    expect(waits).to_contain_text(
        re.compile("shipping is waited for, to book the shipment.* most of the time")
    )


def test_each_record_says_how_long_after_the_last_one_it_came(open_page: Any) -> None:
    page = open_page("/orders/undelivered/")
    after = page.locator('td[data-label="After"]').all_inner_texts()
    assert after == ["", *["1.0 s"] * 6]


def test_what_can_be_done_stands_above_what_it_changes(open_page: Any) -> None:
    page = open_page("/orders/waiting/")
    expect(page.get_by_role("button", name="Cancel this order")).to_be_hidden()
    page.get_by_text("Cancel…").click()
    button = page.get_by_role("button", name="Cancel this order")
    expect(button).to_be_visible()
    assert button.bounding_box()["y"] < page.locator("#live").bounding_box()["y"]
    assert page.goto(page.url.replace("waiting", "o-1")).ok
    expect(page.locator("#actions summary")).to_have_count(0)


def test_an_id_is_copied_with_one_click(open_page: Any) -> None:
    page = open_page("/orders/undelivered/", permissions=["clipboard-read", "clipboard-write"])
    # The page's own clock stands still, so that a slow machine does not miss the word of two seconds.
    page.clock.install(time=0)
    page.clock.pause_at(1_000)
    page.get_by_role("button", name="Copy the order's id").click()
    expect(page.locator("h1 button")).to_have_text("Copied", timeout=30_000)
    assert page.evaluate("navigator.clipboard.readText()") == "undelivered"
    page.clock.run_for(2_000)
    expect(page.locator("h1 button")).to_have_text("Copy")


def test_the_way_up_leads_to_the_list(open_page: Any) -> None:
    page = open_page("/orders/undelivered/")
    page.get_by_role("navigation", name="Where this page is").get_by_role("link", name="Orders").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Orders")
