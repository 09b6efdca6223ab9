"""A stateful Stripe on this machine: localstripe, as a process of its own, which listens on loopback only."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from harness.ports import free_port
from saga_app.local.process import until
from tests.support.shell import status

#: It would listen at every address of this machine, and log each request.
_PROGRAM: Final = """
import runpy, sys
from aiohttp import web
run, port = web.run_app, int(sys.argv.pop())
web.run_app = lambda app, **options: run(app, host="127.0.0.1", port=port, access_log=None)
sys.argv = ["localstripe", "--port", "0", "--from-scratch"]
runpy.run_module("localstripe", run_name="__main__")
"""


@contextmanager
def local_stripe(folder: Path) -> Iterator[str]:
    """Its address, while it runs. It knows no idempotency keys, and allows what Stripe refuses: see `StripeProxy`."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    log = folder / "localstripe.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(port)], stdout=output, stderr=subprocess.STDOUT, cwd=folder
        )
    try:
        assert until(lambda: status(f"{address}/js.stripe.com/v3/") == 200, 30), log.read_text("utf-8")
        yield address
    finally:
        process.kill()
        process.wait(10)
