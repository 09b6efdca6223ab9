"""Parts of every page: the system that it shows, keys, the reader's view; and the page for addresses of nobody."""

from typing import Any

from playwright.sync_api import Browser, expect

from tests.web.asking import ask
from tests.web.chromium import WatchedPage
from tests.web.shop import FilledShop, PageServer, served


def test_header_and_title_name_environment_and_cluster(shop: FilledShop) -> None:
    with served(
        shop.settings, environment="staging <1>", broker="one:9092,two:9092", app_id="shop"
    ) as server:
        text = ask(server.url, "/orders/").text
        assert "<title>Orders · staging &lt;1&gt; · checkout-saga shop at one:9092 +1</title>" in text
        header = text.partition("<header>")[2].partition("</header>")[0]
        assert "staging &lt;1&gt;" in header and "shop at one:9092 +1" in header


def test_an_address_of_nobody_is_a_page_for_people_and_a_line_for_programs(server: PageServer) -> None:
    for path in ("/nothing/", "/orders/o-3/nothing", "/bulk/"):
        page = ask(server.url, path, Accept="text/html,*/*;q=0.8")
        assert page.status == 404 and 'aria-label="Main"' in page.text
        assert "There is no such page" in page.text
        assert ask(server.url, path).text == "404: Not Found"


def test_slash_goes_to_the_search_and_enter_finds(open_page: Any) -> None:
    page = open_page("/topology/")
    page.keyboard.press("/")
    expect(page.locator("[data-find]")).to_be_focused()
    page.keyboard.type("sold")
    page.keyboard.press("Enter")
    expect(page.locator("tbody th")).to_have_text(["sold-out"])
    page.keyboard.press("/")
    expect(page.get_by_label("Id, customer or article begins with")).to_be_focused()


def test_j_and_k_walk_through_the_rows(open_page: Any) -> None:
    page = open_page("/orders/?q=o-1")
    links = page.locator("tbody th a")
    for key, place in (("j", 0), ("j", 1), ("j", 2), ("k", 1)):
        page.keyboard.press(key)
        expect(links.nth(place)).to_be_focused()
    name = links.nth(1).text_content()
    page.keyboard.press("Enter")
    expect(page.locator("h1 code")).to_have_text(name)


def test_a_letter_in_a_field_is_a_letter(open_page: Any) -> None:
    page = open_page("/orders/")
    field = page.get_by_label("Id, customer or article begins with")
    field.press_sequentially("j/?k")
    expect(field).to_have_value("j/?k")
    expect(page.locator("#keys")).to_be_hidden()


def test_the_keys_are_told_and_can_be_switched_off(open_page: Any) -> None:
    page = open_page("/orders/")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_text("View", exact=True).click()
    page.get_by_label("single keys").uncheck()
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_hidden()
    page.reload()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_hidden()


def test_colours_and_density_are_remembered_and_come_with_the_page(open_page: Any) -> None:
    page = open_page("/orders/", color_scheme="light")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_text("View", exact=True).click()
    page.get_by_label("Colours").select_option("dark")
    page.get_by_label("Rows").select_option("dense")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.goto(page.url.replace("/orders/", "/stock/"))
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.locator("html").get_attribute("data-density") == "compact"


def test_times_are_shown_in_the_readers_zone_in_tables_sentences_and_live(
    chromium: Browser, server: PageServer
) -> None:
    watched = WatchedPage(chromium, server.url, timezone_id="Asia/Tokyo")
    try:
        page = watched.page
        page.goto(f"{server.url}/orders/waiting/")
        utc = page.locator(".facts time").first.inner_text()
        said = page.locator(".sentence").text_content()
        page.get_by_text("View", exact=True).click()
        page.get_by_label("Times").select_option("Asia/Tokyo")
        expect(page.locator("footer")).to_contain_text("times are Asia/Tokyo")
        here = page.locator(".facts time").first.inner_text()
        assert minutes(here) - minutes(utc) in (540, 540 - 24 * 60)
        assert page.locator(".sentence").text_content() != said
        expect(page.locator("#live-state")).to_have_text("Live.")
        expect(page.locator(".facts time").first).to_have_text(here)
        assert (page.locator(".facts time").first.get_attribute("datetime") or "").endswith("Z")
    finally:
        watched.close()


def test_a_zone_that_nobody_knows_is_utc(server: PageServer) -> None:
    for zone in ("Nowhere/Land", "../../etc/passwd", "", "%00", "x" * 3000):
        answer = ask(server.url, "/orders/", Cookie=f"saga_zone={zone}; saga_theme=<b>; saga_density=x")
        assert answer.status == 200 and "times are UTC" in answer.text and "data-theme" not in answer.text


def test_milliseconds_stay_on_the_line_of_their_time(open_page: Any) -> None:
    page = open_page("/orders/undelivered/", viewport={"width": 360, "height": 700})
    for time in page.locator("#live tbody time").all():
        assert time.evaluate("each => each.getClientRects().length") == 1


def minutes(clock: str) -> int:
    hour, minute, *_ = clock.split(" ")[-1].split(":")
    return int(hour) * 60 + int(minute)
