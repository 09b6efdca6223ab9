"""Where the brokers of test runs keep their folders."""

from pathlib import Path
from typing import Final

#: Below it, one folder per broker; its name begins with the process that started it.
BROKERS: Final = Path(__file__).parent.parent.parent / ".run" / "test-kafka"
