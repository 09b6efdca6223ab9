"""Accounts and stock as statements, on their pages."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.web.asking import ask
from tests.web.shop import PageServer


@pytest.mark.parametrize(
    ("path", "brought"), [("/accounts/ada/", ("deposit", "d1")), ("/stock/CUP/", ("delivery", "v1"))]
)
def test_a_statement_begins_with_nothing_and_ends_with_the_balance(
    open_page: Any, path: str, brought: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saga_app.web.views.PAGE_SIZE", 500)
    page = open_page(path)
    rows = page.locator(".statement").first.locator("tbody tr")
    cells = rows.last.locator("th, td").all_inner_texts()
    assert cells[1] == "Opening balance" and float(cells[-1]) == 0
    first = rows.nth(rows.count() - 2).locator("th, td").all_inner_texts()
    assert (first[1], first[2]) == brought
    amounts = rows.locator("td:nth-child(4)").all_inner_texts()[1:-1]
    closing = rows.first.locator("td").last.inner_text()
    assert sum(float(each.replace(",", "")) for each in amounts) == pytest.approx(
        float(closing.replace(",", ""))
    )


def test_a_long_statement_goes_on_where_it_stopped(open_page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("saga_app.web.views.PAGE_SIZE", 5)
    page = open_page("/accounts/ada/")
    opening = page.locator(".statement tbody tr").last.locator("td").last.inner_text()
    page.get_by_role("link", name="Older movements").click()
    expect(page.locator(".statement tbody tr").first.locator("td").last).to_have_text(opening)


def test_a_place_that_is_none_is_told(server: PageServer) -> None:
    for before in ("x", "-1", "9" * 30):
        assert ask(server.url, f"/accounts/ada/?of=GBP&before={before}").status == 400
