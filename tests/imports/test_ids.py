"""Ids of other systems become ids of ours: always the same ones, and never the same one for two."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saga_app.core.fields import ID
from saga_app.imports.ids import saga_id


@pytest.mark.parametrize("text", ["MUG", "000000003", "24-WG081-blue", "shopify-450789469", "a" * 64])
def test_what_is_an_id_stays_as_it_is(text: str):
    assert saga_id(text) == text


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("#1001", "1001-03c9d92117"),
        ("MUG RED/L", "MUG-RED-L-693ca0db30"),
        ("MUG-RED/L", "MUG-RED-L-9dc9265953"),
        ("-x", "x-ab7f145004"),
        ("", "id-7d64c5272e"),
        ("Größe", "Gr-e-120bc5126e"),
    ],
)
def test_anything_else_is_its_readable_part_and_a_hash_that_never_changes(text: str, becomes: str):
    assert saga_id(text) == becomes


@given(st.text(max_size=200))
def test_every_text_has_an_id(text: str):
    assert re.fullmatch(ID, saga_id(text))


@given(st.lists(st.text(alphabet="aA1-./ #", max_size=6), unique=True, max_size=30))
def test_two_texts_never_have_the_same_id(texts: list[str]):
    assert len({saga_id(text) for text in texts}) == len(texts)
