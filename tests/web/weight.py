"""What the pages weigh, in bytes as sent: python -m tests.web.weight"""

import tempfile
from typing import Final

from tests.web.asking import ask
from tests.web.screenshots import PAGES
from tests.web.shop import Shop, served

FILES: Final = ("/static/style.css", "/static/live.js", "/static/icon.svg")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        shop = Shop(f"sqlite:///{folder}/orders.db")
        shop.fill()
        with served(shop.settings) as server:
            for path in (*PAGES.values(), *FILES):
                print(f"{len(ask(server.url, path).text.encode()):>7,}  {path}")
        shop.close()


if __name__ == "__main__":
    main()
