"""`scripts/run` says why a process of its own ended, and what to do."""

import sys
from pathlib import Path

import pytest

from saga_app.engine.exit_codes import NEEDS_A_PERSON, Exit, ExitCode, OtherExit
from saga_app.local.process import until
from saga_app.local.workers import LocalOrderDatabase, LocalProcess, LocalWorker, WorkerFailed


def ended(process: LocalProcess, code: int) -> None:
    """Lets the process end with this code, by itself."""
    program = Path(sys.executable).name
    process._command = [str(Path(sys.executable).with_name(program)), "-c", f"raise SystemExit({code})"]
    process.start()
    assert until(lambda: process.ended is not None, 30)


def test_a_worker_that_ended_is_started_again_with_cause_and_remedy(tmp_path: Path):
    said: list[str] = []
    worker = LocalWorker(tmp_path, 1, {}, said.append)
    ended(worker, Exit.LEASE_LOST)
    worker.restart_if_dead()
    how, cause, remedy = said
    assert "ended with exit code 71; started again as pid" in how
    assert cause == f"  cause: LEASE_LOST: {Exit.LEASE_LOST.cause}"
    assert remedy == f"  do: {Exit.LEASE_LOST.remedy}"


@pytest.mark.parametrize("code", [OtherExit.STOPPED, *NEEDS_A_PERSON])
def test_a_worker_that_was_stopped_or_whose_end_needs_a_person_is_left_stopped(
    tmp_path: Path, code: ExitCode
):
    said: list[str] = []
    worker = LocalWorker(tmp_path, 1, {}, said.append)
    ended(worker, code)
    worker.restart_if_dead()
    worker.restart_if_dead()
    assert worker.is_left and worker.ended == code and not worker.pid_file.exists()
    how, *why = said
    assert f"ended with exit code {code} and stays stopped; the broker goes on" in how
    assert why == ((code and [f"  cause: {code.name}: {code.cause}", f"  do: {code.remedy}"]) or [])


def test_a_changelog_that_was_lost_under_a_worker_is_written_again_by_its_next_start():
    assert Exit.CHANGELOG_CUT not in NEEDS_A_PERSON


def test_the_same_end_again_is_explained_once(tmp_path: Path):
    said: list[str] = []
    worker = LocalWorker(tmp_path, 1, {}, said.append)
    ended(worker, Exit.STUCK)
    worker.restart_if_dead()
    assert until(lambda: worker.ended is not None, 30)
    worker.restart_if_dead()
    worker.stop()
    assert [line.partition(":")[0].split("(")[0].strip() for line in said] == [
        "worker 1",
        "cause",
        "do",
        "worker 1",
    ]


def test_a_worker_that_does_not_get_ready_says_why(tmp_path: Path):
    worker = LocalWorker(tmp_path, 1, {}, print)
    ended(worker, OtherExit.NOT_STARTED)
    with pytest.raises(WorkerFailed, match=r"ended with exit code 1(?s:.*)do: Run `saga settings`"):
        worker.wait()


def test_the_order_database_that_ended_is_explained_in_the_words_of_commands(tmp_path: Path):
    said: list[str] = []
    database = LocalOrderDatabase(tmp_path, {}, said.append)
    ended(database, 2)
    database.restart_if_dead()
    assert "ended with exit code 2 and stays stopped, and orders go on without it" in said[0]
    assert said[1].startswith("  cause: WRONG_INPUT:")
