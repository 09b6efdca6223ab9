"""How this Python was built: one without profile-guided optimization (PGO) decides more slowly."""

import sys
import sysconfig
from collections.abc import Mapping
from typing import Any

#: What to do about a slow build.
ADVICE = (
    "built without PGO, so workers are slower: take your distribution's, or build with --enable-optimizations"
)


def is_slow(build: Mapping[str, Any] | None = None) -> bool:
    """True if this Python was certainly built without PGO; `build` has sysconfig's variables.

    `configure --enable-optimizations` turns PGO on. Debian turns it on by other means, and takes the flag away.
    """
    found = sysconfig.get_config_vars() if build is None else build
    asked = "--enable-optimizations" in (found.get("CONFIG_ARGS") or "")
    return not asked and "-fprofile-use" in (found.get("PGO_PROF_USE_FLAG") or "")


def in_words() -> str:
    """The version, and what is wrong with the build."""
    version = ".".join(map(str, sys.version_info[:3]))
    return f"{version}, {ADVICE}" if is_slow() else version


if __name__ == "__main__":
    print(in_words())
