"""Two arenas for all threads of a worker: glibc gives each thread one of its own, and rows of all sizes leave holes."""

import ctypes
from typing import Final

#: `M_ARENA_MAX` of glibc's malloc.h, and its value: the same as MALLOC_ARENA_MAX=2 before the process starts.
_ARENA_MAX: Final = -8
_ARENAS: Final = 2


def share_arenas() -> bool:
    """To be called before there are many threads; False where the C library is not glibc, and nothing is done."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_ARENA_MAX, _ARENAS) == 1
