"""docs/how-to/webhooks.md, followed: a secret, a receiver in a few lines, and the commands of people."""

import re
import subprocess
import sys

import pytest

from harness.log import until
from harness.process import ROOT, LoggedProcess
from harness.scene import Scene
from tests.live.test_webhooks import WebhookProcess, tell
from tests.support.blocks import blocks

pytestmark = pytest.mark.slow("a page that is followed; what it says is quick in test_webhooks.py")
ENDPOINTS, TRY, LOOK, RESEND = blocks("docs/how-to/webhooks.md")
(RECEIVER,) = re.findall(
    r"^```python\n(.*?)^```", (ROOT / "docs/how-to/webhooks.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
)


def test_a_receiver_of_a_few_lines_hears_how_orders_end(scene: Scene) -> None:
    file = scene.folder / "webhooks.toml"
    process = WebhookProcess(scene, file)

    def shell(text: str) -> str:
        path = f"{ROOT / '.venv/bin'}:{process.env['PATH']}"
        done = subprocess.run(
            ["bash", "-euc", text],
            cwd=scene.folder,
            env={**process.env, "PATH": path},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    shell(ENDPOINTS)
    program = scene.folder / "receiver.py"
    program.write_text(RECEIVER.replace('Path("webhook-secret")', f'Path("{scene.folder}/webhook-secret")'))
    receiver = LoggedProcess(scene.folder / "receiver.log")
    try:
        receiver.run([sys.executable, program], process.env)
        until(lambda: _answers(shell), 20, receiver.text)
        assert "order.completed webhook-test" in receiver.text()
        process.start()
        process.wait_for("posting to shop")
        until(lambda: "to come" in shell(LOOK), 30, process.text)
        ids = tell(scene, 3)
        until(lambda: all(f"{each} order.completed" in receiver.text() for each in ids), 40, process.text)
        assert "0 waiting, 0 failed" in shell(LOOK)
        assert "0 will be tried again" in shell(f"export SAGA_WEBHOOKS=webhooks.toml\n{RESEND}")
    finally:
        receiver.close()
        process.close()


def _answers(shell: object) -> bool:
    try:
        return "taken: 204" in shell(TRY)  # type: ignore[operator]
    except AssertionError:
        return False
