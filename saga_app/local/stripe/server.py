"""A stateful Stripe on this machine: localstripe, as a process of its own, which listens on loopback only."""

import importlib.util
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from saga_app.local.config import free_ports
from saga_app.local.errors import LocalStripeError
from saga_app.local.process import until

#: Seconds until it must answer.
READY_WITHIN: Final = 60.0
#: It would listen at every address of this machine, log each request, and at each change write everything that it has
#: to one file that all on this machine share: a thousand payments then take seconds each.
_PROGRAM: Final = """
import runpy, sys
from aiohttp import web
from localstripe.resources import Store
Store.dump_to_disk = lambda store: None
run, port = web.run_app, int(sys.argv.pop())
web.run_app = lambda app, **options: run(app, host="127.0.0.1", port=port, access_log=None)
sys.argv = ["localstripe", "--port", "0", "--from-scratch"]
runpy.run_module("localstripe", run_name="__main__")
"""


@contextmanager
def local_stripe(folder: Path) -> Iterator[str]:
    """Its address, while it runs. It knows no idempotency keys, and allows what Stripe refuses: see `StripeProxy`.

    `LocalStripeError` if it is not installed, or does not start.
    """
    if importlib.util.find_spec("localstripe") is None:
        raise LocalStripeError(
            "localstripe is not installed: run scripts/setup in a clone, or pip install localstripe"
        )
    (port,) = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    log = folder / "localstripe.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", _PROGRAM, str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            # Ctrl-C then reaches the parent alone.
            start_new_session=True,
        )
    try:
        if not until(lambda: _answers(f"{address}/js.stripe.com/v3/"), READY_WITHIN):
            raise LocalStripeError(f"localstripe did not answer in {READY_WITHIN:.0f} s; see {log}")
        yield address
    finally:
        process.kill()
        process.wait(10)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - our own address
            return bool(answer.status == 200)
    except OSError:
        return False
