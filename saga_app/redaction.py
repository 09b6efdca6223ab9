"""Finds payment card numbers in text, so that none is kept anywhere."""

import re
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

#: Digits with spaces and hyphens between groups; two separators in a row divide one number from the next.
_NUMBERS: Final = re.compile(r"[0-9 -]{13,}")
_APART: Final = re.compile(r"[ -]{2,}")
#: First digits of payment cards.
_FIRST: Final = (b"2", b"3", b"4", b"5", b"6")
_PLAIN: Final = bytes.maketrans(b"0123456789", bytes(range(10)))
#: By digit, the sum of the digits of its double.
_DOUBLED: Final = bytes.maketrans(b"0123456789", bytes([0, 2, 4, 6, 8, 1, 3, 5, 7, 9]))


def has_card_number(strings: Iterable[str]) -> bool:
    """True if a text holds a payment card number: issuer prefix, length and Luhn checksum (ISO/IEC 7812).

    Other numbers may stand beside it: an order number before, an expiry date behind.
    """
    return any(_in_numbers(text, *found.span()) for text in strings for found in _NUMBERS.finditer(text))


def _in_numbers(text: str, start: int, end: int) -> bool:
    """True if this part of a text, all digits and separators, holds a card number that no letter touches."""
    parts = [part.replace("-", " ").split(" ") for part in _APART.split(text[start:end])]
    before, behind = text[max(0, start - 1) : start], text[end : end + 1]
    return any(
        _in_groups(
            groups,
            touched_before=number == 0 and before.isascii() and before.isalnum(),
            touched_behind=number == len(parts) - 1 and behind.isascii() and behind.isalnum(),
        )
        for number, groups in enumerate(parts)
    )


def _in_groups(groups: list[str], *, touched_before: bool, touched_behind: bool) -> bool:
    """True if adjacent groups together are 13 to 19 digits with a right Luhn sum.

    Running sums, from which the sum of any part follows, make it linear for any grouping: one long record must not
    hold up a worker. The last digit of a number counts once, the one before it is doubled, and so on.
    """
    bounds = list(accumulate(map(len, groups), initial=0))
    ends = [bound for bound in bounds[1 : len(bounds) - touched_behind] if bound >= 13]
    if not ends:
        return False
    digits = "".join(groups).encode()
    begins = bytearray(len(digits) + 1)
    for bound in bounds[touched_before:-1]:
        begins[bound] = digits[bound : bound + 1] in _FIRST
    for parity in (0, 1):
        values = bytearray(digits.translate(_DOUBLED))
        values[parity::2] = digits.translate(_PLAIN)[parity::2]
        sums = [each % 10 for each in accumulate(values, initial=0)]
        begun = bytes(sum_ if may else 10 for sum_, may in zip(sums, begins, strict=True))
        for end in ends:
            if end % 2 != parity and sums[end] in begun[max(0, end - 19) : end - 12]:
                return True
    return False
