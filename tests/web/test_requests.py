"""Requests to the pages: addresses, hosts, origins, tokens, hostile paths, and streams that end."""

import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from saga_app.settings import Settings
from saga_app.token_guesses import MOST_OF_ALL, MOST_OF_ONE, WINDOW, TokenGuesses
from saga_app.web.sse import MOST_STREAMS
from tests.support.examples import placed
from tests.web.asking import Stream, ask
from tests.web.hostile import STRINGS
from tests.web.shop import MUGS, FilledShop, PageServer, served


@pytest.mark.parametrize("number", range(len(STRINGS)))
def test_a_hostile_path_or_question_gets_a_plain_answer(server: PageServer, number: int) -> None:
    text = STRINGS[number]
    for path in (
        f"/orders/{quote(text, safe='')}/",
        f"/dead-letters/{quote(text, safe='')}/",
        f"/stock/{quote(text, safe='')}/",
        f"/orders/?q={quote(text)}&state={quote(text)}&since={quote(text)}&before={quote(text)}",
    ):
        answer = ask(server.url, path)
        assert answer.status in (400, 404), path
        if any(mark in text for mark in "<>"):
            assert text not in answer.text


def test_every_answer_has_the_headers_that_keep_others_out(server: PageServer) -> None:
    for path in ("/", "/orders/", "/static/live.js", "/not-there", "/orders/?state=WRONG"):
        headers = ask(server.url, path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "*" not in policy and "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in headers


def test_an_address_without_its_last_slash_leads_to_the_page(server: PageServer) -> None:
    for path in ("/orders", "/orders/o-3", "/stock?q=M"):
        answer = ask(server.url, path)
        assert answer.status in (301, 308)
        assert answer.headers["Location"].startswith(f"{path.partition('?')[0]}/")
    assert ask(server.url, "//example.test").status == 404


def test_no_page_has_code_or_style_in_itself(server: PageServer) -> None:
    for path in ("/", "/orders/", "/orders/o-3/", "/dead-letters/", "/topology/"):
        text = ask(server.url, path).text
        assert not re.search(r"\son[a-z]+=|\sstyle=|<style|<script(?! src=)", text), path


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[", ""])
def test_a_name_that_was_made_to_point_here_gets_no_answer(server: PageServer, host: str) -> None:
    assert ask(server.url, "/", Host=host).status in (400, 421)
    assert ask(server.url, "/orders/o-3/", Host=host).status in (400, 421)


def test_loopbacks_own_names_get_one(server: PageServer) -> None:
    for host in (f"127.0.0.1:{server.settings.web_port}", f"localhost:{server.settings.web_port}", "[::1]:1"):
        assert ask(server.url, "/", Host=host).status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "1.2.3.4.evil.example", "[", ""])
def test_a_server_that_other_machines_reach_answers_to_its_own_names_only(
    shop: FilledShop, host: str
) -> None:
    names: dict[str, Any] = {
        "web_hosts_text": "shop.example, Pages.Example",
        "web_url": "http://worker-1:6066",
    }
    with served(shop.settings, web_bind="0.0.0.0", **names) as server:
        answer = ask(server.url, "/orders/o-3/", Host=host)
        assert answer.status in (400, 421) and answer.text.count("\n") == 1
        for own in (
            "shop.example",
            "PAGES.example.:6066",
            "worker-1:6066",
            "localhost",
            "10.0.0.7:6066",
            "[fd00::7]:1",
        ):
            assert ask(server.url, "/livez-is-not-there", Host=own).status == 404, own


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_a_page_of_another_site_can_change_nothing(server: PageServer, headers: dict[str, str]) -> None:
    for path in (
        "/orders/waiting/cancel",
        "/orders/waiting/nudge",
        "/dead-letters/checkout_events:3:0/replay",
    ):
        answer = ask(server.url, path, "", **headers)
        assert (answer.status, "another site" in answer.text) == (403, True)


def test_nothing_is_changed_by_asking_for_a_page(server: PageServer) -> None:
    for path in (
        "/orders/waiting/cancel",
        "/orders/waiting/nudge",
        "/dead-letters/checkout_events:3:0/replay",
    ):
        assert ask(server.url, path).status == 405


def test_a_form_larger_than_any_of_ours_is_not_read(server: PageServer) -> None:
    assert ask(server.url, "/orders/waiting/cancel", "note=" + "x" * 20_000).status == 413


FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ('{"note": 1}', {"Content_Type": "application/json"}),
        ("note=1", {"Content_Type": ";;;=,"}),
        ("note=1", {"Content_Type": FORM, "Content_Encoding": "gzip"}),
        ("--x\r\nfoo\r\n--y", {"Content_Type": "multipart/form-data; boundary=x"}),
        (
            "--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n",
            {"Content_Type": "multipart/form-data"},
        ),
        ("note=\xff", {}),
        ("note=%ff", {}),
        ("note=a%00b", {}),
        ("a=1&" * 40, {}),
    ],
)
def test_an_odd_form_gets_one_sentence_and_leaves_no_traceback(
    server: PageServer, caplog: pytest.LogCaptureFixture, body: str, headers: dict[str, str]
) -> None:
    answer = ask(server.url, "/orders/waiting/cancel", body, **headers)
    assert answer.status == 400 and "form" in answer.text
    assert "Traceback" not in caplog.text


def test_a_form_that_does_not_come_is_not_waited_for(
    server: PageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saga_app.web.forms.PATIENCE", 0.2)
    assert ask(server.url, "/orders/waiting/cancel", "", Content_Length="100").status == 408


@pytest.mark.parametrize("path", ["/orders/a%00b/", "/orders/?q=%00", "/static/%00", "/orders/%00/nudge"])
def test_an_address_with_a_nul_gets_one_line(server: PageServer, path: str) -> None:
    answer = ask(server.url, path)
    assert (answer.status, answer.text) == (400, "no address here has a NUL\n")


@pytest.mark.parametrize(
    "path", ["/static/" + "a" * 300, "/static/", "/static/../pages.py", "/static/..%2fpages.py"]
)
def test_only_the_files_of_the_pages_are_served(server: PageServer, path: str) -> None:
    assert ask(server.url, path).status == 404
    assert "Content-Type" in ask(server.url, "/static/style.css").headers


def test_where_others_can_reach_the_pages_nothing_is_changed_without_a_token(shop: FilledShop) -> None:
    with served(shop.settings, web_bind="0.0.0.0") as server:
        assert "SAGA_WEB_TOKEN is not set" in ask(server.url, "/orders/waiting/").text
        page = ask(server.url, "/orders/waiting/").text
        assert "<form" not in page.split('id="main"')[1].partition("</main>")[0]
        answer = ask(server.url, "/orders/waiting/cancel", "")
        assert (answer.status, "SAGA_WEB_TOKEN is not set" in answer.text) == (403, True)


@pytest.mark.parametrize("bind", ["0.0.0.0", "127.0.0.1"])
def test_the_token_is_asked_for_and_never_shown(shop: FilledShop, bind: str) -> None:
    with served(shop.settings, web_bind=bind, web_token="s3cret-of-ours") as server:
        page = ask(server.url, "/orders/waiting/")
        assert 'name="token"' in page.text and "s3cret" not in page.text
        for body in ("", "token=", "token=s3cret", "token=s3cret-of-our%C3%A9"):
            answer = ask(server.url, "/orders/waiting/cancel", body)
            assert (answer.status, "not the one in SAGA_WEB_TOKEN" in answer.text) == (403, True)
        # With it the broker is asked, and none is there.
        assert ask(server.url, "/orders/waiting/cancel", "token=s3cret-of-ours").status == 503
        assert "s3cret" not in repr(server.settings)


def test_who_guesses_the_token_has_to_wait_and_is_in_the_log(
    shop: FilledShop, caplog: pytest.LogCaptureFixture
) -> None:
    with served(shop.settings, web_token="s3cret-of-ours") as server:
        for guess in range(MOST_OF_ONE):
            assert ask(server.url, "/orders/waiting/cancel", f"token=guess-{guess}").status == 403
        # The right one is not tried either, so nobody learns that it is right.
        late = ask(server.url, "/orders/waiting/cancel", "token=s3cret-of-ours")
        assert late.status == 429 and re.search(r"Wait \d\d? s", late.text)
        assert ask(server.url, "/orders/waiting/").status == 200
    assert caplog.text.count("a wrong token from 127.0.0.1 for /orders/waiting/cancel") == MOST_OF_ONE
    assert "guess-" not in caplog.text and "s3cret" not in caplog.text


def test_a_guess_of_the_token_writes_one_line_whatever_its_address_holds(
    shop: FilledShop, caplog: pytest.LogCaptureFixture
) -> None:
    with served(shop.settings, web_token="s3cret-of-ours") as server:
        assert ask(server.url, "/orders/a%0Ab%1B/cancel", "token=x").status == 403
    (record,) = [each for each in caplog.records if "wrong token" in each.getMessage()]
    assert "/orders/a%0Ab%1B/cancel" in record.getMessage() and record.getMessage().isprintable()


def test_a_wrong_token_counts_for_a_minute_and_for_its_sender() -> None:
    now = [0.0]
    guesses = TokenGuesses(lambda: now[0])
    for _ in range(MOST_OF_ONE):
        assert guesses.wait("a") == 0
        guesses.add("a", "/")
    assert guesses.wait("a") > 0 and guesses.wait("b") == 0
    now[0] = WINDOW
    assert guesses.wait("a") == 0


def test_who_has_many_addresses_has_to_wait_too() -> None:
    guesses = TokenGuesses(lambda: 0.0)
    for number in range(MOST_OF_ALL):
        assert guesses.wait(f"address {number}") == 0
        guesses.add(f"address {number}", "/")
    assert guesses.wait("another address") > 0


def test_a_database_that_is_not_there_is_told_with_what_to_do(tmp_path: Path) -> None:
    with served(Settings(db_url=f"sqlite:///{tmp_path}/none.db")) as server:
        answer = ask(server.url, "/")
        assert answer.status == 503 and "saga orderdb run" in answer.text
        FilledShop(f"sqlite:///{tmp_path}/none.db").close()
        assert ask(server.url, "/").status == 200


def test_without_the_packages_the_pages_say_what_to_install(
    shop: FilledShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError("No module named 'jinja2'", name="jinja2")

    monkeypatch.setattr("saga_app.web.routes.import_module", missing)
    with served(shop.settings) as server:
        answer = ask(server.url, "/")
        assert answer.status == 503 and "pip install '.[orders]'" in answer.text


def test_a_stream_sends_what_has_changed_and_only_then(shop: FilledShop, server: PageServer) -> None:
    stream = Stream(server.url, "/live/")
    assert stream.answer.getheader("Content-Type") == "text/event-stream; charset=utf-8"
    first = stream.event()
    assert "Newest orders" in first and "streamed" not in first
    shop.send(placed("streamed", lines=MUGS, customer_id="ada"))
    assert "streamed" in stream.event()
    stream.close()


def test_a_span_that_is_not_there_is_told(server: PageServer) -> None:
    answer = ask(server.url, "/?last=2w")
    assert answer.status == 400 and "there are 15m, 1h, 1d" in answer.text


def test_a_stream_of_an_order_that_is_not_there_goes_on(server: PageServer) -> None:
    stream = Stream(server.url, "/live/orders/nobody-at-all/")
    assert "not there" in stream.event()
    stream.close()


def test_more_streams_than_are_allowed_are_asked_to_come_back(shop: FilledShop) -> None:
    with served(shop.settings) as server:
        streams = [Stream(server.url, "/live/") for _ in range(MOST_STREAMS)]
        assert all(each.event() for each in streams)
        late = ask(server.url, "/live/")
        assert (late.status, late.headers["Retry-After"]) == (503, "10")
        for each in streams:
            each.close()


def test_a_stream_has_the_strip_and_a_beat_and_a_page_without_live_part_has_one_of_its_own(
    server: PageServer,
) -> None:
    for path in ("/live/", "/live/health/"):
        stream = Stream(server.url, path)
        assert "records are taken as they come" in stream.event("health")
        beats = {stream.event("beat").strip() for _ in range(3)}
        assert len(beats) > 1 and all(re.fullmatch(r"\d\d:\d\d:\d\d", each) for each in beats)
        stream.close()


def test_a_process_without_tables_says_who_has_them(shop: FilledShop) -> None:
    with served(shop.settings, has_tables=False) as server:
        answer = ask(server.url, "/table/orders/4711/")
        assert answer.status == 404 and "Only workers have the tables" in answer.text
        assert "Only workers have the tables" in ask(server.url, "/topology/").text
        assert ask(server.url, "/").status == 200


def test_an_open_stream_does_not_keep_the_server_from_stopping(shop: FilledShop) -> None:
    with served(shop.settings) as server:
        stream = Stream(server.url, "/live/")
        assert stream.event()
        began = time.monotonic()
    assert stream.event() == ""
    # aiohttp waits a minute for answers that do not end.
    assert time.monotonic() - began < 20


def test_pages_change_nothing_in_the_database(shop: FilledShop, server: PageServer) -> None:
    def facts() -> str:
        """The page without the time at which it was asked for."""
        return re.sub(r"As of [\d:]+|data-at=\S+", "", ask(server.url, "/orders/o-3/").text)

    before = facts()
    for path in ("/orders/?q='; DELETE FROM orders; --", "/stock/?after=main:x'--", "/accounts/?after=a:b"):
        ask(server.url, quote(path, safe="/?=&"))
    assert facts() == before
