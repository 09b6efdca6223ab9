"""Converts the Online Retail table to the order file of the demo: one `OrderPlaced` record a line.

It corrects no data. A row or an invoice that is no order is left out and counted under the first reason that
applies, so that rows and invoices add up. `LICENSE-DATA.md` says where the table comes from.
"""

import argparse
import csv
import json
import lzma
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

TABLE: Final = Path("../shared/data/online_retail.csv.xz")
ORDERS: Final = Path(__file__).with_name("orders.jsonl.xz")

MOST_LINES: Final = 2_000
ID: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
PENNY: Final = Decimal("0.01")

#: ISO 3166 alpha-2 codes of the table's countries; None for a name that is no country: the order then has none.
#: The Channel Islands are Jersey (JE) and Guernsey (GG); the table does not say which, and Jersey is the larger.
COUNTRIES: Final[dict[str, str | None]] = {
    "Australia": "AU",
    "Austria": "AT",
    "Bahrain": "BH",
    "Belgium": "BE",
    "Brazil": "BR",
    "Canada": "CA",
    "Channel Islands": "JE",
    "Cyprus": "CY",
    "Czech Republic": "CZ",
    "Denmark": "DK",
    "EIRE": "IE",
    "European Community": None,
    "Finland": "FI",
    "France": "FR",
    "Germany": "DE",
    "Greece": "GR",
    "Hong Kong": "HK",
    "Iceland": "IS",
    "Israel": "IL",
    "Italy": "IT",
    "Japan": "JP",
    "Lebanon": "LB",
    "Lithuania": "LT",
    "Malta": "MT",
    "Netherlands": "NL",
    "Norway": "NO",
    "Poland": "PL",
    "Portugal": "PT",
    "RSA": "ZA",
    "Saudi Arabia": "SA",
    "Singapore": "SG",
    "Spain": "ES",
    "Sweden": "SE",
    "Switzerland": "CH",
    "USA": "US",
    "United Arab Emirates": "AE",
    "United Kingdom": "GB",
    "Unspecified": None,
}

Row = Mapping[str, str]


def convert(rows: Iterable[Row]) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The orders, sorted by the first rows of their invoices, and the counts of rows and invoices by outcome."""
    invoices: dict[str, list[Row]] = {}
    for row in rows:
        invoices.setdefault(row["InvoiceNo"], []).append(row)
    orders, counts = [], Counter[str]()
    for invoice, all_rows in invoices.items():
        counts["rows"] += len(all_rows)
        if reason := no_sale(invoice):
            counts[f"rows_{reason}"] += len(all_rows)
            counts[f"invoices_{reason}"] += 1
            continue
        faults = [fault(row) for row in all_rows]
        counts.update(f"rows_{name}" for name in faults if name)
        kept = [row for row, name in zip(all_rows, faults, strict=True) if not name]
        if not 0 < len(kept) <= MOST_LINES:
            counts["rows_too_many"] += len(kept)
            counts["invoices_too_many_rows" if kept else "invoices_no_rows_left"] += 1
            continue
        counts["rows_kept"] += len(kept)
        orders.append(order(invoice, kept))
    counts.update(invoices=len(invoices), orders=len(orders))
    return orders, {name: counts[name] for name in sorted(counts) if counts[name]}


def no_sale(invoice: str) -> str | None:
    """The reason why an invoice is no sale; None if it is one. `ValueError` if its number cannot be an order id."""
    if not ID.fullmatch(invoice):
        raise ValueError(f"invoice number {invoice!r} is not an id")
    return {"C": "cancelled", "A": "bookkeeping"}.get(invoice[0])


def fault(row: Row) -> str | None:
    """The reason why a row cannot be a line of an order; None if it can."""
    price = Decimal(row["UnitPrice"])
    if int(row["Quantity"]) <= 0:
        return "quantity_not_positive"
    if price < 0:
        return "price_negative"
    if price != price.quantize(PENNY):
        return "price_not_in_pence"
    if not ID.fullmatch(row["StockCode"]):
        return "code_not_an_id"
    return None


def order(invoice: str, rows: list[Row]) -> dict[str, Any]:
    """The `OrderPlaced` record of an invoice; `KeyError` for a country that the table of countries lacks."""
    prices = [Decimal(row["UnitPrice"]).quantize(PENNY) for row in rows]
    quantities = [int(row["Quantity"]) for row in rows]
    fields = {
        "type": "OrderPlaced",
        "order_id": invoice,
        "customer_id": rows[0]["CustomerID"] or None,
        "currency": "GBP",
        "country": COUNTRIES[rows[0]["Country"]],
        "warehouse": "main",
        "amount": str(sum((p * q for p, q in zip(prices, quantities, strict=True)), Decimal("0.00"))),
        "lines": [
            {"sku": row["StockCode"], "quantity": quantity, "unit_price": str(price)}
            for row, quantity, price in zip(rows, quantities, prices, strict=True)
        ],
    }
    return {name: value for name, value in fields.items() if value is not None}


def packed(orders: Iterable[dict[str, Any]]) -> bytes:
    """The order file: compact JSON lines in xz; the same orders give the same bytes (with one liblzma)."""
    lines = (json.dumps(order, separators=(",", ":")) + "\n" for order in orders)
    return lzma.compress("".join(lines).encode(), preset=6 | lzma.PRESET_EXTREME)


def main() -> None:
    """Convert a table and print the counts as JSON."""
    parser = argparse.ArgumentParser(description="Make the demo's order file from the Online Retail table.")
    parser.add_argument("table", nargs="?", type=Path, default=TABLE, help="CSV in xz (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=ORDERS, help="file to write (default: the demo's own)")
    options = parser.parse_args()
    with lzma.open(options.table, "rt", encoding="utf-8", newline="") as table:
        orders, counts = convert(csv.DictReader(table))
    content = packed(orders)
    options.out.write_bytes(content)
    print(json.dumps(counts | {"bytes": len(content)}, indent=2))
