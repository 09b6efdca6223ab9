"""Hypothesis in our tests: the same examples on every run, and no limit of time on a busy machine.

`SAGA_EXPLORE=50 scripts/test tests/engine` tries other examples than usual, and 50 times as many.
"""

import os

from hypothesis import HealthCheck, settings

#: How many times the usual number of examples is tried.
EXPLORE = int(os.environ.get("SAGA_EXPLORE", "0"))


def examples(usual: int) -> settings:
    """Settings for a property that is tried so many times."""
    return settings(
        max_examples=usual * max(1, EXPLORE),
        derandomize=not EXPLORE,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


settings.register_profile("saga", examples(100))
settings.load_profile("saga")
