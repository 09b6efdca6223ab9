"""Sides of any size are matched, in runs that are sorted one by one."""

from pathlib import Path

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from saga_app.audit.checks import matching
from saga_app.audit.checks.matching import (
    FOUND,
    STEP_REQUEST,
    WANTED,
    Consequence,
    Origin,
    SideWriter,
    consequences,
)
from saga_app.audit.scratch import side_by_side

ORIGIN = Origin("t", 0, 1, "step_request", "o1")


@pytest.mark.parametrize("run", [1, 2, 1000])
def test_every_digest_comes_once_with_both_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: int
) -> None:
    monkeypatch.setattr(matching, "_RUN", run)
    for side, contents in ((WANTED, "abcbd"), (FOUND, "bcce")):
        for part in ("1", "2"):
            writer = SideWriter(tmp_path, side, part)
            for content in contents:
                writer.add(STEP_REQUEST, content.encode(), ORIGIN._replace(what=content))
            writer.close()

    def what(pair: Consequence, side: str) -> str | None:
        origin = pair.origin(side)
        return origin and origin.what

    found = {(what(pair, WANTED), what(pair, FOUND)): pair.kind for pair in consequences(tmp_path)}
    assert found == {("a", None): "s", ("b", "b"): "s", ("c", "c"): "s", ("d", None): "s", (None, "e"): "s"}


ROWS = st.dictionaries(st.binary(max_size=2), st.binary(max_size=1), max_size=6)


@for_all(ROWS, ROWS)
def test_side_by_side_is_the_union_by_key(left: dict[bytes, bytes], right: dict[bytes, bytes]) -> None:
    found = list(side_by_side(iter(sorted(left.items())), iter(sorted(right.items()))))
    assert found == [(key, left.get(key), right.get(key)) for key in sorted(left.keys() | right.keys())]
