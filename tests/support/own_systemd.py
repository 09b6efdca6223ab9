"""A systemd of a test's own, as process 1 of its own namespaces: it sees this machine, and changes nothing on it.

/etc, /opt and /var/lib are layers over those of the machine, gone with the last process. The network is the machine's.
Only root may do this; else the test is skipped.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from saga_app.local.process import until

SYSTEMD: Final = Path("/lib/systemd/systemd")
#: No unit of this machine starts: only these, and those that the test installs.
_UNITS: Final = "/run/units"
#: Python again, at a place that users other than root can reach, wherever ours is.
_PYTHON: Final = "/opt/python"
_BOOT: Final = f"""
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
for folder in etc opt var/lib; do
    mkdir -p /run/upper/$folder /run/work/$folder
    mount -t overlay overlay -o lowerdir=/$folder,upperdir=/run/upper/$folder,workdir=/run/work/$folder /$folder
done
rm -rf /etc/systemd/system/*
mkdir -p {_UNITS} {_PYTHON} /run/lock /etc/systemd/system/service.d
# There is no journal: all services log to one file.
printf '[Service]\\nStandardOutput=append:%s\\nStandardError=inherit\\n' "$2" > /etc/systemd/system/service.d/log.conf
mount --bind "$1" {_PYTHON}
mount -t cgroup2 none /sys/fs/cgroup
for target in basic sysinit shutdown; do
    printf '[Unit]\\nDescription=%s\\nDefaultDependencies=no\\n' $target > {_UNITS}/$target.target
done
export SYSTEMD_UNIT_PATH={_UNITS}:/etc/systemd/system
exec {SYSTEMD} --system --log-target=console --unit=basic.target
"""


class OwnSystemd:
    """Runs shell commands as root beside the processes of this systemd."""

    def __init__(self, pid: int, log: Path) -> None:
        self._pid = pid
        self.log = log

    def answer(self, commands: str, folder: Path, seconds: float) -> str:
        """The output of commands that must succeed within some seconds, however often they are run until then."""
        end = time.monotonic() + seconds
        while True:
            try:
                return self.shell(commands, folder)
            except AssertionError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.5)

    def shell(self, commands: str, folder: Path, seconds: float = 120) -> str:
        """The output of commands that must succeed."""
        own = [
            f"PATH={_PYTHON}/bin:/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin",
            f"LD_LIBRARY_PATH={_PYTHON}/lib",
        ]
        bash = ["bash", "-euo", "pipefail", "-c", f"cd {folder}\n{commands}"]
        done = subprocess.run(
            ["nsenter", "--all", f"--target={self._pid}", "env", *own, *bash],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        end = self.log.read_text("utf-8", errors="replace")[-3000:]
        assert done.returncode == 0, f"{end}\n{commands}\n{done.returncode}: {done.stdout}\n{done.stderr}"
        return done.stdout


@contextmanager
def own_systemd(folder: Path) -> Iterator[OwnSystemd]:
    """It runs; every process below it ends with it."""
    if not SYSTEMD.exists():
        pytest.skip("systemd is not there: install systemd")
    log = folder / "systemd.log"
    spaces = ("--fork", "--kill-child", "--pid", "--mount", "--mount-proc", "--cgroup", "--ipc", "--uts")
    with log.open("wb") as output:
        unshared = subprocess.Popen(
            ["unshare", *spaces, "env", "container=test", "bash", "-c", _BOOT, "boot", sys.base_prefix, log],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        children = Path(f"/proc/{unshared.pid}/task/{unshared.pid}/children")
        booted = until(lambda: unshared.poll() is not None or _is_up(children), 30)
        if not booted or unshared.poll() is not None:
            pytest.skip(f"systemd needs root and namespaces: {log.read_text('utf-8')[-500:]}")
        found = OwnSystemd(int(children.read_text()), log)
        # Where Python was built with a library of its own, that moved too.
        found.shell(f"systemctl set-environment LD_LIBRARY_PATH={_PYTHON}/lib", folder)
        yield found
    finally:
        # It is the child's parent: the child, process 1 of its space, dies with it, and all others with that one.
        unshared.kill()
        unshared.wait(30)


def _is_up(children: Path) -> bool:
    """True if process 1 of the new space answers to systemctl."""
    pid = children.read_text().strip()
    if not pid or shutil.which("nsenter") is None:
        return False
    asked = ["nsenter", "--all", f"--target={pid}", "systemctl", "is-active", "basic.target"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0
