"""Compares the installed packages with the versions that this code needs."""

import re
from configparser import ConfigParser
from importlib import metadata
from pathlib import Path
from typing import Final

_PIN: Final = re.compile(r"([A-Za-z0-9._-]+)\s*==\s*([^\s;,]+)")


def pins() -> dict[str, str]:
    """Name and version of every package that is pinned exactly; from setup.cfg if the project is not installed."""
    try:
        required = metadata.requires("checkout-saga") or []
    except metadata.PackageNotFoundError:
        parser = ConfigParser(interpolation=None)
        parser.read(Path(__file__).parents[2] / "setup.cfg", "utf-8")
        required = parser.get("options", "install_requires", fallback="").splitlines()
    # A requirement of an extra has a marker behind its version; a worker does not need it.
    found = (_PIN.fullmatch(each.strip()) for each in required)
    return {pin[1]: pin[2] for pin in found if pin}


def differences(pins: dict[str, str]) -> list[str]:
    """Sentences about packages that are missing, or installed in another version."""
    wrong = []
    for name, pin in pins.items():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{name} is not installed")
        else:
            if version != pin:
                wrong.append(f"{name} is {version}, not {pin}")
    return wrong
