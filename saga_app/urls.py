"""The addresses of a worker's web server: its pages, its actions and the probes.

The pages route by the patterns; commands, templates and tests make addresses with the functions.
"""

from typing import Final
from urllib.parse import quote

OVERVIEW: Final = "/"
ORDERS: Final = "/orders/"
#: The orders that fit a filter, as a file.
ORDERS_CSV: Final = "/orders.csv"
ORDER: Final = "/orders/{name}/"
STOCK: Final = "/stock/"
ARTICLE: Final = "/stock/{name}/"
ACCOUNTS: Final = "/accounts/"
ACCOUNT: Final = "/accounts/{name}/"
DEAD_LETTERS: Final = "/dead-letters/"
DEAD_LETTER: Final = "/dead-letters/{name}/"
TOPOLOGY: Final = "/topology/"
ACTIONS_LOG: Final = "/operator-log/"
WEBHOOKS: Final = "/webhooks/"
#: Several orders or dead letters at once: the page asks first, and counts. No order's id is in these addresses.
BULK_ORDERS: Final = "/bulk/orders/"
BULK_LETTERS: Final = "/bulk/dead-letters/"
RECORD: Final = "/records/{topic}/{partition}/{offset}/"
#: A page that updates itself has the stream of its changing part at its own address below this one.
LIVE: Final = "/live"
#: The stream of a page without a changing part: the health strip alone.
HEALTH: Final = "/health/"
#: With SAGA_WEB_LOGIN=tokens: the form for the token, and the end of the session.
LOGIN: Final = "/login/"
LOGOUT: Final = "/logout"
STATIC: Final = "/static/"
#: Faust's own pages: the rows of the tables.
TABLES: Final = "/table/"
#: The same addresses in a process that has no tables.
TABLES_OF_WORKERS: Final = "/table/{rest}"
IS_ALIVE: Final = "/livez"
IS_READY: Final = "/readyz"
METRICS: Final = "/metrics"

CANCEL: Final = "cancel"
NUDGE: Final = "nudge"
DRY_RUN: Final = "dry-run"
REPLAY: Final = "replay"
DISMISS: Final = "dismiss"
RESEND: Final = "resend"

#: All pages, and the pages that update themselves.
PAGES: Final = (
    OVERVIEW,
    ORDERS,
    ORDER,
    STOCK,
    ARTICLE,
    ACCOUNTS,
    ACCOUNT,
    DEAD_LETTERS,
    DEAD_LETTER,
    TOPOLOGY,
    ACTIONS_LOG,
    WEBHOOKS,
    RECORD,
    ORDERS_CSV,
    BULK_ORDERS,
    BULK_LETTERS,
)
LIVE_PAGES: Final = (OVERVIEW, ORDER, TOPOLOGY)
#: By page, its actions: each is a POST to the page's address with the action behind it.
ACTIONS: Final = {
    ORDER: (CANCEL, NUDGE),
    DEAD_LETTER: (DRY_RUN, REPLAY, DISMISS),
    BULK_ORDERS: (CANCEL, NUDGE),
    BULK_LETTERS: (REPLAY, DISMISS),
    WEBHOOKS: (RESEND,),
}
#: The main menu.
MENU: Final = (
    (OVERVIEW, "Overview"),
    (ORDERS, "Orders"),
    (STOCK, "Stock"),
    (ACCOUNTS, "Accounts"),
    (DEAD_LETTERS, "Dead letters"),
    (WEBHOOKS, "Webhooks"),
    (TOPOLOGY, "Topology"),
    (ACTIONS_LOG, "Operator log"),
)


def order(order_id: str) -> str:
    """The page of one order."""
    return ORDER.format(name=segment(order_id))


def article(sku: str) -> str:
    """The page of one article, in all warehouses."""
    return ARTICLE.format(name=segment(sku))


def account(customer_id: str) -> str:
    """The page of one customer's accounts, in all currencies."""
    return ACCOUNT.format(name=segment(customer_id))


def dead_letter(letter_id: object) -> str:
    """The page of one dead letter, by TOPIC:PARTITION:OFFSET."""
    return DEAD_LETTER.format(name=segment(letter_id))


def record(place: str) -> str:
    """The page of one record, by TOPIC:PARTITION:OFFSET."""
    topic, partition, offset = map(segment, place.split(":"))
    return RECORD.format(topic=topic, partition=partition, offset=offset)


def row(table: str, key: str) -> str:
    """Faust's page of one row."""
    return f"{TABLES}{table}/{key}/"


def live(page: str) -> str:
    """The stream of a page's changing part."""
    return LIVE + page


def segment(value: object) -> str:
    """Text as one segment of a path, or as a value in a query."""
    return quote(str(value), safe="")
