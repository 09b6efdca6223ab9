"""Hypothesis is set up before the tests are read."""

from tests.support import profiles  # noqa: F401
