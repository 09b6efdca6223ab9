"""How a worker ends: within its time after a signal, and with one clear line.

Answers rh#484, faust#324 and `docs/reference/faust.md#j1` (SIGTERM waits for the handler in flight without limit).
"""

import ast
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from saga_app.engine.exits import Exit
from saga_app.engine.faust import worker
from tests.engine.faust.parts import ROOT, script

ENGINE = ROOT / "saga_app" / "engine"
#: A worker whose service takes some seconds to stop, and the longest that it may take.
WORKER = """
import asyncio, sys
import faust
from mode import Service
from saga_app.engine.faust import worker

class Busy(Service):
    async def on_started(self):
        print("started", flush=True)

    async def on_stop(self):
        print("stopping", flush=True)
        await asyncio.sleep(float(sys.argv[1]))

class Quiet(faust.App):
    async def start(self):
        pass

    async def on_stop(self):
        pass

worker.LONGEST_STOP = float(sys.argv[2])
app = Quiet("quiet", broker="kafka://127.0.0.1:1", datadir="/tmp/none", web_enabled=False)
CLASS(app, Busy(), loglevel="CRITICAL", quiet=True, override_logging=False).execute_from_commandline()
"""
OURS = "worker.SagaWorker"
STOCK = "faust.Worker"


@contextmanager
def running(which: str, stops_in: float, longest: float = 0.5) -> Iterator[subprocess.Popen[str]]:
    """A worker that has started; it is gone afterwards."""
    process = script(WORKER.replace("CLASS", which), stops_in, longest)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n", process.communicate(timeout=10)
        yield process
    finally:
        process.kill()
        process.communicate(timeout=10)


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_does_not_stop_is_ended(which: signal.Signals) -> None:
    with running(OURS, 60) as process:
        process.send_signal(which)
        assert process.wait(10) == Exit.STOP_TOO_SLOW
        assert process.stderr is not None
        assert "exit 76" in process.stderr.read()


def test_a_second_signal_does_not_give_it_more_time() -> None:
    with running(OURS, 60) as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None and process.stdout.readline() == "stopping\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == Exit.STOP_TOO_SLOW


def test_a_worker_that_stops_in_time_ends_in_order() -> None:
    with running(OURS, 0, longest=9) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_stock_faust_does_not_end_while_a_service_does_not_stop() -> None:
    with running(STOCK, 60) as process:
        process.send_signal(signal.SIGTERM)
        assert process.stdout is not None and process.stdout.readline() == "stopping\n"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(2)


def test_the_time_to_stop_is_shorter_than_what_supervisors_allow() -> None:
    assert worker.LONGEST_STOP < 30


# --- Fatal

#: Every way by which our code is entered, and what lies between it and the outermost frame.
FATAL = """
import asyncio, sys, threading, time
from saga_app.engine.exits import Exit, Fatal, ends_process

def fails(code=Exit.STUCK):
    try:
        raise Fatal(code, "one" + chr(10) + "  two")
    except Exception:
        print("taken for something that can be survived", flush=True)

@ends_process
async def waits_for(what):
    await what

async def coroutine():
    await asyncio.sleep(0)
    fails()

async def main(way):
    if way == "task":
        kept = asyncio.create_task(ends_process(coroutine)())
    elif way == "executor":
        kept = asyncio.get_running_loop().run_in_executor(None, ends_process(fails))
    elif way == "callback":
        asyncio.get_running_loop().call_soon(ends_process(fails))
    else:
        await waits_for(coroutine())
    try:
        await asyncio.sleep(60)
    finally:
        print("cleaning up", flush=True)

try:
    if sys.argv[1] == "thread":
        threading.Thread(target=ends_process(fails)).start()
        time.sleep(60)
    elif sys.argv[1] in Exit.__members__:
        ends_process(fails)(Exit[sys.argv[1]])
    else:
        asyncio.run(main(sys.argv[1]))
finally:
    print("cleaning up: a way in which Faust could acknowledge a record", flush=True)
"""


@pytest.mark.parametrize("code", list(Exit))
def test_the_end_is_one_line_and_an_exit_code_of_its_own(code: Exit) -> None:
    if code not in (Exit.TOPICS_WRONG, Exit.STUCK, Exit.STORE_DAMAGED):
        assert 64 <= code < 126 and code != os.EX_OK
        return
    process = script(FATAL, code.name)
    out, errors = process.communicate(timeout=10)
    assert process.returncode == code
    assert errors == f"saga worker ends ({code.name.lower()}, exit {code.value}): one two\n"
    assert out == ""


@pytest.mark.parametrize("way", ["thread", "task", "executor", "callback", "coroutine"])
def test_the_end_can_come_from_anywhere_and_nothing_runs_before_it(way: str) -> None:
    process = script(FATAL, way)
    out, errors = process.communicate(timeout=10)
    assert (process.returncode, out) == (Exit.STUCK, "")
    assert errors.count("\n") == 1


def test_every_thread_task_and_call_in_an_executor_of_the_engine_is_guarded() -> None:
    """Or it is one of these, out of which no `Fatal` comes, or whose caller waits for it."""
    unguarded = {ast.unparse(each) for path in ENGINE.rglob("*.py") for each in spawned(path)}
    assert unguarded == {
        "self._write()",
        "self.store_manager.restore",
        "self._load_senders",
        "self._ask",
        "self._compare",
        "self._count",
        "self._look",
        "topic_admin.ensure",
        "topic_admin.require",
    }


def spawned(path: Path) -> Iterator[ast.expr]:
    """The calls that a module runs in another thread or task, without `ends_process` around them."""
    tree = ast.parse(path.read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    for call in calls:
        match ast.unparse(call.func).rpartition(".")[2]:
            case "Thread":
                what = next(each.value for each in call.keywords if each.arg == "target")
            case "Timer":
                what = call.args[1]
            case "to_thread" | "create_task" | "ensure_future":
                what = call.args[0]
            case _:
                continue
        if not any(isinstance(each, ast.Name) and each.id in guards(tree) for each in ast.walk(what)):
            yield what


def guards(tree: ast.Module) -> set[str]:
    """`ends_process`, and the names that stand for something that it guards."""
    names = {"ends_process"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and "ends_process(" in ast.unparse(node.value):
            names |= {
                each.id for target in node.targets for each in ast.walk(target) if isinstance(each, ast.Name)
            }
    return names


def test_exit_codes_differ() -> None:
    assert len({code.value for code in Exit}) == len(Exit.__members__)
