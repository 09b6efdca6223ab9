"""A slow build of Python is named, and no other one."""

import pytest

from saga_app.interpreter import is_slow

USED = "-fprofile-use -fprofile-correction"


@pytest.mark.parametrize(
    ("build", "slow"),
    [
        ({"CONFIG_ARGS": "'--prefix=/opt'", "PGO_PROF_USE_FLAG": USED}, True),
        ({"CONFIG_ARGS": None, "PGO_PROF_USE_FLAG": USED}, True),
        ({"CONFIG_ARGS": "'--enable-optimizations' '--with-lto'", "PGO_PROF_USE_FLAG": USED}, False),
        ({"CONFIG_ARGS": "'--prefix=/usr' '--with-dtrace'", "PGO_PROF_USE_FLAG": ""}, False),
        ({}, False),
    ],
)
def test_a_python_that_was_built_without_pgo_is_slow(build: dict[str, str | None], slow: bool) -> None:
    assert is_slow(build) is slow
