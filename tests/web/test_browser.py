"""The pages in a real Chromium: for everybody, in the dark, narrow, without a mouse, and with hostile texts in them."""

import re
from typing import Any
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect

from saga_app.core.records import CancellationRequested
from saga_app.dead_letters import pretty
from saga_app.health.readings import Readings
from saga_app.text import printable
from saga_app.times import now
from saga_app.web.order_list import PAGE_SIZE
from tests.support.examples import cancel, placed
from tests.support.health import all_well
from tests.support.quick import quick
from tests.web.chromium import WatchedPage
from tests.web.hostile import FIRST, STRINGS, letters
from tests.web.shop import MUGS, FilledShop, PageServer, served

PATHS = (
    "/",
    "/?last=1d",
    "/orders/",
    "/orders/?state=CANCELLED",
    "/orders/o-3/",
    "/orders/undelivered/",
    "/orders/waiting/",
    "/orders/nobody/",
    "/orders/priced/",
    "/orders/not-there/",
    "/stock/",
    "/stock/MUG/",
    "/accounts/",
    "/accounts/ada/",
    "/dead-letters/",
    "/topology/",
    "/operator-log/",
    "/orders/?state=WRONG&least=x",
    "/bulk/orders/?do=cancel&id=waiting&id=o-3",
    "/bulk/dead-letters/?do=dismiss&id=checkout_events:3:65",
    "/dead-letters/checkout_events:3:65/",
    "/no/page/",
)


#: One page of each kind.
KINDS = ("/", "/orders/", "/orders/undelivered/", "/stock/", "/dead-letters/", "/topology/")


@pytest.mark.parametrize(
    "scheme", ["light", pytest.param("dark", marks=pytest.mark.slow("the same in other colours"))]
)
@pytest.mark.parametrize("width", [1280, pytest.param(360, marks=pytest.mark.slow("the same as cards"))])
@pytest.mark.parametrize(
    "path", quick(PATHS, *KINDS, mark=pytest.mark.slow("another page of a kind, for seconds each"))
)
def test_axe_finds_nothing(open_page: Any, path: str, width: int, scheme: str) -> None:
    page = open_page(path, color_scheme=scheme, viewport={"width": width, "height": 800})
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_axe_would_find_something(open_page: Any) -> None:
    page = open_page("/")
    page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<input>')")
    assert [each["id"] for each in Axe().run(page).response["violations"]] == ["label"]


@pytest.mark.parametrize("width", [320, 360])
@pytest.mark.parametrize("path", PATHS)
def test_a_narrow_screen_need_not_scroll_sideways(open_page: Any, path: str, width: int) -> None:
    page = open_page(path, viewport={"width": width, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_every_page_is_reached_without_a_mouse(open_page: Any) -> None:
    page = open_page("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.reload()
    for name in ("Orders", "Stock", "Accounts", "Dead letters", "Overview"):
        link = page.get_by_role("navigation").get_by_role("link", name=name, exact=True)
        link.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("navigation").locator("[aria-current=page]")).to_have_text(name)


def test_the_filter_stands_in_the_address(open_page: Any) -> None:
    page = open_page("/orders/")
    page.get_by_label("Id, customer or article begins").fill("sold")
    page.get_by_role("combobox", name="State").select_option("CANCELLED")
    page.get_by_role("button", name="Show").click()
    assert "q=sold" in page.url and "state=CANCELLED" in page.url
    expect(page.get_by_role("rowheader")).to_have_text(["sold-out"])


@pytest.mark.promise("pages in a real browser")
def test_a_new_order_appears_by_itself_and_the_focus_stays(open_page: Any, shop: FilledShop) -> None:
    page = open_page("/")
    expect(page.locator("#live-state")).to_have_text("Live.")
    link = page.get_by_role("link", name="waiting").first
    link.focus()
    shop.send(placed("just-now", lines=MUGS, customer_id="ada"))
    expect(page.get_by_role("link", name="just-now")).to_be_visible(timeout=15_000)
    assert page.evaluate("document.activeElement.textContent") == "waiting"


def test_the_strip_changes_by_itself_and_a_page_is_never_live_while_something_is_down(
    open_page: Any, server: PageServer
) -> None:
    page = open_page("/")
    expect(page.locator("#live-state")).to_have_text("Live.")
    expect(page.locator("#health")).to_contain_text("1 worker; records are taken as they come")
    server.health.given = lambda: Readings(now(), None, "refused", None, "gone")
    try:
        expect(page.locator("#health")).to_contain_text("Kafka does not answer: refused", timeout=15_000)
        expect(page.locator("#live-state")).to_have_text("Connected, but not all is well.")
        listed = open_page("/orders/")
        expect(listed.locator("#health")).to_contain_text("no order database: gone")
        assert Axe().run(listed).violations_count == 0
    finally:
        server.health.given = lambda: all_well(server.settings)
    expect(page.locator("#live-state")).to_have_text("Live.", timeout=15_000)


def test_a_page_says_for_how_long_its_server_is_silent(chromium: Browser, shop: FilledShop) -> None:
    with served(shop.settings) as own:
        watched = WatchedPage(chromium, own.url)
        try:
            watched.page.goto(f"{own.url}/")
            expect(watched.page.locator("#live-at")).to_have_text(re.compile(r"As of \d\d:\d\d:\d\d\."))
            expect(watched.page.locator("#live-silent")).to_be_hidden()
            own.freeze()
            silent = re.compile(r"No answer for \d+ s: this page is as of \d\d:\d\d:\d\d\.")
            expect(watched.page.locator("#live-silent")).to_have_text(silent, timeout=20_000)
            expect(watched.page.locator("#live-state")).to_have_text("Not live.")
            own.thaw()
            expect(watched.page.locator("#live-silent")).to_be_hidden(timeout=20_000)
            expect(watched.page.locator("#live-state")).to_have_text("Live.")
        finally:
            watched.close()


def test_a_page_that_is_paused_stays_as_it_is(open_page: Any, shop: FilledShop) -> None:
    page = open_page("/")
    expect(page.locator("#live-state")).to_have_text("Live.")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#live-state")).to_have_text("Paused.")
    shop.send(placed("while-paused", lines=MUGS, customer_id="ada"))
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("link", name="while-paused")).to_be_visible(timeout=15_000)


def test_nothing_is_replaced_that_has_not_changed(open_page: Any) -> None:
    page = open_page("/orders/undelivered/")
    page.get_by_role("button", name="Pause").click()
    page.evaluate(
        """() => {
          document.querySelector("#live .sentence").isOld = true;
          window.EventSource = class extends EventSource {
            set onmessage(show) {
              this.addEventListener("message", (event) => { show(event); console.log("shown"); });
            }
          };
        }"""
    )
    with page.expect_event("console", lambda message: message.text == "shown"):
        page.get_by_role("button", name="Go on").click()
    assert page.evaluate("document.querySelector('#live .sentence').isOld")


def test_what_is_marked_to_be_copied_stays_until_it_is_let_go(open_page: Any, shop: FilledShop) -> None:
    page = open_page("/")
    page.get_by_role("button", name="Pause").click()
    page.evaluate(
        """() => { window.EventSource = class extends EventSource {
          constructor(url) {
            super(url);
            this.addEventListener("message", (event) => {
              if (event.data.includes("while-marked")) console.log("seen");
            });
          }
        }; }"""
    )
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("#live-state")).to_have_text("Live.")
    page.get_by_role("region", name="Newest orders").locator("tbody th").first.select_text()
    marked = page.evaluate("getSelection().toString()")
    with page.expect_event("console", lambda message: message.text == "seen"):
        shop.send(placed("while-marked", lines=MUGS, customer_id="ada"))
    assert page.evaluate("getSelection().toString()") == marked != ""
    expect(page.get_by_role("link", name="while-marked")).to_have_count(0)
    page.evaluate("getSelection().removeAllRanges()")
    expect(page.get_by_role("link", name="while-marked")).to_be_visible()


def test_a_table_that_was_moved_aside_stays_where_it_is(open_page: Any, shop: FilledShop) -> None:
    page = open_page("/")
    page.evaluate("document.getElementById('live').style.width = '300px'")
    table = page.get_by_role("region", name="Newest orders")
    table.evaluate("each => each.scrollTo({left: 60, behavior: 'instant'})")
    shop.send(placed("while-aside", lines=MUGS, customer_id="ada"))
    expect(page.get_by_role("link", name="while-aside")).to_have_count(1, timeout=15_000)
    assert table.evaluate("each => each.scrollLeft") == 60


def test_a_page_that_nobody_sees_holds_no_connection(open_page: Any, shop: FilledShop) -> None:
    """Of six that a browser has to one server."""
    page = open_page("/")
    expect(page.locator("#live-state")).to_have_text("Live.")
    turn = (
        "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true}); "
        "document.dispatchEvent(new Event('visibilitychange')); }"
    )
    ended: list[str] = []
    page.on("requestfailed", lambda request: ended.append(request.url))
    page.evaluate(turn, True)
    shop.send(placed("while-hidden", lines=MUGS, customer_id="ada"))
    with page.expect_request(lambda request: "/live/" in request.url):
        page.evaluate(turn, False)
    assert [url.rpartition("/live")[2] for url in ended] == ["/?last=15m"]
    expect(page.get_by_role("link", name="while-hidden")).to_be_visible(timeout=15_000)


def test_a_screen_reader_is_told_what_has_become_of_an_order(open_page: Any, shop: FilledShop) -> None:
    shop.send(placed("heard", lines=MUGS, customer_id="ada"), silent="shipping_events")
    page = open_page("/orders/heard/")
    expect(page.locator("#live-state")).to_have_text("Live.")
    expect(page.locator("#live-said")).to_have_text("")
    shop.send(cancel("heard"))
    expect(page.locator("#live-said")).to_contain_text("Cancelled: on request.", timeout=15_000)


def test_a_page_says_what_is_so_without_scripts(open_page: Any) -> None:
    page = open_page("/orders/undelivered/", java_script_enabled=False)
    expect(page.locator(".sentence")).to_contain_text("Cancelled: the country is not served.")
    expect(page.locator("#live-state")).to_have_text("Reload the page to see what is new.")
    expect(page.locator("#live-pause")).to_be_hidden()


def test_the_way_back_is_told_in_the_order_in_which_it_ran(open_page: Any) -> None:
    page = open_page("/orders/undelivered/")
    back = page.get_by_label("And back, in the order in which it ran").get_by_role("listitem")
    expect(back).to_have_text([re.compile("inventory.*released"), re.compile("payment.*refunded")])


def test_the_chart_is_told_as_a_table_and_under_the_pointer(open_page: Any) -> None:
    page = open_page("/?last=1h")
    figure = page.get_by_role("figure")
    (total,) = re.findall(r"([\d,]+) in all", figure.inner_text())
    figure.get_by_text("The same as a table").click()
    rows = [row.locator("td").all_inner_texts() for row in figure.locator("tbody tr").all()]
    assert sum(int(number) for row in rows for number in row) == int(total) > 0
    assert figure.locator(".column").count() == 60
    assert figure.locator(".column:has([class^=fill])").count() == len(rows)
    figure.locator(".column:has([class^=fill])").last.hover()
    completed, cancelled, opened, placed = rows[0]
    expect(figure.locator(".said")).to_have_text(
        re.compile(
            rf"\d\d:\d\d: completed {completed}, cancelled {cancelled}, open {opened}, placed {placed}"
        )
    )


def test_another_span_stays_while_the_page_is_live(open_page: Any, shop: FilledShop) -> None:
    page = open_page("/")
    page.get_by_role("link", name="day", exact=True).click()
    expect(page.locator("#live-state")).to_have_text("Live.")
    shop.send(placed("while-a-day", lines=MUGS, customer_id="ada"))
    expect(page.get_by_role("link", name="while-a-day")).to_be_visible(timeout=15_000)
    expect(page.get_by_role("heading", name="Placed in the last day")).to_be_visible()


def test_a_reason_leads_to_its_orders(open_page: Any) -> None:
    page = open_page("/")
    page.get_by_role("link", name="out of stock").click()
    assert set(page.locator("tbody th").all_text_contents()) == {"sold-out"}
    expect(page.get_by_label("Placed since")).to_have_value(re.compile(r"\d{4}-\d\d-\d\dT"))


def test_a_link_to_a_hostile_name_leads_to_its_page(open_page: Any) -> None:
    page = open_page(f"/orders/{quote('<b>&x', safe='')}/")
    expect(page.locator("h1 code")).to_have_text("<b>&x")


def test_hostile_texts_are_shown_as_they_are_and_do_nothing(open_page: Any, shop: FilledShop) -> None:
    """As an order's note, and as key, value and header of dead letters; every dialog, request or complaint fails it."""
    notes = [hostile[:200] for hostile in STRINGS]
    shop.send(placed("hostile", lines=MUGS, customer_id="ada"))
    shop.send(*(CancellationRequested(order_id="hostile", note=note) for note in notes))
    shop.write(*letters(STRINGS))
    page = open_page("/orders/hostile/")
    shown = page.locator('#live td[data-label="What"]').all_text_contents()
    assert [line for line in shown if "cancellation requested" in line] == [
        f"cancellation requested: {printable(note)}" for note in notes
    ]
    assert Axe().run(page).violations_count == 0
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page = open_page("/dead-letters/?reason=invalid")
    for left in range(len(STRINGS), 0, -PAGE_SIZE):
        assert page.locator("tbody tr").count() == PAGE_SIZE
        if left > PAGE_SIZE:
            page.get_by_role("link", name="The next page").click()


@pytest.mark.parametrize("number", range(0, len(STRINGS), 17))
def test_a_hostile_dead_letter_is_shown_with_its_bytes(open_page: Any, shop: FilledShop, number: int) -> None:
    shop.write(*letters(STRINGS))
    page = open_page(f"/dead-letters/{quote(f'checkout_events:3:{FIRST + number}')}/")
    assert page.locator("pre").text_content().rstrip("\n") == "\n".join(
        printable(line) for line in pretty.lines(STRINGS[number].encode())
    )
