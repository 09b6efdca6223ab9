"""Visitors see the pages, and change something there, by a token in a session or by the user whom a proxy names."""

import re
from collections.abc import Iterator
from dataclasses import replace
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest

from harness.ports import free_port
from harness.worker import environment, faust
from saga_app.settings import SettingsError
from saga_app.token_guesses import MOST_OF_ALL, MOST_OF_ONE
from saga_app.tokens import TokenFile, TokenScope
from saga_app.web.visitors import SESSION, Visitors
from tests.web.asking import HttpResponse, ask
from tests.web.shop import FilledShop, PageServer, served

ORDER = "/orders/waiting/"


class House:
    """Pages with a login, and three tokens: who looks, who operates, and a shop that only places orders."""

    def __init__(self, server: PageServer, tokens: TokenFile) -> None:
        self.server, self.tokens = server, tokens
        self.looks = tokens.add("lena", [TokenScope.READ], None)
        self.operates = tokens.add("otto", [TokenScope.OPERATE], None)
        self.shop = tokens.add("shop", [TokenScope.ORDER], None)

    def log_in(self, token: str, following: str = "/", **headers: str) -> HttpResponse:
        return ask(self.server.url, "/login/", f"token={token}&next={following}", **headers)

    def ask(self, path: str, token: str, body: str | None = None, **headers: str) -> HttpResponse:
        """As a browser with this session."""
        return ask(self.server.url, path, body, Cookie=f"{SESSION}={token}", **headers)


@pytest.fixture
def house(shop: FilledShop, tmp_path: Path) -> Iterator[House]:
    file = tmp_path / "tokens"
    file.write_text("")
    file.chmod(0o600)
    with served(shop.settings, web_login="tokens", api_tokens_file=str(file)) as server:
        yield House(server, TokenFile(str(file)))


def session(answer: HttpResponse) -> Any:
    """The cookie that it sets."""
    return SimpleCookie(answer.headers["Set-Cookie"])[SESSION]


@pytest.mark.parametrize("path", ["/", ORDER, "/orders.csv", "/live/", "/table/", "/topology/"])
def test_a_stranger_sees_nothing(house: House, path: str) -> None:
    answer = ask(house.server.url, path)
    assert answer.status == 401 and "Bearer" in answer.headers["WWW-Authenticate"]
    browser = ask(house.server.url, path, Accept="text/html")
    assert (browser.status, browser.headers["Location"]) == (303, f"/login/?next={path}")
    assert house.ask(path, "saga_wrong").status == 401
    assert ask(house.server.url, path, Authorization="Bearer saga_wrong").status == 401


def test_the_form_for_the_token_tells_nothing_of_the_system(house: House) -> None:
    answer = ask(house.server.url, "/login/?next=%2Forders%2F")
    assert answer.status == 200 and 'name="token"' in answer.text and 'value="/orders/"' in answer.text
    assert "Orders" not in answer.text and house.server.settings.broker not in answer.text
    assert ask(house.server.url, "/static/style.css").status == 200


def test_a_token_begins_a_session_and_leads_to_the_page_that_was_asked_for(house: House) -> None:
    answer = house.log_in(house.looks, "%2Forders%2F%3Fstate%3DOPEN")
    assert (answer.status, answer.headers["Location"]) == (303, "/orders/?state=OPEN")
    cookie = session(answer)
    assert (
        cookie["httponly"] and cookie["samesite"] == "Lax" and cookie["path"] == "/" and not cookie["secure"]
    )
    page = house.ask(ORDER, cookie.value)
    assert page.status == 200 and "lena" in page.text and "Log out" in page.text


@pytest.mark.parametrize(
    "following", ["https://evil.example/", "%2F%2Fevil.example", "%2F%5Cevil.example", ""]
)
def test_nobody_is_led_to_another_site(house: House, following: str) -> None:
    assert house.log_in(house.looks, following).headers["Location"] == "/"


def test_the_session_is_for_https_only_where_the_pages_have_https(shop: FilledShop, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    token = TokenFile(str(file)).add("lena", [TokenScope.READ], None)
    changed: dict[str, Any] = {
        "web_login": "tokens",
        "api_tokens_file": str(file),
        "web_url": "https://saga.example",
    }
    with served(shop.settings, **changed) as server:
        assert session(ask(server.url, "/login/", f"token={token}"))["secure"]


def test_who_looks_sees_no_form_and_changes_nothing(house: House) -> None:
    main = house.ask(ORDER, house.looks).text.partition("<main")[2].partition("</main>")[0]
    assert "<form" not in main and "lena may look and change nothing" in main
    answer = house.ask(f"{ORDER}cancel", house.looks, "")
    assert answer.status == 403 and "has not the scope operate" in answer.text


def test_who_operates_changes_without_another_token(house: House) -> None:
    page = house.ask(ORDER, house.operates)
    assert "otto" in page.text and 'name="token"' not in page.text and f"{ORDER}cancel" in page.text
    # The broker is asked, and none is there.
    assert house.ask(f"{ORDER}cancel", house.operates, "").status == 503


def test_a_program_sends_its_token_in_a_header(house: House) -> None:
    assert ask(house.server.url, "/orders.csv", Authorization=f"Bearer {house.looks}").status == 200
    assert ask(house.server.url, "/livez").status != 401, "probes log in nowhere"


def test_a_token_that_may_only_place_orders_does_not_look(house: House) -> None:
    assert house.log_in(house.shop).status == 403
    assert house.ask(ORDER, house.shop).status == 401


def test_a_token_that_is_revoked_ends_its_session(house: House) -> None:
    assert house.ask(ORDER, house.looks).status == 200
    house.tokens.revoke("lena")
    assert house.ask(ORDER, house.looks).status == 401


def test_logging_out_makes_the_browser_forget(house: House) -> None:
    answer = house.ask("/logout", house.looks, "")
    assert (answer.status, answer.headers["Location"]) == (303, "/login/")
    assert session(answer).value == "" and int(session(answer)["max-age"]) == 0


def test_another_site_logs_nobody_in_or_out_and_changes_nothing(house: House) -> None:
    foreign = {"Origin": "https://evil.example"}
    assert house.log_in(house.operates, **foreign).status == 403
    for path in ("/logout", f"{ORDER}cancel"):
        assert house.ask(path, house.operates, "", **foreign).status == 403


def test_who_guesses_waits_and_nobody_else_does(house: House) -> None:
    for number in range(MOST_OF_ONE):
        assert house.log_in(f"saga_{number}").status == 403
    late = house.log_in("saga_again")
    assert (
        late.status == 429 and int(late.headers["Retry-After"]) > 0 and re.search(r"Wait \d\d? s", late.text)
    )
    assert house.log_in(house.looks).status == 303, "a right token is no guess"
    assert house.ask(ORDER, house.looks).status == 200


def test_guesses_of_others_shut_out_nobody_with_the_token_of_the_settings(shop: FilledShop) -> None:
    with served(shop.settings, web_token="s3cret-of-ours") as server:
        for number in range(MOST_OF_ALL):
            server.rules.guesses.add(f"10.0.0.{number}", "/")
        assert ask(server.url, f"{ORDER}cancel", "token=wrong").status == 429
        assert ask(server.url, f"{ORDER}cancel", "token=s3cret-of-ours").status == 503


PROXY: dict[str, Any] = {"web_login": "proxy", "web_user_header": "X-Forwarded-User", "web_operators": "otto"}


def test_a_proxy_names_the_visitor(shop: FilledShop) -> None:
    with served(shop.settings, **PROXY, web_proxies="127.0.0.0/8, ::1") as server:
        looks = ask(server.url, ORDER, X_Forwarded_User="lena")
        assert looks.status == 200 and "lena may look and change nothing" in looks.text
        assert "Log out" not in looks.text, "the session is the proxy's"
        assert ask(server.url, f"{ORDER}cancel", "", X_Forwarded_User="lena").status == 403
        assert ask(server.url, f"{ORDER}cancel", "", X_Forwarded_User="otto").status == 503
        assert (
            ask(server.url, ORDER).status == ask(server.url, ORDER, X_Forwarded_User="a" * 81).status == 403
        )


def test_only_the_proxy_is_believed(shop: FilledShop) -> None:
    with served(shop.settings, **PROXY, web_proxies="10.0.0.1") as server:
        answer = ask(server.url, ORDER, X_Forwarded_User="otto")
        assert answer.status == 403 and "SAGA_WEB_PROXIES" in answer.text


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"web_login": "yes"}, "SAGA_WEB_LOGIN is 'yes'"),
        ({"web_login": "tokens"}, "SAGA_API_TOKENS is not set"),
        ({"web_login": "tokens", "api_tokens_file": "/nowhere/tokens"}, "No such file"),
        ({"web_login": "proxy", "web_proxies": "10.0.0.1"}, "SAGA_WEB_USER_HEADER"),
        ({**PROXY, "web_proxies": ""}, "SAGA_WEB_PROXIES"),
        ({**PROXY, "web_proxies": "the proxy"}, "SAGA_WEB_PROXIES"),
    ],
)
def test_settings_that_let_in_nobody_or_anybody_are_refused(
    shop: FilledShop, changed: dict[str, str], why: str
) -> None:
    with pytest.raises(SettingsError, match=re.escape(why)):
        Visitors(replace(shop.settings, **changed))


def test_a_worker_with_wrong_settings_of_its_login_ends_with_one_line(tmp_path: Path) -> None:
    done = faust("worker", env=environment("127.0.0.1:1", tmp_path, free_port(), SAGA_WEB_LOGIN="yes"))
    assert done.returncode == 1
    assert done.stderr == "saga: SAGA_WEB_LOGIN is 'yes'; it is empty, tokens or proxy\n"
