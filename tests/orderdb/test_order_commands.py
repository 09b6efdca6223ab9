"""The output of `saga order`, `stock`, `accounts` and `watch`, on a database without Kafka."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from saga_app import topics
from saga_app.commands import main
from saga_app.commands.render.terminal import cells
from tests.commands.terminal import PROGRAM, Terminal
from tests.orderdb.batches import OrderCopy
from tests.orderdb.filled import HOSTILE
from tests.orderdb.services import Services
from tests.support.blocks import documented_keys
from tests.support.examples import cancel, completed, delivery, deposit, placed
from tests.support.health import be_well

MUGS = [{"sku": "MUG", "quantity": 2}]
Say = Callable[..., Result]


class CopiedShop:
    """Orders of every kind: `o1` completed, `o2` undone, `o3` refused, `o4` and `o5` not ended."""

    def __init__(self, url: str) -> None:
        self.copy = OrderCopy(url)
        self.services = Services()
        self.env = {"SAGA_DB_URL": url, "SAGA_BROKER": "127.0.0.1:1"}
        self.sent(
            deposit("d1", "500.00", "ada"), delivery("v1", MUG=10, CUP=5), delivery("v2", "north", MUG=3)
        )
        self.sent(placed(lines=MUGS, customer_id="ada"), placed("o2", lines=MUGS, country="FR"))
        self.sent(placed("o3", "2000.00"), placed("o3", "4.00"))
        self.sent(placed("o4", lines=MUGS), silent=topics.INVENTORY)
        note = cancel("o5").model_copy(update={"note": HOSTILE[:200]})
        self.sent(placed("o5", lines=MUGS), note, silent=topics.SHIPPING)

    def sent(self, *records: Any, silent: str = "") -> None:
        """Sends these records, and copies everything that follows from them."""
        self.services.silent = {silent}
        self.copy.write(*self.services.send(*records))


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[CopiedShop]:
    shop = CopiedShop(f"sqlite:///{tmp_path}/orders.db")
    yield shop
    shop.copy.close()


@pytest.fixture
def saga(shop: CopiedShop, monkeypatch: pytest.MonkeyPatch) -> Say:
    for name, value in shop.env.items():
        monkeypatch.setenv(name, value)
    be_well(monkeypatch)
    return lambda *words: CliRunner().invoke(main, list(words))


@pytest.fixture
def terminal(shop: CopiedShop) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_(*words: str, **options: Any) -> Terminal:
        opened.append(Terminal(*words, env={**shop.env, **options.pop("env", {})}, **options))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


def told(result: Result) -> list[str]:
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def objects(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told(result)]


def test_an_order_is_told_by_its_sentence_first_then_its_route_and_the_way_back(saga: Say):
    lines = told(saga("order", "o2"))
    assert lines[0] == "o2  ✗ CANCELLED"
    assert (
        lines[1]
        == "Cancelled: the country is not served. The stock was released, then the payment was refunded."
    )
    there = next(at for at, line in enumerate(lines) if line.startswith("payment "))
    assert [line.split() for line in (lines[there], lines[there + 3])] == [
        ["payment", "→", "inventory", "→", "shipping"],
        ["↶", "refunded", "←", "↶", "released"],
    ]
    assert [line.split("  ")[1] for line in lines if re.match("20[0-9-]+ ", line)][-3:] == [
        "inventory is asked to release the stock: released",
        "payment is asked to refund the payment: refunded",
        "checkout is told that it is cancelled: the country is not served, at shipping",
    ]
    assert lines[-1].startswith("saga history o2")


def test_an_order_that_has_not_ended_says_how_old_the_copy_is_and_what_to_do(saga: Say):
    output = saga("order", "o4").stdout
    assert "Waiting for inventory to reserve the stock since" in output
    assert "This is a copy; how far it is behind is not known: the broker does not answer." in output
    assert "saga cancel o4" in output and "saga cancel" not in saga("order", "o5").stdout


def test_an_order_that_is_not_there_is_said_to_be_and_what_reads_kafka(saga: Say):
    result = saga("order", "o9")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("saga: order o9 is not in the order database; ")
    assert "`saga history o9` reads Kafka" in result.stderr


def test_an_order_of_which_only_dead_letters_tell_says_how_many(saga: Say, shop: CopiedShop):
    shop.sent(completed("o9"))
    assert "dead letter, unknown_order" in saga("order", "o9").stdout


def test_an_order_that_was_cancelled_before_it_was_placed_says_so(saga: Say, shop: CopiedShop):
    shop.sent(cancel("o9"))
    words = "before it was placed: when the order comes, it is cancelled."
    assert told(saga("order", "o9"))[1].endswith(words)
    (whole,) = objects(saga("order", "o9", "--json"))
    assert whole["status"] is None and whole["words"].endswith(words)


def test_raw_shows_every_row_as_it_is(saga: Say):
    lines = [line.split("  ", 1) for line in told(saga("order", "o3", "--raw")) if "  {" in line]
    assert {table for table, _ in lines} == {"orders", "order_steps", "order_events", "dead_letters"}
    assert all(isinstance(json.loads(row), dict) for _, row in lines)
    (whole,) = objects(saga("order", "o3", "--raw", "--json"))
    assert [row.pop("table") for row in whole["rows"]] == [table for table, _ in lines]


@pytest.mark.parametrize(("order", "code"), [("o1", 0), ("o2", 3)])
def test_following_an_order_that_has_ended_tells_it_and_how_it_ended(saga: Say, order: str, code: int):
    result = saga("order", order, "--follow")
    assert result.exit_code == code
    lines = result.stdout.splitlines()
    assert lines[0].endswith("  placed") and lines[-2].startswith(f"{order}  ")
    assert (saga("order", order, "--follow", "--json").exit_code) == code


def test_following_an_order_of_which_there_are_only_dead_letters_ends_and_says_so(
    saga: Say, shop: CopiedShop, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("saga_app.commands.order.POLL_INTERVAL", 0.01)
    shop.sent(completed("o9"))
    result = saga("order", "o9", "--follow")
    assert result.exit_code == 1
    assert "order o9 was not placed: there is only 1 dead letter of it" in result.stderr


@pytest.mark.parametrize("order", ["o4", "nobody"])
def test_following_ends_at_its_time_limit_with_an_exit_code_of_its_own(saga: Say, order: str):
    result = saga("order", order, "--follow", "--timeout", "0.05")
    assert result.exit_code == 4 and f"order {order} has not ended in 0.05 s" in result.stderr
    assert saga("order", order, "--timeout", "1").exit_code == 2


def test_an_order_is_followed_from_before_it_is_there_and_each_record_is_told_once(shop: CopiedShop):
    follow = [*PROGRAM, "order", "o6", "--follow"]
    with subprocess.Popen(
        follow, stdout=subprocess.PIPE, text=True, env={**os.environ, **shop.env}
    ) as following:
        try:
            assert following.stdout is not None
            shop.services.silent = ()
            rows = shop.services.send(placed("o6", lines=MUGS))
            payment = next(at for at, row in enumerate(rows) if row.topic() == topics.INVENTORY)
            shop.copy.write(*rows[:payment])
            until_paid = [following.stdout.readline() for _ in range(3)]
            shop.copy.write(*rows[payment:])
            rest = following.communicate(timeout=30)[0].splitlines()
        finally:
            following.kill()
    assert following.returncode == 0
    assert until_paid[1].endswith("payment is asked to take the payment: paid\n")
    assert until_paid[2].startswith("On its way to inventory to reserve the stock since ")
    assert rest[-2:] == ["o6  ✓ COMPLETED", "Completed: paid, reserved, shipment booked."]
    assert len([line for line in rest if " is asked to " in line]) == 2


def test_stock_and_accounts_list_what_came_in_and_where_it_is(saga: Say):
    assert told(saga("stock", "--q", "MU")) == [
        "warehouse  sku  received  available  reserved  sold",
        "main       MUG        10          6         2     2",
        "north      MUG         3          3         0     0",
    ]
    assert objects(saga("accounts", "--json")) == [
        {
            "customer_id": "ada",
            "currency": "GBP",
            "deposited": "500.00",
            "balance": "460.00",
            "reserved": "0.00",
            "paid": "40.00",
        }
    ]


def test_one_article_and_one_customer_add_up_and_name_the_orders_that_have_the_rest(saga: Say):
    lines = told(saga("stock", "MUG", "--warehouse", "main"))
    assert lines[0] == "main MUG: received 10 = available 6 + reserved 2 + sold 2"
    assert [line.split()[0] for line in lines[2:]] == ["o5", "o1"]
    (only,) = objects(saga("stock", "MUG", "--warehouse", "main", "--open", "--json"))
    assert [each["order_id"] for each in only["orders"]] == ["o5"] and only["unaccounted"] == 0
    assert (
        told(saga("accounts", "ada"))[0]
        == "ada GBP: deposited 500.00 = balance 460.00 + reserved 0.00 + paid 40.00"
    )


def test_pages_go_on_behind_the_last_line(saga: Say):
    assert saga("stock", "--limit", "2").stderr == "more: --after main:MUG\n"
    assert [each["warehouse"] for each in objects(saga("stock", "--after", "main:MUG", "--json"))] == [
        "north"
    ]
    assert saga("stock", "--after", "MUG").exit_code == 2


@pytest.mark.parametrize("words", [("stock", "nix"), ("accounts", "nix"), ("stock", HOSTILE)])
def test_a_name_that_is_not_there_is_an_error(saga: Say, words: tuple[str, str]):
    result = saga(*words)
    assert result.exit_code == 1 and result.stderr.count("\n") == 1 and result.stderr[:-1].isprintable()


def test_late_orders_are_listed(saga: Say):
    assert [each["order_id"] for each in objects(saga("orders", "--late", "--json"))] == ["o5", "o4"]


def test_the_reference_names_every_key_that_is_printed(saga: Say):
    (order,) = objects(saga("order", "o4", "--raw", "--json"))
    assert order.keys() == documented_keys("`saga order ORDER`")
    balances = [*objects(saga("stock", "MUG", "--json")), *objects(saga("accounts", "ada", "--json"))]
    assert {key for each in balances for key in each} == documented_keys("`saga stock`, `saga accounts`")


COMMANDS = (
    ("order", "o1"),
    ("order", "o4"),
    ("order", "o5", "--raw"),
    ("order", "o2", "--follow"),
    ("orders",),
    ("stock",),
    ("stock", "MUG"),
    ("accounts",),
    ("accounts", "ada"),
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_in_a_pipe_there_are_no_colours_and_nothing_hostile(saga: Say, words: tuple[str, ...]):
    output = saga(*words).output
    assert output and all(line.isprintable() for line in output.split("\n"))


@pytest.mark.parametrize("columns", [40, pytest.param(80, marks=pytest.mark.slow("a second width"))])
@pytest.mark.parametrize("words", [each for each in COMMANDS if "--raw" not in each], ids=" ".join)
def test_on_a_terminal_every_line_fits(terminal: Any, words: tuple[str, ...], columns: int):
    opened = terminal(*words, columns=columns)
    assert opened.end() in (0, 3)
    lines = opened.text.splitlines()
    assert lines and max(map(cells, lines)) <= columns, opened.text
    assert not [line for line in lines if not re.sub(r"\x1b\[[0-9;]*m", "", line).isprintable()]


def test_colours_are_for_terminals_and_not_where_no_color_is_set(terminal: Any):
    plain, coloured = terminal("order", "o1", env={"NO_COLOR": "1"}), terminal("order", "o1")
    assert (plain.end(), coloured.end()) == (0, 0)
    assert "\x1b" not in plain.text and "\x1b[32m" in coloured.text
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured.text) == plain.text


def test_a_terminal_without_the_shapes_gets_plain_letters(terminal: Any):
    opened = terminal("order", "o2", env={"PYTHONIOENCODING": "ascii", "NO_COLOR": "1"})
    assert opened.end() == 0 and "x CANCELLED" in opened.text and "-> " in opened.text


def test_a_reader_that_stops_reading_is_no_error_and_no_trouble_of_the_database(shop: CopiedShop):
    for words in (["stock"], ["order", "o1", "--raw"]):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [*PROGRAM, *words],
            stdout=writing,
            stderr=subprocess.PIPE,
            env={**os.environ, **shop.env},
            check=False,
        )
        os.close(writing)
        assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    "words", [("order", "o1"), ("watch",), ("stock",), ("accounts",), ("order", "o1", "--follow")]
)
def test_without_a_database_every_command_says_what_makes_one(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SAGA_DB_URL", f"sqlite:///{tmp_path}/none.db")
    result = CliRunner().invoke(main, list(words))
    assert result.exit_code == 1 and "`saga orderdb run` makes it" in result.stderr


@pytest.fixture
def watching(shop: CopiedShop) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [*PROGRAM, "watch", "--json", "--every", "0.1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **shop.env},
    ) as process:
        yield process
        process.kill()


def test_in_a_pipe_watch_writes_a_line_whenever_a_number_changes(
    watching: "subprocess.Popen[str]", shop: CopiedShop
):
    assert watching.stdout is not None
    first = json.loads(watching.stdout.readline())
    assert first["orders"] == {"PLACED": 0, "OPEN": 1, "CANCELLING": 1, "COMPLETED": 1, "CANCELLED": 2}
    assert (first["late"], first["behind"]) == (2, None)
    assert first.keys() == documented_keys("`saga watch`")
    shop.sent(placed("o6"))
    assert json.loads(watching.stdout.readline())["orders"]["COMPLETED"] == 2
    watching.send_signal(signal.SIGINT)
    assert watching.wait(20) == 130
    assert watching.stdout.read() == ""


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_on_a_terminal_watch_is_a_live_table_and_leaves_the_screen_as_it_was(
    terminal: Any, shop: CopiedShop, stop: signal.Signals
):
    opened = terminal("watch", "--every", "0.1", columns=100)
    opened.until(lambda text: "waits for shipping to undo" in text and "Ctrl-C ends" in text)
    assert opened.text.startswith("\x1b[?1049h")
    shop.sent(placed("o6"))
    opened.until(lambda text: "completed 2" in text and " o6 " in text)
    opened.process.send_signal(stop)
    assert opened.end() == 130
    left = opened.text.rpartition("\x1b[?1049l")
    assert left[1] and "\x1b[?25h" in left[0] and left[2].strip() == "saga: stopped"


def test_without_rich_watch_names_what_to_install(shop: CopiedShop):
    program = "import sys; sys.modules['rich'] = None; " + PROGRAM[2].replace("main()", "main(['watch'])")
    opened = Terminal(env=shop.env, program=[sys.executable, "-c", program])
    try:
        assert opened.end() == 1 and "needs the package rich" in opened.text
    finally:
        opened.close()


@pytest.mark.parametrize(("command", "ids"), [("order", "o1 o2 o3 o4 o5"), ("cancel", "o4 o5")])
def test_order_ids_are_completed_and_for_a_cancellation_only_those_that_have_not_ended(
    shop: CopiedShop, command: str, ids: str
):
    env = {"_SAGA_COMPLETE": "bash_complete", "COMP_WORDS": f"saga {command} o", "COMP_CWORD": "2"}
    done = subprocess.run(
        [*PROGRAM[:2], "from saga_app.commands import main; main(prog_name='saga')"],
        env={**os.environ, **shop.env, **env},
        capture_output=True,
        text=True,
        check=True,
    )
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == set(ids.split())


def test_without_a_database_nothing_is_completed_and_nothing_is_said(tmp_path: Path):
    env = {"_SAGA_COMPLETE": "bash_complete", "COMP_WORDS": "saga order o", "COMP_CWORD": "2"}
    done = subprocess.run(
        [*PROGRAM[:2], "from saga_app.commands import main; main(prog_name='saga')"],
        env={**os.environ, "SAGA_DB_URL": f"sqlite:///{tmp_path}/none.db", **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")
