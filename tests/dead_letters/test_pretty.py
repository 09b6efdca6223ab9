"""Every byte of a value is shown: as JSON, as text, or as hexadecimal."""

import json

from hypothesis import given as for_all
from hypothesis import strategies as st

from saga_app.dead_letters.pretty import lines
from tests.support import profiles  # noqa: F401

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@for_all(st.dictionaries(st.text(), JSON, max_size=4), st.booleans())
def test_json_is_set_out_and_stays_the_same(fields: dict[str, object], plain: bool) -> None:
    value = json.dumps(fields, ensure_ascii=plain).encode("utf-8", "surrogatepass")
    try:
        value.decode()
    except UnicodeDecodeError:
        return
    assert json.loads("\n".join(lines(value))) == fields


@for_all(st.text().filter(lambda text: not text.lstrip().startswith("{")))
def test_text_stays_as_it_is(text: str) -> None:
    try:
        value = text.encode()
    except UnicodeEncodeError:
        return
    assert "\n".join(lines(value)) == text


@for_all(st.binary(max_size=50).map(lambda value: b"\xff" + value))
def test_all_else_is_hexadecimal(value: bytes) -> None:
    assert b"".join(bytes.fromhex(line[10:57]) for line in lines(value)) == value
    assert all(line.isascii() and line.isprintable() for line in lines(value))


def test_numbers_stay_as_they_were_written() -> None:
    assert list(lines(b'{"a":1.00,"b":1E2}')) == ["{", '  "a": 1.00,', '  "b": 1E2', "}"]
