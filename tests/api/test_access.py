"""Rules of access: names of the server, other sites' pages, tokens and scopes, and wrong tokens."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from saga_app.api import process
from saga_app.security import SettingsError
from saga_app.settings import Settings
from saga_app.times import now
from saga_app.token_guesses import MOST_OF_ONE
from saga_app.tokens import TokenFile, TokenScope
from tests.api.door import ORDER, Door, opened
from tests.web.hostile import STRINGS
from tests.web.shop import FilledShop

ROUTES = {
    TokenScope.READ: [
        ("GET", "/v1/orders"),
        ("GET", "/v1/orders/o-1"),
        ("GET", "/v1/orders/o-1/events"),
        ("GET", "/v1/dead-letters"),
        ("GET", "/v1/dead-letters/checkout_events:3:0"),
    ],
    TokenScope.ORDER: [("POST", "/v1/orders"), ("POST", "/v1/orders/waiting/cancel")],
    TokenScope.OPERATE: [
        ("POST", "/v1/deposits"),
        ("POST", "/v1/deliveries"),
        ("POST", "/v1/withdrawals"),
        ("POST", "/v1/adjustments"),
        ("POST", "/v1/policies"),
        ("POST", "/v1/dead-letters/checkout_events:3:0/replay"),
        ("POST", "/v1/dead-letters/checkout_events:3:0/dismiss"),
    ],
}


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFile:
    return TokenFile(str(tmp_path / "tokens"))


@pytest.fixture
def guarded(shop: FilledShop, tokens: TokenFile, tmp_path: Path) -> Iterator[Door]:
    """An API that other machines can reach."""
    tokens.add("nobody", [TokenScope.READ], None)
    with opened(
        shop.settings,
        api_bind="0.0.0.0",
        api_hosts_text="shop.example",
        api_tokens_file=str(tmp_path / "tokens"),
    ) as door:
        yield door


def test_every_route_wants_a_token_with_its_scope(guarded: Door, tokens: TokenFile):
    secrets = {scope: tokens.add(scope, [scope], None) for scope in TokenScope}
    paths = guarded.app.openapi()["paths"].values()
    documented = sum(bool(operation.get("security")) for path in paths for operation in path.values())
    # The rules in force are read from Kafka; that route is in tests/live.
    assert sum(map(len, ROUTES.values())) == documented - 1
    for wanted, routes in ROUTES.items():
        for method, path in routes:
            assert guarded.ask(method, path).status_code == 401
            for scope, secret in secrets.items():
                status = guarded.ask(method, path, Authorization=f"Bearer {secret}").status_code
                assert (status == 403) == (scope is not wanted), (path, scope, status)


def test_a_token_says_who_sent_a_record(guarded: Door, tokens: TokenFile):
    secret = tokens.add("web-shop", [TokenScope.ORDER], None)
    assert guarded.place(Authorization=f"Bearer {secret}").status_code == 202
    assert guarded.broker.taken[0][1] == "api web-shop"


def test_the_ids_of_two_tokens_with_the_same_key_differ(guarded: Door, tokens: TokenFile):
    one, two = (tokens.add(name, [TokenScope.ORDER], None) for name in ("one", "two"))
    found = [
        guarded.place({"amount": 5}, Authorization=f"Bearer {secret}", Idempotency_Key="k").json()["order_id"]
        for secret in (one, two)
    ]
    assert found[0] != found[1]


def test_a_token_that_is_revoked_or_has_ended_is_refused_at_once(guarded: Door, tokens: TokenFile):
    secret = tokens.add("shop", [TokenScope.READ], None)
    assert guarded.ask("GET", "/v1/orders", Authorization=f"Bearer {secret}").status_code == 200
    tokens.revoke("shop")
    assert guarded.ask("GET", "/v1/orders", Authorization=f"Bearer {secret}").status_code == 401
    ended = tokens.add("ended", [TokenScope.READ], now() - 1)
    assert guarded.ask("GET", "/v1/orders", Authorization=f"Bearer {ended}").status_code == 401


def test_an_address_that_sends_wrong_tokens_must_wait_unless_it_sends_a_right_one_and_no_log_has_a_token(
    guarded: Door, tokens: TokenFile, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    for number in range(MOST_OF_ONE):
        answer = guarded.ask("GET", "/v1/orders", Authorization=f"Bearer guess-{number}")
        assert answer.status_code == 401 and "invalid_token" in answer.headers["WWW-Authenticate"]
    right = tokens.add("shop", [TokenScope.READ], None)
    assert guarded.ask("GET", "/v1/orders", Authorization=f"Bearer {right}").status_code == 200
    answer = guarded.ask("GET", "/v1/orders", Authorization="Bearer guess-6")
    assert answer.status_code == 429 and int(answer.headers["Retry-After"]) > 0
    assert "guess-" not in caplog.text and "number 5" in caplog.text


def test_the_file_has_no_token_and_is_its_owners(tokens: TokenFile, tmp_path: Path):
    secret = tokens.add("shop", [TokenScope.READ, TokenScope.ORDER], None)
    text = (tmp_path / "tokens").read_text()
    assert secret.startswith("saga_") and secret not in text and text.startswith("shop order,read ")
    assert (tmp_path / "tokens").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "line", ["shop", "shop read", "shop write " + "0" * 64, ". read " + "0" * 64, f"a read {'0' * 64} soon"]
)
def test_a_line_that_is_no_token_is_named(tmp_path: Path, line: str):
    (tmp_path / "tokens").write_text(f"# tokens\n{line}\n")
    with pytest.raises(SettingsError, match="SAGA_API_TOKENS, line 2"):
        TokenFile(str(tmp_path / "tokens")).read()


def test_a_name_stands_once_and_only_a_token_that_is_there_can_be_revoked(tokens: TokenFile):
    tokens.add("shop", [TokenScope.READ], None)
    with pytest.raises(SettingsError, match="there is a token shop already"):
        tokens.add("shop", [TokenScope.READ], None)
    with pytest.raises(SettingsError, match="there is no token 'other'"):
        tokens.revoke("other")


def test_beyond_this_machine_the_api_starts_only_with_tokens(tmp_path: Path):
    with pytest.raises(SettingsError, match="SAGA_API_TOKENS is not set"):
        process.check(Settings(api_bind="0.0.0.0"))
    with pytest.raises(SettingsError, match="No such file"):
        process.check(Settings(api_bind="0.0.0.0", api_tokens_file=str(tmp_path / "none")))
    process.check(Settings())


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[", ""])
def test_a_name_that_was_made_to_point_here_gets_no_answer(door: Door, host: str):
    assert door.ask("GET", "/v1/orders", Host=host).status_code == 421
    assert door.ask("GET", "/livez", Host=host).status_code == 421


def test_the_api_answers_to_its_own_names(door: Door, guarded: Door):
    for host in ("127.0.0.1:6080", "localhost", "[::1]:1"):
        assert door.ask("GET", "/livez", Host=host).status_code == 200
    for host in ("shop.example", "SHOP.example.:6080", "10.0.0.7:1"):
        assert guarded.ask("GET", "/livez", Host=host).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_a_page_of_another_site_can_change_nothing(door: Door, headers: dict[str, str]):
    assert door.place(**headers).status_code == 403
    assert door.ask("POST", "/v1/orders/waiting/cancel", **headers).status_code == 403
    assert not door.broker.taken


def test_a_form_of_another_site_has_no_type_that_is_taken(door: Door):
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        assert door.place(Content_Type=kind).status_code == 415
    assert not door.broker.taken


def test_every_answer_has_the_headers_that_keep_others_out(door: Door):
    for method, path in (("GET", "/v1/orders"), ("GET", "/none"), ("POST", "/v1/orders"), ("GET", "/livez")):
        headers = door.ask(method, path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in headers


def test_every_error_is_a_problem(door: Door):
    for method, path in (("GET", "/none"), ("DELETE", "/v1/orders"), ("GET", "/v1/orders/.."), ("PUT", "/")):
        answer = door.ask(method, path)
        assert answer.status_code in (404, 405, 422)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.json()["status"] == answer.status_code


@pytest.mark.parametrize("number", range(0, len(STRINGS), 4))
def test_a_hostile_path_question_or_body_gets_a_plain_answer(door: Door, number: int):
    text = STRINGS[number]
    params = dict.fromkeys(("q", "since", "before", "reason"), text)
    answers = [
        door.client.get("/v1/orders", params=params),
        door.client.get("/v1/dead-letters", params=params),
        door.place({**ORDER, "order_id": text}),
        door.place(text.encode("utf-8", "surrogatepass")),
        door.ask("POST", "/v1/orders/waiting/cancel", {"note": text}),
    ]
    assert all(each.status_code < 500 for each in answers), [each.status_code for each in answers]


def test_a_body_that_is_too_large_or_compressed_is_not_read(door: Door):
    assert door.place(b" " * (256 * 1024 + 1)).status_code == 413
    assert door.place(b"{}", Content_Encoding="gzip").status_code == 415
    assert door.place(b'{"order_id": 1, "order_id": 2, "amount": 1}').status_code == 400
    assert door.place(b"\xff").status_code == 400
    assert door.place(b"[]").status_code == 422
