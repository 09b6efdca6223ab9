"""Bytes that strangers sent must not be able to steer the terminal of who looks at them."""

import json

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from saga_app.text import printable
from tests.commands.dead_letter_topic import DeadLetterTopic, Saga
from tests.support import profiles  # noqa: F401

HOSTILE = [
    *(f"a{chr(each)}b" for each in (*range(32), *range(127, 160))),
    "\x1b]0;title\x07",
    "\x1b[2J\x1b[H",
    "\x1b[31mred",
    "\x1bP$q\x1b\\",
    "\x9b31m",
    "a\rb",
    "line\nline",
    "\u2028\u2029",
    "\u202egnp.exe",
    "\u2066\u2069\u200f\u200e",
    "\ufeff\u200b\u200d\u2060",
    "\ue000\U000f0000\U000e0001",
    "\ufffe\uffff",
    "%s%n{0}{{}}",
    "'; DROP TABLE orders; --",
    "<script>alert(1)</script>",
    "${jndi:ldap://x}",
    "../../etc/passwd",
    "--force",
    "-",
    "$(reboot)`reboot`",
    "\\x1b[31m\\u001b",
    "\0\0",
    "Z\u0310\u0301\u0335" * 20,
    "\U0001f600" * 50,
    "x" * 1_000,
    "saga-replayed",
    "sha256:" + "0" * 64,
]
HOSTILE += [f"\x1b[{code}{letter}" for code in range(20) for letter in "ABCDHJKmr"][: 200 - len(HOSTILE)]


@pytest.mark.live
def test_nothing_hostile_reaches_the_terminal(saga: Saga, dead_letter_topic: DeadLetterTopic):
    """200 hostile strings as reason, detail, key, header and payload, and as ids that are asked for."""
    assert len(HOSTILE) == 200
    letters = [
        dead_letter_topic.put(
            text.encode(),
            reason=text[:30],
            detail=text,
            key=text.encode(),
            headers=((text.replace("\0", "0"), text.encode()),),
        )
        for text in HOSTILE
    ]
    some = [str(letter) for letter in letters[::4]]
    outputs = [
        saga("dead-letters", "--limit", "0"),
        saga("dead-letters", "--count"),
        saga("dead-letters", "--json"),
        saga("dead-letters", "--count", "--json"),
        saga("dead-letters", *some),
        saga("replay", "--all", "--dry-run"),
    ]
    for result in outputs:
        assert result.exception is None or isinstance(result.exception, SystemExit)
        for line in (result.stdout + result.stderr).split("\n"):
            assert line.isprintable(), ascii(line)
    details = [json.loads(line)["detail"] for line in saga("dead-letters", "--json").stdout.splitlines()]
    assert sorted(details) == sorted(HOSTILE), "for machines nothing is changed"
    assert len(outputs[0].stdout.splitlines()) == 201


@pytest.mark.live
@pytest.mark.parametrize("command", ["dead-letters", "replay", "cancel"])
def test_nothing_hostile_comes_back_from_the_command_line(saga: Saga, command: str):
    for text in HOSTILE[::7]:
        no_wait = ("--timeout", "0") if command == "cancel" else ()
        result = saga(command, *no_wait, "--", text)
        assert all(line.isprintable() for line in result.output.split("\n"))
        assert len(result.output.split("\n")) == 2


@for_all(st.text())
def test_any_text_is_made_printable_in_one_line(text: str):
    shown = printable(text)
    assert shown.isprintable()
    assert shown == text or not text.isprintable()
