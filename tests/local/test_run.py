"""`scripts/run`: the settings that it hands on, and a broker without workers."""

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from saga_app.local import run as module
from saga_app.local.process import until
from saga_app.local.run import LocalRun, main

ROOT = Path(__file__).parent.parent.parent


def exported(folder: Path) -> dict[str, str]:
    """The settings in `env`, as a shell reads them."""
    words = shlex.split((folder / "env").read_text())
    return dict(word.split("=", 1) for word in words if word != "export")


def test_tools_get_the_settings_that_the_run_was_given_but_no_secret_and_none_of_one_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    given = {"SAGA_BROKER": "127.0.0.1:9", "SAGA_ADDED_PARTITIONS": "leave", "SAGA_APP_ID": "shop"}
    hidden = {"SAGA_WEB_TOKEN": "secret", "SAGA_DATA_DIR": "elsewhere", "SAGA_WEB_PORT": "7"}
    for name, value in {**given, **hidden}.items():
        monkeypatch.setenv(name, value)
    options = module.parser().parse_args(["--folder", str(tmp_path), "--workers", "0"])
    LocalRun(options).start()
    found = exported(tmp_path)
    assert {name: found[name] for name in given} == given
    assert not found.keys() & hidden.keys()


def test_once_without_a_worker_is_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["--once", "--workers", "0"])
    assert "--once needs a worker" in capsys.readouterr().err


@pytest.mark.live
@pytest.mark.slow("a broker and a worker of its own")
def test_a_worker_that_is_asked_to_stop_stays_stopped_and_the_broker_goes_on(tmp_path: Path):
    log = tmp_path / "run.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SAGA_")}
    with log.open("wb") as file:
        run = subprocess.Popen(
            [sys.executable, "-m", "saga_app.local.run", "--orders", "1", "--folder", str(tmp_path / "run")],
            cwd=ROOT,
            env=environment,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        assert until(lambda: "running until Ctrl-C" in log.read_text(), 120), log.read_text()
        os.kill(int((tmp_path / "run" / "worker-1.pid").read_text()), signal.SIGTERM)
        assert until(lambda: "ended with exit code 0 and stays stopped" in log.read_text(), 60), (
            log.read_text()
        )
        done = subprocess.run(
            [Path(sys.executable).with_name("saga"), "rebuild", "--from-inboxes", "--dry-run"],
            env={**environment, **exported(tmp_path / "run")},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "started again" not in log.read_text()
    finally:
        run.send_signal(signal.SIGINT)
        run.wait(90)
