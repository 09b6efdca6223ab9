"""Finds payment card numbers in text, so that none is kept anywhere."""

import re
from collections.abc import Iterable
from itertools import accumulate
from typing import Final
from unicodedata import decimal

#: Digits with separators between groups; two separators in a row divide one number from the next.
SEPARATORS: Final = " -./_"
_NUMBERS: Final = re.compile(r"[0-9 ./_-]{13,}")
_APART: Final = re.compile(r"[ ./_-]{2,}")
_SEPARATOR: Final = re.compile(r"[ ./_-]")
#: A payment method, as a token of its provider: people write it with spaces, or none.
_METHOD: Final = re.compile(rb'("payment_method"\s*:\s*"[a-z0-9_]*:)[^"]*')
#: Characters of numbers that are searched at most. No honest record has so many, and each costs a worker time.
MOST_SEARCHED: Final = 4 * 1024
#: Digits and spaces of other alphabets.
_FOREIGN: Final = re.compile(r"(?![0-9])\d|(?![\x00-\x7f])\s")
#: Other hyphens, points, slashes and lines; characters without a width are left out.
_ALIKE: Final = {
    **dict.fromkeys((*range(0x2010, 0x2016), 0x2212, 0xFE63, 0xFF0D), "-"),
    **dict.fromkeys((0xB7, 0x2024, 0x2027, 0x3002, 0xFF0E), "."),
    **dict.fromkeys((0x2044, 0x2215, 0xFF0F), "/"),
    0xFF3F: "_",
    **dict.fromkeys((0xAD, 0x180E, *range(0x200B, 0x2010), 0x2060, 0xFEFF)),
}
#: All the digits of an id that stand together.
_RUN: Final = re.compile(r"(?<![A-Za-z0-9])[0-9][0-9 ./_-]{13,30}(?![A-Za-z0-9])")
#: Issuers of cards with 16 digits, and of those with 15.
_ISSUED: Final = re.compile(
    r"(?:4\d{3}|5[1-5]\d\d|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)|6011|65\d\d|64[4-9]\d|35[2-8]\d)\d{12}"
    r"|3[47]\d{13}",
    re.ASCII,
)
#: First digits of payment cards.
_FIRST: Final = (b"2", b"3", b"4", b"5", b"6")
_PLAIN: Final = bytes.maketrans(b"0123456789", bytes(range(10)))
#: By digit, the sum of the digits of its double.
_DOUBLED: Final = bytes.maketrans(b"0123456789", bytes([0, 2, 4, 6, 8, 1, 3, 5, 7, 9]))


def has_card_number(strings: Iterable[str]) -> bool:
    """True if a text holds a payment card number: issuer prefix, length and Luhn checksum (ISO/IEC 7812).

    Other numbers may stand beside it: an order number before, an expiry date behind. It is also true if there are more
    numbers than are searched.
    """
    left = MOST_SEARCHED
    for text in map(plain, strings):
        for found in _NUMBERS.finditer(text):
            left -= found.end() - found.start()
            if left < 0 or _in_numbers(text, *found.span()):
                return True
    return False


def is_card_number(text: str) -> bool:
    """True if the digits in an id are a card number: one that an issuer gives out, with a right Luhn sum.

    Ids are numbers themselves, so the looser rule for texts would refuse every tenth of the long ones.
    """
    return any(
        _ISSUED.fullmatch(digits) and _in_groups([digits], touched_before=False, touched_behind=False)
        for digits in (_SEPARATOR.sub("", run) for run in _RUN.findall(text))
    )


def plain(text: str) -> str:
    """The text with the digits and separators of other alphabets as those of ASCII."""
    if text.isascii():
        return text
    return _FOREIGN.sub(_as_ascii, text.translate(_ALIKE))


def _as_ascii(found: re.Match[str]) -> str:
    return str(decimal(found[0], " "))


def _in_numbers(text: str, start: int, end: int) -> bool:
    """True if this part of a text, all digits and separators, holds a card number that no letter touches."""
    parts = [_SEPARATOR.split(part) for part in _APART.split(text[start:end])]
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


def without_methods(value: bytes) -> bytes:
    """A record or a row as it is shown: of a payment method only the provider. References are no secrets."""
    return _METHOD.sub(rb"\1***", value)
