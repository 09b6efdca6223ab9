"""Help for people: examples in `--help`, and completion in their shell."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from saga_app.commands import main

BIN = Path(sys.executable).parent


def shell(*words: str, **env: str) -> str:
    done = subprocess.run(
        words,
        env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **env},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_bash_completes_commands_and_options():
    asked = """
        eval "$(saga shell-completion bash)"
        COMP_WORDS=(saga ord); COMP_CWORD=1; _saga_completion saga; echo "${COMPREPLY[@]}"
        COMPREPLY=(); COMP_WORDS=(saga order --fol); COMP_CWORD=2; _saga_completion saga; echo "${COMPREPLY[@]}"
    """
    assert shell("bash", "--norc", "-c", asked).splitlines() == ["order orders orderdb", "--follow"]


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_what_zsh_and_fish_ask_is_answered_and_their_script_asks_it(name: str, tmp_path: Path):
    script = shell("saga", "shell-completion", name)
    assert f"_SAGA_COMPLETE={name}_complete" in script
    words = {"COMP_WORDS": "saga ord", "COMP_CWORD": "1" if name == "zsh" else "ord"}
    answer = shell("saga", **words, _SAGA_COMPLETE=f"{name}_complete")
    assert {"order", "orders", "orderdb"} <= set(answer.replace(",", "\n").replace("\t", "\n").splitlines())
    if shutil.which(name):
        (tmp_path / "script").write_text(script)
        shell(name, "-n", str(tmp_path / "script"))


def test_another_shell_is_refused_in_one_line():
    result = CliRunner().invoke(main, ["shell-completion", "tcsh"])
    assert result.exit_code == 2 and "tcsh" in result.stderr and isinstance(main, click.Group)
