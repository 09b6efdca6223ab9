"""The conversion of rows of the Online Retail table to orders."""

import csv
import io
import json
import lzma
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from saga_app.core import fields
from saga_app.core.countries import CODES
from saga_app.demo import convert

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
TABLE = (
    HEADER
    + """\
1,85123A,HEART,6,2010-12-01 08:26:00,2.55,17850,United Kingdom
1,POST,POSTAGE,1,2010-12-01 08:26:00,18.00,17850,United Kingdom
2,85123a,"HEART, RED",1,2010-12-01 08:27:00,0.10,,Unspecified
C3,85123A,HEART,-6,2010-12-01 08:28:00,2.55,17850,United Kingdom
2,85123a,"HEART, RED",2,2010-12-01 08:28:00,0.10,,Unspecified
A4,B,Adjust bad debt,1,2010-12-01 08:29:00,-11062.06,,United Kingdom
5,22139,damaged,-9,2010-12-01 08:30:00,0.00,,United Kingdom
6,22139,,0,2010-12-01 08:31:00,1.00,12583,EIRE
6,22139,,1,2010-12-01 08:31:00,-1.00,12583,EIRE
6,PADS,PADS,1,2010-12-01 08:31:00,0.001,12583,EIRE
6,BANK CHARGES,,1,2010-12-01 08:31:00,15.00,12583,EIRE
6,22139,,1,2010-12-01 08:31:00,0.00,12583,EIRE
"""
)
ROOT = Path(__file__).parents[2]


def converted(table: str) -> tuple[list[dict[str, Any]], dict[str, int]]:
    return convert.convert(csv.DictReader(io.StringIO(table)))


def row(**fields: str) -> dict[str, str]:
    names = HEADER.strip().split(",")
    return dict(zip(names, ("1", "A", "", "1", "", "1.00", "", "France"), strict=True)) | fields


def test_an_invoice_becomes_an_order_with_the_exact_sum_of_its_lines() -> None:
    assert converted(TABLE)[0][0] == {
        "type": "OrderPlaced",
        "order_id": "1",
        "customer_id": "17850",
        "currency": "GBP",
        "country": "GB",
        "warehouse": "main",
        "amount": "33.30",
        "lines": [
            {"sku": "85123A", "quantity": 6, "unit_price": "2.55"},
            {"sku": "POST", "quantity": 1, "unit_price": "18.00"},
        ],
    }


def test_rows_that_lie_apart_come_together_in_the_order_of_first_rows() -> None:
    orders, _ = converted(TABLE)
    assert [(order["order_id"], len(order["lines"])) for order in orders] == [("1", 2), ("2", 2), ("6", 1)]


def test_an_unknown_customer_and_an_unknown_country_are_left_out() -> None:
    order = converted(TABLE)[0][1]
    assert "customer_id" not in order and "country" not in order


def test_every_row_and_every_invoice_is_counted_once() -> None:
    assert converted(TABLE)[1] == {
        "invoices": 6,
        "invoices_bookkeeping": 1,
        "invoices_cancelled": 1,
        "invoices_no_rows_left": 1,
        "orders": 3,
        "rows": 12,
        "rows_bookkeeping": 1,
        "rows_cancelled": 1,
        "rows_code_not_an_id": 1,
        "rows_kept": 5,
        "rows_price_negative": 1,
        "rows_price_not_in_pence": 1,
        "rows_quantity_not_positive": 2,
    }


def test_an_order_has_at_most_2000_lines() -> None:
    most = [row(InvoiceNo="1")] * 2000 + [row(InvoiceNo="2")] * 2001
    orders, counts = convert.convert(most)
    assert [order["order_id"] for order in orders] == ["1"]
    assert (counts["invoices_too_many_rows"], counts["rows_too_many"], counts["rows_kept"]) == (1, 2001, 2000)


def test_a_country_that_the_table_of_countries_lacks_is_an_error() -> None:
    with pytest.raises(KeyError, match="Atlantis"):
        convert.convert([row(Country="Atlantis")])


def test_an_invoice_number_that_cannot_be_an_order_id_is_an_error() -> None:
    with pytest.raises(ValueError, match="'no 1' is not an id"):
        convert.convert([row(InvoiceNo="no 1")])


def test_all_38_countries_have_a_code_that_the_core_knows_or_none() -> None:
    assert len(convert.COUNTRIES) == 38
    assert {code for code in convert.COUNTRIES.values() if code} <= CODES
    assert [name for name, code in convert.COUNTRIES.items() if not code] == [
        "European Community",
        "Unspecified",
    ]


def test_the_largest_order_is_the_one_of_the_core() -> None:
    assert convert.MOST_LINES == fields.MOST_LINES


def test_the_script_writes_the_same_bytes_again_and_prints_its_counts(tmp_path: Path) -> None:
    table = tmp_path / "table.csv.xz"
    table.write_bytes(lzma.compress(TABLE.encode()))
    files = [tmp_path / "first", tmp_path / "second"]
    for file in files:
        command = [sys.executable, str(ROOT / "scripts" / "prepare-orders"), str(table), "--out", str(file)]
        done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
    assert files[0].read_bytes() == files[1].read_bytes()
    orders, counts = converted(TABLE)
    assert json.loads(done.stdout) == counts | {"bytes": files[0].stat().st_size}
    assert [json.loads(line) for line in lzma.decompress(files[0].read_bytes()).splitlines()] == orders
