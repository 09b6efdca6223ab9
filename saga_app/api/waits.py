"""How long a caller is ready to wait."""

import re
from collections.abc import Iterable
from typing import Final

#: Seconds that one request waits for an ending: proxies cut what is silent for longer.
LONGEST_WAIT: Final = 60
_WAIT: Final = re.compile(r'wait\s*=\s*"?([0-9]{1,9})"?', re.ASCII | re.IGNORECASE)


def preferred_wait(headers: Iterable[str]) -> int:
    """The seconds in `Prefer: wait=10` (RFC 7240); 0 without one. A preference that has another form is ignored."""
    for header in headers:
        for preference in header.split(","):
            if found := _WAIT.fullmatch(preference.partition(";")[0].strip()):
                return min(int(found[1]), LONGEST_WAIT)
    return 0
