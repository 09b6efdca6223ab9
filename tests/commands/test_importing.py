"""`saga import` shows orders of other systems, and places them: docs/how-to/import-orders.md."""

import json
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from confluent_kafka import KafkaException

from harness.log import everything, until
from harness.ports import free_port
from saga_app import topics
from saga_app.commands import main
from saga_app.settings import Settings
from tests.commands.dead_letter_topic import PARTITIONS, Saga
from tests.support.blocks import ROOT, blocks, documented_keys

PAGE = (ROOT / "docs/how-to/import-orders.md").read_text("utf-8")
IMPORT, OWN = blocks("docs/how-to/import-orders.md")
EXAMPLE = ROOT / "tests/imports/examples/shopify-rest.json"
TEA = """
[{"ref": "T/1", "state": "open", "currency": "GBP", "to_pay": 7.0, "basket":
    [{"article": "ASSAM", "pieces": 2, "each": 3.5}]},
 {"ref": "T/2", "state": "cancelled", "currency": "GBP", "to_pay": 7, "basket": []},
 {"ref": "T/3", "state": "open", "currency": "GBP", "basket": []}]
"""


def fenced(language: str) -> str:
    """The first block in a language."""
    found = re.search(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def sent() -> list[dict[str, object]]:
    """The records in the topic, in the sequence of their orders' ids."""
    records: list[Any] = []

    def answers() -> bool:
        """False while a partition of a new topic has no leader."""
        with suppress(KafkaException):
            records[:] = everything(Settings.read().broker, topics.CHECKOUT, PARTITIONS)
            return True
        return False

    until(answers, 30, lambda: "the topic does not answer")
    return sorted((json.loads(each.value()) for each in records), key=lambda fields: str(fields["order_id"]))


@pytest.mark.live
def test_the_commands_of_the_page_show_orders_and_place_them(saga: Saga):
    show, place = (line.split()[1:] for line in IMPORT.replace("orders.json", str(EXAMPLE)).splitlines())
    before = len(sent())
    shown = saga(*show)
    assert shown.exit_code == 2 and shown.stdout == fenced("text")
    assert len(sent()) == before
    placed = saga(*place)
    assert placed.exit_code == 2 and "placed: 1, left out: 2, not mapped: 1\n" in placed.stdout
    (record,) = (each for each in sent() if str(each["order_id"]).startswith("shopify"))
    assert record["amount"] == "210.86"


@pytest.mark.live
def test_the_mapper_of_the_page_prints_what_saga_place_takes(saga: Saga, tmp_path: Path):
    (tmp_path / "tea_house.py").write_text(fenced("python"))
    assert OWN == "python tea_house.py < tea.json | saga place -\n"
    done = subprocess.run(
        [sys.executable, str(tmp_path / "tea_house.py")],
        input=TEA,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == "T/2: it was cancelled\norder 3 of the file: to_pay: is missing\n"
    assert saga("place", "-", input=done.stdout).exit_code == 0
    (record,) = (each for each in sent() if str(each["order_id"]).startswith("tea"))
    assert record["lines"] == [{"sku": "ASSAM", "quantity": 2, "unit_price": "3.5"}]


def test_every_order_is_an_object_of_json_with_the_documented_keys():
    result = CliRunner().invoke(main, ["import", "shopify", str(EXAMPLE), "--json"])
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert {key for line in lines for key in line} == documented_keys("`saga import`")
    assert [line["state"] for line in lines] == ["mapped", "left_out", "not_mapped", "left_out"]


def test_a_file_of_another_format_is_told_in_one_line(tmp_path: Path):
    (tmp_path / "orders.csv").write_text("sku\nMUG\n")
    result = CliRunner().invoke(main, ["import", "csv", str(tmp_path / "orders.csv")])
    assert result.exit_code == 2 and "there is no column order_id" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_name_that_would_colour_a_terminal_is_escaped():
    data = '{"id": 1, "number": "\\u001b[31m", "status": "refunded", "currency": "GBP", "total": 1, "line_items": []}'
    result = CliRunner().invoke(main, ["import", "woocommerce", "-"], input=data)
    assert result.exit_code == 0 and "\x1b" not in result.stdout and "\\x1b[31m" in result.stdout


def test_a_broker_that_is_not_there_is_told_and_the_command_may_be_given_again():
    env = {"SAGA_BROKER": f"127.0.0.1:{free_port()}"}
    result = CliRunner().invoke(main, ["import", "shopify", str(EXAMPLE), "--place"], env=env)
    assert result.exit_code == 1 and "no broker answers" in result.stderr
