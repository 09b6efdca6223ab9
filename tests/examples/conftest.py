"""A broker that somebody else runs, and a PostgreSQL, for the pages and files about production."""

from tests.orderdb.conftest import postgres
from tests.security.conftest import guarded

__all__ = ["guarded", "postgres"]
