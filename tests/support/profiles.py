"""Hypothesis in our tests: the same examples on every run, and no limit of time on a busy machine.

`SAGA_EXPLORE=50 scripts/test tests/engine` tries other examples than usual, and 50 times as many. `scripts/test` alone
tries a quarter of the usual number, by SAGA_QUICK.
"""

import os

from hypothesis import HealthCheck, settings

#: How many times the usual number of examples is tried.
EXPLORE = int(os.environ.get("SAGA_EXPLORE", "0"))
#: The part of them that is tried before each commit, and the least number.
QUICK = 4 if "SAGA_QUICK" in os.environ else 1
LEAST = 25


def examples(usual: int) -> settings:
    """Settings for a property that is tried so many times."""
    return settings(
        max_examples=usual * EXPLORE if EXPLORE else max(min(usual, LEAST), usual // QUICK),
        derandomize=not EXPLORE,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )


settings.register_profile("saga", examples(100))
settings.load_profile("saga")
