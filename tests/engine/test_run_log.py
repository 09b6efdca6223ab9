"""The runs of a worker are noted in its folder: a start after an end that nobody wanted is not like any other."""

from pathlib import Path

from saga_app.engine.exit_codes import Exit, OtherExit
from saga_app.engine.run_log import NAME, RunLog


def told(folder: Path) -> tuple[int, int] | None:
    """The number of unwanted ends, and the code of the last one."""
    found = RunLog(folder).repeated()
    return None if found is None else (found.times, found.code)


def test_ends_with_a_code_are_counted_and_stops_are_not(tmp_path: Path):
    for code in (Exit.ROUND_FAILED, OtherExit.STOPPED, Exit.STUCK, Exit.LEASE_LOST):
        RunLog(tmp_path).start()
        RunLog(tmp_path).end(code)
    assert told(tmp_path) == (3, Exit.LEASE_LOST)


def test_a_run_without_an_end_was_killed_but_not_the_last_one_which_may_still_run(tmp_path: Path):
    for _ in range(3):
        RunLog(tmp_path).start()
    assert told(tmp_path) is None
    RunLog(tmp_path).start()
    assert told(tmp_path) == (3, OtherExit.KILLED)


def test_the_file_stays_small(tmp_path: Path):
    for _ in range(500):
        RunLog(tmp_path).start()
        RunLog(tmp_path).end(Exit.STUCK)
    RunLog(tmp_path).start()
    assert len((tmp_path / NAME).read_text().splitlines()) <= 201


def test_a_damaged_file_or_a_folder_that_cannot_be_written_stops_no_worker(tmp_path: Path):
    (tmp_path / NAME).write_bytes(b"\xff\n1 2\n")
    RunLog(tmp_path).start()
    assert told(tmp_path) is None
    (tmp_path / "file").touch()
    nowhere = RunLog(tmp_path / "file")
    nowhere.start()
    nowhere.end(Exit.DISK_FAILED)
    assert nowhere.repeated() is None
