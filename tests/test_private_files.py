"""Folders and files with orders and settings: only their owner may read them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from saga_app.audit.checkpoints.folder import NewCheckpoint
from saga_app.local import run
from saga_app.local.run import LocalRun
from saga_app.private_files import is_open_to_others, private_folder, write_private
from tests.engine.faust.parts import our_app
from tests.orderdb.batches import OrderCopy


@pytest.fixture(autouse=True)
def _generous() -> Iterator[None]:
    """The umask of a user who shares everything."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> str:
    return f"{path.stat().st_mode & 0o777:o}"


def test_folders_that_are_made_are_their_owners_and_those_that_are_there_keep_their_mode(tmp_path: Path):
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    private_folder(shared / "a" / "b")
    assert [mode(each) for each in (shared, shared / "a", shared / "a" / "b")] == ["755", "700", "700"]


def test_a_file_with_settings_is_its_owners_also_if_it_was_not(tmp_path: Path):
    file = tmp_path / "env"
    file.write_text("something longer than what is written now")
    file.chmod(0o644)
    write_private(file, "export A=b\n")
    assert (mode(file), file.read_text()) == ("600", "export A=b\n")


def test_a_worker_makes_its_data_folder_for_itself_and_complains_of_an_open_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    app = our_app(tmp_path / "new")
    app._create_directories()
    assert mode(Path(app.conf.datadir)) == "700" and "chmod" not in caplog.text
    Path(app.conf.datadir).chmod(0o755)
    app._create_directories()
    assert is_open_to_others(Path(app.conf.datadir)) and "chmod 700" in caplog.text


def test_an_order_database_in_a_file_is_its_owners(tmp_path: Path):
    OrderCopy(f"sqlite:///{tmp_path}/new/orders.db").close()
    assert mode(tmp_path / "new") == "700"
    assert {mode(each) for each in (tmp_path / "new").iterdir()} == {"600"}


def test_the_folder_of_checkpoints_is_its_owners(tmp_path: Path):
    with NewCheckpoint(tmp_path / "audits"):
        assert mode(tmp_path / "audits") == "700"


def test_the_folder_of_a_local_run_and_its_settings_are_their_owners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / ".run").mkdir(mode=0o755)
    monkeypatch.setenv("SAGA_BROKER", "127.0.0.1:9")
    monkeypatch.setenv("SAGA_DB_URL", "postgresql://saga:hun'ter 2@db/orders")
    LocalRun(run.parser().parse_args(["--folder", str(tmp_path / ".run"), "--workers", "0"])).start()
    assert (mode(tmp_path / ".run"), mode(tmp_path / ".run" / "env")) == ("700", "600")
    assert "'postgresql://saga:hun'\"'\"'ter 2@db/orders'" in (tmp_path / ".run" / "env").read_text()
