"""Low watermarks: nothing is decided for an order below one, and no row of it may be there."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from saga_app.core.errors import ForeignRow
from saga_app.core.numbers import NEVER
from saga_app.core.retention.rows import LowWatermark
from saga_app.core.row_keys import KeyKind, number_in

_LOW_WATERMARK: Final = b'"evicted_below":'
_SEGMENT: Final = re.compile(rb'"segment":"(\d+):(\d+)"')
#: Rows of checkout of which nothing small is kept.
_EVICTED_AT_ONCE: Final = (KeyKind.SEGMENT.prefix, KeyKind.CANCELLATION.prefix)


class LowWatermarks:
    """The low watermarks of one journal: they tell which rows a restore must drop, whoever wrote them and when."""

    def __init__(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        # A customer or a warehouse may be called low_watermark: balances have such keys too.
        try:
            found = {
                number_in(key.decode()): LowWatermark.decode(data)
                for key, data in rows
                if _LOW_WATERMARK in data
            }
        except (ValueError, TypeError, LookupError) as error:
            raise ForeignRow(f"a low watermark is no row of ours: {error}") from error
        self._found: Mapping[int, LowWatermark] = found
        self.version = max((each.version for each in found.values()), default=NEVER)

    def __bool__(self) -> bool:
        return bool(self._found)

    def is_below(self, key: bytes, data: bytes) -> bool:
        """True if the row is of an evicted order; a small row of checkout only once its order is purged."""
        segment = _SEGMENT.search(data) if self._found else None
        low_watermark = self._found.get(int(segment[1])) if segment else None
        if segment is None or low_watermark is None:
            return False
        below = low_watermark.evicted_below
        if low_watermark.purged_below is not None and not key.startswith(_EVICTED_AT_ONCE):
            below = low_watermark.purged_below
        return int(segment[2]) < below
