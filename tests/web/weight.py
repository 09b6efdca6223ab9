"""Measures the size of the pages and the delay of a live page: python -m tests.web.weight"""

import tempfile
import time
from statistics import median
from typing import Final

from tests.support.examples import placed
from tests.web.asking import Stream, ask
from tests.web.screenshots import PAGES
from tests.web.shop import MUGS, FilledShop, served

FILES: Final = ("/static/style.css", "/static/live.js", "/static/page.js", "/static/icon.svg")


#: Orders that are placed while somebody looks.
TIMES: Final = 20


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        shop = FilledShop(f"sqlite:///{folder}/orders.db")
        shop.fill()
        with served(shop.settings) as server:
            for path in (*PAGES.values(), *FILES):
                print(f"{len(ask(server.url, path).text.encode()):>7,}  {path}")
            began = time.monotonic()
            stream = Stream(server.url, "/live/")
            stream.event()
            print(f"{time.monotonic() - began:>7.2f}  s until a live page has its first update")
            took = []
            for number in range(TIMES):
                shop.send(placed(f"new-{number}", lines=MUGS, customer_id="ada"))
                began = time.monotonic()
                stream.event()
                took.append(time.monotonic() - began)
            print(
                f"{median(took):>7.2f}  s from a commit of the order database to the page, median of {TIMES}"
            )
            stream.close()
        shop.close()


if __name__ == "__main__":
    main()
